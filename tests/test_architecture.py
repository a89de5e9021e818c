"""The direction of imports, and what the code never does."""

from __future__ import annotations

import ast
import graphlib
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


# Rooms of the house, from the roof down: a module imports from its own floor or from a lower one.
FLOORS: list[set[str]] = [
    {"__main__"},
    {"cli"},
    {"stages"},
    {"report", "reproductions", "sidd"},
    {"registry"},
    {"packaging"},
    {"studies"},
    {"trials"},
    {"training"},
    {"evaluation"},
    {"inference"},
    {"patches"},
    {"ingest"},
    {"figures"},
    {"artifacts"},
    {"params"},
    {"networks", "noise", "losses", "optimizers", "metrics", "baselines"},
    {"provenance"},
    {"parallel", "console", "programs"},
    {"machine"},
    {"snapshots", "catalogs", "signatures"},
    {"files", "pixels", "randomness", "declaration"},
    {"errors"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def room(name: str) -> str:
    return name.split(".")[1]


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.relative_to(ROOT / "src/degrain").as_posix())
def test_imports_point_down(path: Path) -> None:
    own = path.relative_to(ROOT / "src/degrain").with_suffix("").parts[0]
    used = {room(name) for name in imported(path) if name.startswith("degrain.")} & FLOOR.keys()
    if own != "__init__":
        assert not sorted(other for other in used if FLOOR[other] < FLOOR[own])


def test_rooms_of_one_floor_make_no_knot() -> None:
    arrows: dict[str, set[str]] = {}
    for path in LIBRARY:
        own = path.relative_to(ROOT / "src/degrain").with_suffix("").parts[0]
        arrows.setdefault(own, set()).update(
            room(name) for name in imported(path) if name.startswith("degrain.") and room(name) in FLOOR
        )
    graphlib.TopologicalSorter({own: others - {own} for own, others in arrows.items()}).prepare()


def test_albumentations_is_behind_one_module() -> None:
    users = [path.name for path in EVERYTHING if any(n.startswith("albumentations") for n in imported(path))]
    assert users == ["augmentation.py"]


def test_the_environment_is_read_in_one_place_and_passed_on_in_another() -> None:
    readers = [path.name for path in LIBRARY if "os.environ" in path.read_text() or "getenv" in path.read_text()]
    assert readers == ["compute.py", "variables.py", "leashed.py"]


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: path.stem)
def test_nothing_is_pickled_or_printed(path: Path) -> None:
    calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert not {"print", "torch.load", "torch.save", "pickle.load", "pickle.loads", "pickle.dump"} & set(calls)
    assert not [name for name in imported(path) if name.split(".")[0] in ("pickle", "joblib", "cloudpickle")]
