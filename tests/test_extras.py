"""What the core of the package does without its extras, and how it says which one is missing."""

from __future__ import annotations

import ast
import json
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.main import get_command

from degrain import extras
from degrain.cli.main import app
from degrain.errors import MissingExtra
from tests.conftest import ROOT, Project, grainy, save
from tests.core_only import PROJECT, brought, declared, modules, normal
from tests.ingest.formats.fixtures import dng

OURS = {"degrain", "pipelines"}
# Declared, and imported by other packages only; pyproject.toml says why.
BEHIND = {"fastapi", "onnx", "onnxscript", "pywavelets"}
# Installed apart: the baseline of its name says so.
APART = {"bm3d"}

TRIAL = "unet-adam-mse"
# What works with the core alone, in this order: a study that has been validated is trained and evaluated.
CORE = [
    ["--version"],
    ["--help"],
    ["models"],
    ["datasets"],
    ["formats"],
    ["params"],
    ["check"],
    ["prepare"],
    ["train", "--model", "unet", "--trial", TRIAL, "--in-process"],
    ["evaluate"],
    ["trials"],
    ["compare", TRIAL, "unet-adadelta-mse"],
    ["denoise", "photo.png", "small.png", "--model", "small", "--compare", "page.html"],
    ["denoise", "photo.png", "trial.png", "--model", TRIAL],
    ["reproductions"],
    ["doctor"],
]
# What needs an extra, and which.
MISSING = {
    "pipeline": [
        ["download"],
        ["validate"],
        ["report"],
        ["register"],
        ["check", "-S", "train.epochs=1"],
        ["init", "own"],
        ["denoise", "photo.png", "version.png", "--model", "models:/tiny/1"],
        ["promote", "1", "--reason", "why not"],
        ["rollback", "--reason", "why not"],
        ["publish"],
        ["lineage"],
        ["rebuild"],
        ["verify"],
        ["tracking-uri"],
        ["sidd-submission", "photo.png", "table.csv", "--submit", "sidd-benchmark-srgb-psnr"],
    ],
    "raw": [["denoise", "photo.dng", "raw.tif", "--model", "small"]],
}
# A file of SIDD's blocks decides what `degrain sidd-validation` needs; these others need a project.
ELSEWHERE = {"sidd-validation", "studies", "upgrade"}


def imported(path: Path) -> Iterator[str]:
    """Top-level modules that a file imports, but for those that only a type checker sees."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (one.name.partition(".")[0] for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).partition(".")[0]


def used() -> set[str]:
    """Every library that the package and its pipelines import."""
    files = [*(ROOT / "src" / "degrain").rglob("*.py"), *(ROOT / "pipelines").glob("*.py")]
    return {name for path in files for name in imported(path)} - sys.stdlib_module_names - OURS - APART


def without(extra: str) -> list[str]:
    """The extras that are there where one is missing."""
    return [name for name in extras.EXTRAS if name != extra]


def test_every_library_belongs_to_the_core_or_to_an_extra() -> None:
    bring, core = modules(), brought(declared())
    beyond = {name for name in used() if not bring[name] & core}
    assert beyond == {name for names in extras.EXTRAS.values() for name in names}


@pytest.mark.parametrize("extra", extras.EXTRAS)
def test_an_extra_brings_its_libraries(extra: str) -> None:
    bring, found = modules(), brought(declared(extra))
    assert {name for name in extras.EXTRAS[extra] if not bring[name] & found} == set()


def test_every_declared_library_is_imported() -> None:
    bring = modules()
    imports = {distribution for name in used() for distribution in bring[name]}
    named = {normal(one.name) for extra in ("", *extras.EXTRAS) for one in declared(extra)}
    assert named - imports == BEHIND


def test_the_team_has_every_extra_and_developers_have_everything() -> None:
    every = {normal(one.name) for extra in PROJECT["optional-dependencies"] for one in declared(extra)}
    assert every <= brought(declared("dev"))
    assert {normal(one.name) for extra in extras.EXTRAS for one in declared(extra)} <= brought(declared("team"))


def test_the_pins_are_of_everything_but_pytorch() -> None:
    pinned = {normal(line.partition("==")[0]) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert {normal(one.name) for one in declared("dev")} - pinned == {"degrain"}
    assert {normal(one.name) for extra in ("", *extras.EXTRAS) for one in declared(extra)} - pinned == {"torch"}


def test_every_command_is_tried() -> None:
    tried = {command[0] for command in [*CORE, *MISSING["pipeline"], *MISSING["raw"]]}
    assert tried - {"--version", "--help"} | ELSEWHERE == set(get_command(app).commands)  # type: ignore[attr-defined]


def in_core(project: Project, commands: Sequence[Sequence[str]], *there: str) -> list[dict[str, Any]]:
    """Run commands in one process that has the core and some extras only."""
    done = subprocess.run(
        [sys.executable, "-P", ROOT / "tests" / "core_only.py", *there],
        cwd=project.folder,
        env=project.environment(),
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.fixture
def project(reproduced: Project, tmp_path: Path) -> Project:
    """What a run of the tiny study has left, to be changed, and two photographs."""
    for name in ("data", "results", ".degrain", "docs/reproductions"):
        shutil.copytree(reproduced.folder / name, tmp_path / name)
    shutil.copy(reproduced.folder / "params.yaml", tmp_path)
    save(tmp_path / "photo.png", grainy(0))
    (tmp_path / "photo.dng").write_bytes(dng(np.full((64, 96), 9000, np.uint16)))
    return Project(tmp_path)


@pytest.mark.slow
def test_the_core_trains_evaluates_and_denoises(project: Project) -> None:
    done = dict(zip(map(" ".join, CORE), in_core(project, CORE), strict=True))
    assert {command: one["errors"] for command, one in done.items() if one["code"]} == {}
    assert "'degrain[pipeline]'" in done["doctor"]["errors"]


@pytest.mark.parametrize("extra", extras.EXTRAS)
def test_a_missing_extra_is_one_line_with_the_command(project: Project, extra: str) -> None:
    for command, done in zip(MISSING[extra], in_core(project, MISSING[extra], *without(extra)), strict=True):
        assert done["code"] == 2, (command, done)
        assert re.fullmatch(
            rf"degrain: .*[a-z0-9_]+ is not installed; run: pip install 'degrain\[{extra}\]'\n", done["errors"]
        ), (command, done)


@pytest.mark.slow
def test_the_champion_is_denoised_with_as_long_as_it_is_kept(project: Project) -> None:
    """MLflow is asked for it once."""
    command = ["denoise", "photo.png", "champion.png"]
    assert project.run("degrain", "promote", "1", "--reason", "one is needed").returncode == 0
    (first,) = in_core(project, [command])
    assert "is not installed; run: pip install 'degrain[pipeline]'" in first["errors"]
    assert project.run("degrain", *command).returncode == 0
    (again,) = in_core(project, [[*command, "--force"]])
    assert again["code"] == 0, again


PROBE = """
import importlib.util, sys
import degrain
from tests.core_only import hide

hide([])
assert importlib.util.find_spec("mlflow") is None
try:
    import mlflow
except ModuleNotFoundError as error:
    print("elsewhere:", type(error).__name__, error)
try:
    from degrain.registry import tracking
    with tracking.connect():
        pass
except ImportError as error:
    print("degrain:", type(error).__name__, error)
"""


def test_python_code_gets_the_same_line_and_other_packages_find_out_as_usual(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=tmp_path,
        env=Project(tmp_path).environment(PYTHONPATH=f"{ROOT / 'src'}:{ROOT}"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "elsewhere: ModuleNotFoundError No module named 'mlflow'",
        "degrain: MissingExtra mlflow is not installed; run: pip install 'degrain[pipeline]'",
    ], done.stderr


def test_a_flow_without_its_libraries_is_one_line(tmp_path: Path) -> None:
    program = "import runpy, tests.core_only as core; core.hide([]); runpy.run_module('pipelines.reproduce')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=Project(tmp_path).environment(PYTHONPATH=f"{ROOT / 'src'}:{ROOT}"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        2,
        "pipelines: dvc is not installed; run: pip install 'degrain[pipeline]'\n",
    )


def test_the_error_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(MissingExtra("rawpy is not installed")))
    assert isinstance(error, MissingExtra)
    assert str(error) == "rawpy is not installed"


def loaded(program: str, *arguments: str) -> set[str]:
    """Every module that is loaded at the end of a program."""
    told = f"import sys, atexit\natexit.register(lambda: print(*sys.modules, file=sys.stderr))\n{program}"
    done = subprocess.run([sys.executable, "-c", told, *arguments], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_importing_the_package_loads_nothing_else() -> None:
    before, after = loaded(""), loaded("import degrain")
    assert {name for name in after - before if name.partition(".")[0] not in sys.stdlib_module_names} == {
        "degrain",
        "degrain.extras",
    }


def test_help_loads_the_command_line_only() -> None:
    after = loaded("from degrain.cli.main import main; main()", "--help")
    declared_names = {normal(one.name) for extra in ("", *extras.EXTRAS) for one in declared(extra)}
    libraries = {name for name, distributions in modules().items() if distributions & declared_names}
    assert after & libraries == {"rich", "typer"}
    own = {name for name in after if name.startswith("degrain.") and not name.startswith("degrain.cli")}
    assert own == {"degrain.errors", "degrain.extras", "degrain.stages"}
