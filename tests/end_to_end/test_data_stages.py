"""The data stages as commands: killed, out of disk, told nonsense, on another number of threads."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from degrain.patches.store import PatchStore
from tests.conftest import BIN, MIRROR, Project, merged

# So many patches that preparing them takes seconds.
LONG = {"prepare": {"stride": 12, "whole_images": 8}}


def write(folder: Path, study: dict[str, Any]) -> None:
    (folder / "params.yaml").write_text(yaml.safe_dump(study))


def run(folder: Path, stage: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return Project(folder).run("degrain", stage, **variables)


@pytest.fixture(scope="module")
def validated_once(tmp_path_factory: pytest.TempPathFactory, quickstart: dict[str, Any]) -> Path:
    folder = tmp_path_factory.mktemp("validated")
    write(folder, merged(quickstart, LONG))
    for stage in ("download", "validate"):
        done = run(folder, stage)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def validated(validated_once: Path, tmp_path: Path) -> Path:
    """A copy of the project, to be spoiled."""
    return shutil.copytree(validated_once, tmp_path, dirs_exist_ok=True)


def kill_midway(folder: Path, stage: str, where: str) -> None:
    """Start a stage and kill it as soon as its half-written output is there."""
    child = subprocess.Popen([BIN / "degrain", stage], cwd=folder, env=Project(folder).environment())
    for _ in range(2000):
        if list(folder.glob(where)):
            break
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "it had ended before it could be killed"


@pytest.mark.slow
def test_a_killed_preparation_leaves_no_store_and_the_next_one_is_whole(validated: Path) -> None:
    kill_midway(validated, "prepare", "data/prepared.*.partial/train/clean.npy")
    assert not (validated / "data" / "prepared").exists()
    done = run(validated, "prepare")
    assert done.returncode == 0, done.stderr
    first = PatchStore.open(validated / "data" / "prepared")
    assert not list((validated / "data").glob("*.partial"))
    # Killed over an older store, the older one stays.
    kill_midway(validated, "prepare", "data/prepared.*.partial/train/clean.npy")
    assert PatchStore.open(validated / "data" / "prepared").sha256 == first.sha256
    # One thread makes the same store as several.
    done = run(validated, "prepare", DEGRAIN_THREADS="1")
    assert done.returncode == 0, done.stderr
    assert PatchStore.open(validated / "data" / "prepared").sha256 == first.sha256


@pytest.mark.slow
def test_a_killed_validation_leaves_nothing_that_could_be_taken_for_a_result(
    tmp_path: Path, quickstart: dict[str, Any]
) -> None:
    write(tmp_path, quickstart)
    assert run(tmp_path, "download").returncode == 0
    kill_midway(tmp_path, "validate", "results/validation.*.partial")
    assert not (tmp_path / "data" / "validated").exists()
    assert "run: dvc repro validate" in run(tmp_path, "prepare").stderr
    assert run(tmp_path, "validate").returncode == 0
    assert run(tmp_path, "prepare").returncode == 0


@pytest.mark.slow
def test_a_full_disk_ends_a_preparation_in_one_line(validated: Path) -> None:
    """A limit on the size of files stands for the disk: writing fails in the same way."""
    limit = 2_000_000
    done = subprocess.run(
        [BIN / "degrain", "prepare"],
        cwd=validated,
        env=Project(validated).environment(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("degrain: cannot write data/prepared")
    assert "Traceback" not in done.stderr
    assert not list((validated / "data").glob("prepared*"))


def test_changed_raw_data_is_noticed_by_preparation(validated: Path) -> None:
    (validated / "data" / "raw" / "photos" / "rocket.jpg").write_bytes(b"something else")
    done = run(validated, "prepare")
    assert done.returncode == 2
    assert "rocket.jpg is not an image of a supported format" in done.stderr
    assert not (validated / "data" / "prepared").exists()
    raw = validated / "data" / "raw" / "photos"
    (raw / "rocket.jpg").write_bytes((raw / "coffee.png").read_bytes())
    done = run(validated, "prepare")
    assert done.returncode == 2
    assert "rocket.jpg is not the image that was validated; run: dvc repro validate" in done.stderr


@pytest.mark.skipif(not MIRROR.is_dir(), reason=f"needs the mirror of data sets in {MIRROR}")
@pytest.mark.slow
def test_an_experiment_on_small_gray_images_with_fixed_copies_runs_and_reports_its_leak(tmp_path: Path) -> None:
    from tests.conftest import clone
    from tests.ingest.datasets.test_catalog import composed

    project = clone(tmp_path / "project", composed("quickstart"))
    command = ["dvc", "exp", "run", "report", "-S", "study=fer2013-leaky", "-S", "data.limit=40"]
    change = ["train.epochs=1", "train.patches_per_epoch=64", "evaluate.baselines=[gaussian]", "evaluate.bootstrap=100"]
    wide = ["prepare.copies=10", "prepare.split.val=0.1", "prepare.split.test=0.1"]
    for value in (*change, *wide):
        command += ["-S", value]
    done = project.run(*command, DEGRAIN_MIRROR=str(MIRROR))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "This split leaks" in project.read("results/report.html").decode()
