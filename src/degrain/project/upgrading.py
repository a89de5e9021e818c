"""`degrain upgrade`: what of a project belongs to the degrain that is installed, brought up to date with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import degrain
from degrain import files
from degrain.errors import OutputError, ParamsError
from degrain.programs.commands import git
from degrain.project import code, creation, graph, sources

# What a person may have written into, which is only replaced where git has it.
_MAY_BE_CHANGED = (graph.GRAPH, f"{creation.PIPELINES}/")


@dataclass(frozen=True)
class Change:
    """A file that is to be written.

    Attributes:
        name: Its path in the project.
        text: What it becomes.
        told: What changes with that, a line each.
    """

    name: str
    text: str
    told: list[str]


def planned(folder: Path) -> list[Change]:
    """Return what an upgrade would write.

    Raises:
        ParamsError: There is no project, or a file of it cannot be read.
        OutputError: It is a clone.
    """
    if sources.is_clone(folder):
        raise OutputError("this is a clone of degrain: git pull, and python -m pipelines.dependencies --write")
    if not (folder / graph.GRAPH).is_file():
        raise ParamsError(f"{folder.absolute()} holds no {graph.GRAPH}; degrain init makes a project")
    stages = graph.stages()
    found = [_code(folder, stages), _graph(folder), *(_plain(folder, name) for name in _plain_files(folder))]
    return [change for change in found if change is not None]


def write(folder: Path, changes: list[Change]) -> None:
    """Write what was planned.

    Raises:
        OutputError: A file holds changes that git does not have, or cannot be written.
    """
    for change in changes:
        if change.name.startswith(_MAY_BE_CHANGED) and git(folder, "status", "--porcelain", "--", change.name).output:
            raise OutputError(f"{change.name} holds changes that are not committed; commit them, and upgrade again")
    for change in changes:
        (folder / change.name).parent.mkdir(parents=True, exist_ok=True)
        with files.new_file(folder / change.name) as partial:
            partial.write_text(change.text, encoding="utf-8")


def _code(folder: Path, stages: list[str]) -> Change | None:
    before, text = code.read(folder), code.text(stages)
    after = code.parsed(text)
    if before == after:
        return None
    was, now = before.get(code.VERSION, "no version"), degrain.__version__
    told = [f"{code.CODE}: from {was} to {now}"] if was != now else []
    if others := [stage for stage in stages if before.get(stage) != after[stage]]:
        told.append(f"{code.CODE}: {', '.join(others)}: the code is another, and dvc repro runs it again")
    return Change(code.CODE, text, told or [f"{code.CODE}: stages that there are no more"])


def _graph(folder: Path) -> Change | None:
    text, told = graph.upgraded((folder / graph.GRAPH).read_text(encoding="utf-8"))
    return Change(graph.GRAPH, text, told) if told else None


def _plain_files(folder: Path) -> list[str]:
    flows = creation.pipelines() if (folder / creation.PIPELINES).is_dir() else []
    return [creation.PLOTS, *flows]


def _plain(folder: Path, name: str) -> Change | None:
    text, path = sources.text(name), folder / name
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return None
    return Change(name, text, [f"{name}: {'another' if path.is_file() else 'new'}"])
