"""Run `degrain` commands in a Python that seems to have the core of the package only, with none of its extras.

python -P tests/core_only.py [EXTRA,...] < commands.json > results.json

The input is a list of commands, each a list of words; the output has for each its exit code, what it printed, its
messages, and the traceback of what it did not catch.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import re
import sys
import tomllib
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(extra: str = "") -> list[Requirement]:
    """What pyproject.toml lists for an extra, or for the core."""
    return [
        Requirement(text) for text in (PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"])
    ]


def brought(requirements: Sequence[Requirement]) -> set[str]:
    """Normal names of the installed distributions that requirements bring, with all that those need."""
    found: set[tuple[str, str]] = set()
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        name = normal(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) in found:
                continue
            found.add((name, extra))
            if name == normal(PROJECT["name"]):
                waiting += declared(extra)
                continue
            try:
                needed = map(Requirement, importlib.metadata.requires(name) or [])
            except importlib.metadata.PackageNotFoundError:  # of another platform
                continue
            waiting += [one for one in needed if one.marker is None or one.marker.evaluate({"extra": extra})]
    return {name for name, _ in found}


def modules() -> Mapping[str, set[str]]:
    """Normal names of the distributions that bring each top-level module."""
    found = importlib.metadata.packages_distributions()
    return {module: set(map(normal, distributions)) for module, distributions in found.items()}


class Others:
    """Finds what lies on the path, but neither what is hidden nor its metadata."""

    def __init__(self, kept: set[str]) -> None:
        self.kept = kept
        self.hidden = {module for module, distributions in modules().items() if not distributions & kept}

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        return None if name.partition(".")[0] in self.hidden else PathFinder.find_spec(name, path)

    def find_distributions(
        self, context: importlib.metadata.DistributionFinder.Context
    ) -> Iterator[importlib.metadata.Distribution]:
        found = importlib.metadata.MetadataPathFinder.find_distributions(context)
        return (one for one in found if normal(one.metadata["Name"]) in self.kept)

    def invalidate_caches(self) -> None:
        PathFinder.invalidate_caches()


def hide(extras: Sequence[str]) -> None:
    """Hide every distribution that neither the core nor one of some extras brings."""
    requirements = [*declared(), *(one for extra in extras for one in declared(extra))]
    finder = Others(brought(requirements) | {normal(PROJECT["name"])})
    sys.meta_path[:] = [finder if one is PathFinder else one for one in sys.meta_path]


def run(command: Sequence[str]) -> dict[str, object]:
    from degrain.cli.main import main

    out, errors, code = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(errors):
        try:
            main(list(command))
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
        except BaseException:
            traceback.print_exc()
            code = 1
    return {"code": code, "out": out.getvalue(), "errors": errors.getvalue()}


if __name__ == "__main__":
    hide([extra for extra in sys.argv[1:] if extra])
    json.dump([run(command) for command in json.load(sys.stdin)], sys.stdout)
