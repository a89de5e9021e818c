"""dvc.yaml: a stage depends on all the code that it runs, so that a change of code reruns what it concerns."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

PACKAGE = ROOT / "src" / "degrain"
# What every stage uses and no result depends on: reading params.yaml, writing files safely, messages, the machine.
PLUMBING = {"__init__", "console", "environment", "errors", "files"}
GRAPH: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def module(name: str) -> Path | None:
    path = PACKAGE.parent.joinpath(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def direct(path: Path) -> set[Path]:
    """The modules of degrain that a module imports at run time, also inside functions."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("degrain"):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {found for name in names if name and (found := module(name))}


def closure(start: Path) -> set[Path]:
    seen: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += direct(path)
    return seen


def plumbing(path: Path) -> bool:
    return path.stem in PLUMBING or path.parent.name == "params"


@pytest.mark.parametrize("stage", GRAPH)
def test_a_stage_depends_on_the_code_that_it_runs(stage: str) -> None:
    declared = [ROOT / dep for dep in GRAPH[stage]["deps"]]
    used = {path for path in closure(PACKAGE / "stages" / f"{stage}.py") if not plumbing(path)}
    missing = {path for path in used if not any(path == dep or dep in path.parents for dep in declared)}
    assert not sorted(str(path.relative_to(ROOT)) for path in missing)


@pytest.mark.parametrize("stage", GRAPH)
def test_what_a_stage_depends_on_exists(stage: str) -> None:
    code = [dep for dep in GRAPH[stage]["deps"] if dep.startswith("src/")]
    assert all((ROOT / dep).exists() for dep in code)


def test_the_graph_is_the_seven_stages_in_order() -> None:
    assert list(GRAPH) == ["download", "validate", "prepare", "train", "evaluate", "report", "register"]
