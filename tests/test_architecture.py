"""The direction of imports, and what the code never does."""

from __future__ import annotations

import ast
import functools
import graphlib
from collections.abc import Iterable
from pathlib import Path

from tests.conftest import ROOT

LIBRARY = sorted((ROOT / "src" / "degrain").rglob("*.py"))
EVERYTHING = [*LIBRARY, *sorted((ROOT / "pipelines").glob("*.py"))]


@functools.cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


@functools.cache
def imported(path: Path) -> list[str]:
    found = [name.name for node in nodes(path) if isinstance(node, ast.Import) for name in node.names]
    others = [node for node in nodes(path) if isinstance(node, ast.ImportFrom)]
    return found + [f"{node.module}.{name.name}" for node in others for name in node.names]


def importers(paths: Iterable[Path], *packages: str) -> dict[str, list[str]]:
    """What files import of some packages, for those that do."""
    found = {str(path): [name for name in imported(path) if name.split(".")[0] in packages] for path in paths}
    return {path: names for path, names in found.items() if names}


def test_the_library_knows_neither_dvc_nor_prefect() -> None:
    assert importers(LIBRARY, "dvc", "prefect", "pipelines") == {}


# Rooms of the house, from the roof down: a module imports from its own floor or from a lower one.
FLOORS: list[set[str]] = [
    {"__main__"},
    {"cli"},
    {"api", "project"},
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
    {"shipped"},
    {"artifacts"},
    {"params"},
    {"networks", "noise", "losses", "optimizers", "metrics", "baselines"},
    {"provenance"},
    {"parallel", "console", "programs"},
    {"machine"},
    {"snapshots", "catalogs", "signatures"},
    {"extras", "files", "pixels", "randomness", "declaration"},
    {"errors"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def room(name: str) -> str:
    return name.split(".")[1]


def own_room(path: Path) -> str:
    return path.relative_to(ROOT / "src/degrain").with_suffix("").parts[0]


def rooms_used(path: Path) -> set[str]:
    return {room(name) for name in imported(path) if name.startswith("degrain.")} & FLOOR.keys()


def test_imports_point_down() -> None:
    inside = [path for path in LIBRARY if own_room(path) != "__init__"]
    up = {str(path): {one for one in rooms_used(path) if FLOOR[one] < FLOOR[own_room(path)]} for path in inside}
    assert {path: others for path, others in up.items() if others} == {}


def test_rooms_of_one_floor_make_no_knot() -> None:
    arrows: dict[str, set[str]] = {}
    for path in LIBRARY:
        arrows.setdefault(own_room(path), set()).update(rooms_used(path))
    graphlib.TopologicalSorter({own: others - {own} for own, others in arrows.items()}).prepare()


def test_albumentations_is_behind_one_module() -> None:
    users = [path.name for path in EVERYTHING if any(n.startswith("albumentations") for n in imported(path))]
    assert users == ["augmentation.py"]


def test_the_environment_is_read_in_one_place_and_passed_on_in_another() -> None:
    readers = [path.name for path in LIBRARY if "os.environ" in path.read_text() or "getenv" in path.read_text()]
    assert readers == ["compute.py", "variables.py", "leashed.py"]


def test_nothing_is_pickled_or_printed() -> None:
    refused = {"print", "torch.load", "torch.save", "pickle.load", "pickle.loads", "pickle.dump"}
    calls = {
        str(path): {ast.unparse(node.func) for node in nodes(path) if isinstance(node, ast.Call)} & refused
        for path in EVERYTHING
    }
    assert {path: names for path, names in calls.items() if names} == {}
    assert importers(EVERYTHING, "pickle", "joblib", "cloudpickle") == {}
