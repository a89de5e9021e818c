"""dvc.yaml of a project: that of the clone, whose stages depend on code.yaml in place of files of code."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from degrain.errors import ParamsError
from degrain.project import sources
from degrain.project.code import CODE

if TYPE_CHECKING:
    from ruamel.yaml import YAML

GRAPH = "dvc.yaml"
_HEAD = (
    "# The one graph. `dvc repro` runs what has changed. `degrain upgrade` brings the stages up to date with degrain;\n"
    "# it leaves `meta` and `frozen` of a stage, and stages of your own, as they are.\n"
)
# What a stage of the clone has and a project does not: files of code, and where its command finds them.
_SOURCES, _PREFIX = "- src/", "PYTHONPATH=src "
# What of a stage is the project's own: how it is run.
_KEPT = ("meta", "frozen")


def stages() -> list[str]:
    """Return the names of the stages, in order."""
    return list(_clone()["stages"])


def text() -> str:
    """Return the dvc.yaml of a new project."""
    return _text(_wanted())


def upgraded(present: str) -> tuple[str, list[str]]:
    """Bring a project's dvc.yaml up to date.

    Args:
        present: As it is.

    Returns:
        As it should be, and a line for each thing that changes; the same text and nothing where nothing does.

    Raises:
        ParamsError: It is no YAML, or no mapping.
    """
    old, new = _parsed(present), _wanted()
    for name, stage in new["stages"].items():
        _keep(old["stages"].get(name, stage), stage)
    changes = _changes(old, new)
    if not changes:
        return present, []
    for name in old["stages"].keys() - new["stages"].keys():
        new["stages"][name] = old["stages"][name]
    _keep_others(old, new)
    return _text(new), changes


def _clone() -> Any:
    """The clone's graph without the files of code."""
    lines = sources.text(GRAPH).splitlines(keepends=True)
    return _parsed("".join(line for line in lines if not line.lstrip().startswith(_SOURCES)))


def _wanted() -> Any:
    graph = _clone()
    for name, stage in graph["stages"].items():
        stage["cmd"] = stage["cmd"].removeprefix(_PREFIX)
        if not stage["deps"]:
            del stage["deps"]
        stage["params"].insert(0, {CODE: [name]})
    return graph


def _keep(old: Any, new: Any) -> None:
    """Have a stage run as it was, on its pool and so on."""
    for place, key in enumerate(_KEPT, start=2):
        new.pop(key, None)
        if key in old:
            new.insert(place, key, old[key])


def _keep_others(old: Any, new: Any) -> None:
    """Keep what a project has beside the stages."""
    for key in old:
        if key not in new:
            new[key] = old[key]
    for name, artifact in old.get("artifacts", {}).items():
        new["artifacts"].setdefault(name, artifact)
    known = [_name(plot) for plot in new["plots"]]
    new["plots"] += [plot for plot in old.get("plots", []) if _name(plot) not in known]


def _name(plot: Any) -> str:
    return str(next(iter(plot))) if isinstance(plot, dict) else str(plot)


def _changes(old: Any, new: Any) -> list[str]:
    """Say what becomes other than it is."""
    found = []
    for name, stage in new["stages"].items():
        before = old["stages"].get(name)
        if before is None:
            found.append(f"{GRAPH}: the stage {name} is new")
        elif keys := [key for key in {**before, **stage} if before.get(key) != stage.get(key)]:
            found.append(f"{GRAPH}: {', '.join(keys)} of the stage {name}")
    artifacts, plots = old.get("artifacts", {}), old.get("plots", [])
    if any(artifacts.get(name) != artifact for name, artifact in new["artifacts"].items()):
        found.append(f"{GRAPH}: artifacts")
    if any(plot not in plots for plot in new["plots"]):
        found.append(f"{GRAPH}: plots")
    return found


def _parsed(text: str) -> Any:
    from ruamel.yaml.error import YAMLError

    try:
        graph = _yaml().load(text)
    except YAMLError as error:
        raise ParamsError(f"{GRAPH} is no valid YAML: {' '.join(str(error).split())[:200]}") from None
    if graph is None:
        graph = {}
    if not isinstance(graph, dict) or not isinstance(graph.setdefault("stages", {}), dict):
        raise ParamsError(f"{GRAPH} is no graph of DVC; move it away, and run: degrain upgrade")
    return graph


def _text(graph: Any) -> str:
    written = io.StringIO()
    _yaml().dump(graph, written)
    lines = written.getvalue().splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return _HEAD + "".join(lines[first:])


def _yaml() -> YAML:
    """The reader and writer that keeps comments; DVC brings it along."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 120
    return yaml
