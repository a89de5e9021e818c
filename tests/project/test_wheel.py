"""A project of the wheel: what somebody has who installed degrain and has no clone of it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from degrain.project import code, graph
from degrain.project.creation import KINDS, pipelines
from tests.conftest import BIN, ROOT, Project
from tests.provenance.mutation import mutated

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]

# A study of seconds.
TINY: dict[str, Any] = {
    "study": {"name": "tiny", "title": "Tiny"},
    "data": {"dataset": "folder"},
    "prepare": {
        "whole_images": 1,
        "patch_size": 32,
        "stride": 32,
        "split": {"val": 0.25, "test": 0.25},
        "noise": {"kind": "gaussian", "sigma": 25, "clip": True},
    },
    "train": {"models": ["unet"], "epochs": 1, "patches_per_epoch": 16, "batch_size": 4},
    "evaluate": {"baselines": ["gaussian"], "bootstrap": 100},
    "report": {"strips": 1, "frames": 2},
    "register": {"name": "tiny"},
}


@dataclass(frozen=True)
class Outside(Project):
    """A project that has the wheel's degrain: no code of a clone is on its path."""

    programs: Path

    def environment(self, **variables: str) -> dict[str, str]:
        """Commands of the wheel's environment come first; others are this one's."""
        path = os.pathsep.join(map(str, (self.programs, BIN, os.environ["PATH"])))
        return super().environment(**{"PATH": path, "PYTHONPATH": "", **variables})

    def says(self, *command: str, code: int = 0, **variables: str) -> str:
        """Run a command that ends with a code; return what it prints."""
        done = self.run(*command, timeout=800, **variables)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment that has the wheel, and the dependencies of this one."""
    folder = tmp_path_factory.mktemp("environment")
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    for command in (["venv", str(folder)], ["pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]):
        python = folder / "bin" / "python" if command[0] == "pip" else sys.executable
        done = subprocess.run([str(python), "-m", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    # NOTE: as a path, and not as site-packages of this environment, which would bring the clone's degrain along.
    (own / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin"


@pytest.fixture(scope="module")
def outside(programs: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Outside:
    """A project in which a study of its own conf/ has run."""
    parent = Outside(tmp_path_factory.mktemp("outside"), programs)
    parent.says("degrain", "init", "Mein Projekt", "--images", str(images))
    project = replace(parent, folder=parent.folder / "Mein Projekt")
    study = TINY | {"data": {"dataset": "folder", "path": str(images)}}
    (project.folder / "conf" / "study" / "tiny.yaml").write_text("# @package _global_\n" + yaml.safe_dump(study))
    project.says("git", "add", "-A")
    project.says("git", "commit", "-qm", "a study")
    project.says("dvc", "exp", "run", "-S", "study=tiny")
    return project


def commit(project: Outside) -> None:
    project.says("git", "add", "-A")
    project.says("git", "commit", "-qm", "results")


def test_the_wheel_holds_what_a_project_is_made_of_and_no_other_top_level(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert {name.partition("/")[0] for name in names} == {"degrain"}
    studies = [f"conf/study/{kind.study}.yaml" for kind in KINDS.values()]
    expected = {"conf/base.yaml", "conf/config.yaml", "dvc.yaml", ".dvc/config", ".dvc/.gitignore", "prefect.yaml"}
    assert {f"degrain/project/clone/{name}" for name in {*expected, *studies, *pipelines()}} <= names


def test_the_wheel_computes_as_the_clone_does(outside: Outside) -> None:
    assert (outside.folder / "code.yaml").read_text() == code.text(graph.stages())
    assert (outside.folder / "dvc.yaml").read_text() == graph.text()


def test_a_study_runs_from_the_images_to_the_registry(outside: Outside, images: Path) -> None:
    assert "Data and pipelines are up to date." in outside.says("dvc", "repro")
    assert (outside.folder / "results" / "report.html").is_file()
    assert "unet-adam-mse" in outside.says("degrain", "trials")
    outside.says("degrain", "denoise", str(images / "0.png"), "clean.png", "--model", "unet-adam-mse")


def test_a_version_is_rebuilt_with_the_same_bits(outside: Outside) -> None:
    told = outside.says("degrain", "rebuild", "models:/tiny/1")
    assert "the same key" in told
    assert "the same bits" in told


def test_the_flow_runs_the_same_graph(outside: Outside) -> None:
    outside.says("degrain", "init", ".", "--prefect")
    commit(outside)
    told = outside.says("python", "-m", "pipelines.reproduce", "--target", "report")
    assert told.count("in state Cached") == 6, told


def test_other_code_is_refused_until_the_project_is_upgraded(outside: Outside) -> None:
    found = subprocess.run(
        [outside.programs / "python", "-c", "import degrain.evaluation.sharpening as it; print(it.__file__)"],
        env=outside.environment(),
        cwd=outside.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    path = Path(found.stdout.strip())
    assert outside.programs.parent in path.parents
    path.write_text(mutated(path.read_text()))
    refused = outside.says("degrain", "evaluate", code=2)
    assert "computes evaluate otherwise than code.yaml says; run: degrain upgrade" in refused
    assert outside.says("dvc", "status").strip() == "Data and pipelines are up to date."
    line = "code.yaml: evaluate, report, register: the code is another, and dvc repro runs it again"
    assert line in outside.says("degrain", "upgrade")
    assert list(yaml.safe_load(outside.says("dvc", "status", "--json"))) == ["evaluate", "report", "register"]
    assert "Running stage 'evaluate'" in outside.says("dvc", "repro", "evaluate")
