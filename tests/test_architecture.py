"""The direction of imports, and what the code never does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

LIBRARY = sorted((ROOT / "src" / "degrain").rglob("*.py"))
EVERYTHING = [*LIBRARY, *sorted((ROOT / "pipelines").glob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.stem)
def test_the_library_knows_neither_dvc_nor_prefect(path: Path) -> None:
    assert not [name for name in imported(path) if name.split(".")[0] in ("dvc", "prefect", "pipelines")]


def test_only_the_command_line_imports_stages() -> None:
    allowed = {
        "cli.py",
        "commands.py",
        "options.py",
        *(path.name for path in (ROOT / "src/degrain/stages").glob("*.py")),
    }
    users = {path.name for path in LIBRARY if any(name.startswith("degrain.stages") for name in imported(path))}
    assert users <= allowed


def test_albumentations_is_behind_one_module() -> None:
    users = [path.name for path in EVERYTHING if any(n.startswith("albumentations") for n in imported(path))]
    assert users == ["augmentation.py"]


def test_the_environment_is_read_in_one_place() -> None:
    readers = [path.name for path in LIBRARY if "os.environ" in path.read_text() or "getenv" in path.read_text()]
    assert readers == ["compute.py", "variables.py"]


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: path.stem)
def test_nothing_is_pickled_or_printed(path: Path) -> None:
    calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert not {"print", "torch.load", "torch.save", "pickle.load", "pickle.loads", "pickle.dump"} & set(calls)
    assert not [name for name in imported(path) if name.split(".")[0] in ("pickle", "joblib", "cloudpickle")]
