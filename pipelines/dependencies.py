"""The code that each stage of dvc.yaml depends on, from the imports of its module.

    python -m pipelines.dependencies            say what dvc.yaml lacks and what it has too much
    python -m pipelines.dependencies --write    write it into dvc.yaml

A folder stands for its files where a stage runs all of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from degrain.errors import ParamsError
from degrain.provenance import closure

SOURCES = "src/"


def of_stage(name: str) -> list[str]:
    """Return the files and folders of code that a stage runs, relative to the project, sorted."""
    used = set(closure.closure(f"degrain.stages.{name}").files)
    inside: dict[Path, set[Path]] = {}
    for path in closure.relevant_files():
        for folder in path.parents:
            inside.setdefault(folder, set()).add(path)
    shortest = _shortest(closure.PACKAGE, used, inside)
    return sorted(f"{SOURCES}{path.relative_to(closure.PACKAGE.parent).as_posix()}" for path in shortest)


def _shortest(folder: Path, used: set[Path], inside: Mapping[Path, set[Path]]) -> Iterator[Path]:
    """Folders of which everything that could be used is used, and the files of the others."""
    for path in folder.iterdir():
        if path in used or (path in inside and inside[path] <= used):
            yield path
        elif path in inside:
            yield from _shortest(path, used, inside)


def differences(graph: dict[str, Any]) -> list[str]:
    """Say in a line each what the stages of dvc.yaml lack and what they have too much."""
    found = []
    for name, stage in graph["stages"].items():
        declared = {dep for dep in stage["deps"] if dep.startswith(SOURCES)}
        needed = set(of_stage(name))
        found += [f"{name} lacks {dep}" for dep in sorted(needed - declared)]
        found += [f"{name} does not run {dep}" for dep in sorted(declared - needed)]
    return found


def update(path: Path) -> list[str]:
    """Write the code dependencies of all stages into dvc.yaml; the rest of the file stays as it is.

    Returns:
        What was different.
    """
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 120
    graph = yaml.load(path)
    found = differences(graph)
    for name, stage in graph["stages"].items():
        others = [dep for dep in stage["deps"] if not dep.startswith(SOURCES)]
        stage["deps"][:] = [*others, *of_stage(name)]
    if found:
        with path.open("w", encoding="utf-8") as file:
            yaml.dump(graph, file)
    return found


def main(arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    if arguments not in ([], ["--write"]):
        sys.stderr.write(f"{__doc__}")
        return 2
    path = Path("dvc.yaml")
    try:
        found = update(path) if arguments else differences(YAML().load(path))
    except ParamsError as error:
        sys.stderr.write(f"dependencies: {error}\n")
        return 2
    for line in found:
        sys.stdout.write(f"{line}\n")
    return 1 if found and not arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
