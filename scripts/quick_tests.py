"""Run the tests that a change needs, the nearest first, for at most so many seconds: make test-quick.

How near a file of tests is to a changed module is told by its imports: 1 where it imports it, 2 where it imports what
imports it. The tests in the folder that mirrors the module's are near by their place; those that name a changed file
that is no module, such as README.md, by their text. Slow tests, whole runs of the pipeline, what is farther away and
what would begin too late are left out, and it is said how many.

Nothing has to be recorded before, unlike for pytest-testmon, which has to run all tests once under coverage, knows
nothing of data files, and does not see what tests start as processes.
"""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("src", "pipelines", "scripts", "benchmarks", "tests")
# Files of tests that are farther away are left out.
FARTHEST = 2
SECONDS = 45
# What all tests import says nothing of any.
SHARED = frozenset({"tests.conftest", "degrain"})
# When no test may begin any more, in seconds since the epoch; set for the processes of pytest.
DEADLINE = "DEGRAIN_QUICK_DEADLINE"
LATE = "left out: its turn came too late; make test runs it"


def changed(base: str) -> list[str]:
    """Return the files that differ from where this branch left another, also those that git does not know yet."""
    of_branch = _git("diff", "--name-only", "--merge-base", base)
    return sorted({*of_branch, *_git("ls-files", "--others", "--exclude-standard")})


def _git(*words: str) -> list[str]:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"test-quick: git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.splitlines()


@dataclass(frozen=True)
class Imports:
    """The project's Python files by the names under which they are imported, and who imports each."""

    files: Mapping[str, Path]
    importers: Mapping[str, set[str]]

    @classmethod
    def read(cls) -> Imports:
        """Read all of them."""
        files = {}
        for folder in FOLDERS:
            for path in sorted((ROOT / folder).rglob("*.py")):
                parts = path.relative_to(ROOT / "src" if folder == "src" else ROOT).with_suffix("").parts
                files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        importers: dict[str, set[str]] = {name: set() for name in files}
        for name, path in files.items():
            for other in _imported(path, files) - SHARED:
                importers[other].add(name)
        return cls(files, importers)


def near(files: Collection[str], imports: Imports) -> dict[str, int]:
    """Return the files of tests that some changed files concern, the nearest first, with how far away they are.

    Args:
        files: Which have changed, by their paths in the project.
        imports: Of the project.
    """
    known = imports.files
    names = {path.relative_to(ROOT).as_posix(): name for name, path in known.items()}
    distance = {names[file]: 0 for file in files if file in names}
    tests = {name for name in known if known[name].name.startswith("test_")}
    others = [file for file in files if file not in names]
    distance |= {name: 1 for name in tests if name not in distance and _names(known[name], others)}
    waiting = sorted(distance, key=lambda name: distance[name])
    for name in waiting:
        for importer in sorted(imports.importers[name] - distance.keys()):
            distance[importer] = distance[name] + 1
            waiting.append(importer)
    rooms, stems = {_room(file) for file in files}, {Path(file).stem for file in files}
    distance |= {name: 1 for name in tests if _room(known[name].relative_to(ROOT).as_posix()) in rooms - {""}}
    found = {known[name].relative_to(ROOT).as_posix(): distance[name] for name in tests & distance.keys()}

    def order(one: tuple[str, int]) -> tuple[bool, int, str]:
        name, away = one
        return Path(name).stem.removeprefix("test_") not in stems, away, name

    return dict(sorted(found.items(), key=order))


def _room(file: str) -> str:
    """The folder that a module and its tests share by name, such as patches; empty if there is none."""
    parts = Path(file).parent.parts
    return "/".join(parts[2:] if parts[:2] == ("src", "degrain") else parts[1:] if parts[:1] == ("tests",) else parts)


def _names(tests: Path, files: Collection[str]) -> bool:
    """Whether a file of tests names one of some other files, or the folder of one."""
    if not files:
        return False
    text = tests.read_text(encoding="utf-8")
    words = {Path(file).name for file in files} | {Path(file).parent.name for file in files} - {""}
    return any(f"{mark}{word}{end}" in text for word in words for mark in "\"'/" for end in "\"'/")


def _imported(path: Path, known: Collection[str]) -> set[str]:
    """The project's modules that a file imports, wherever in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {name for node in ast.walk(tree) for name in _of_node(node) if name in known}


def _of_node(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Begin no test after the deadline."""
    if time.time() > float(os.environ[DEADLINE]):
        pytest.skip(LATE)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that need a whole run of the pipeline, or much of one."""
    runs = getattr(sys.modules.get("tests.conftest"), "RUNS", set())
    kept = [item for item in items if not runs & set(getattr(item, "fixturenames", ()))]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where every test came too late, as on a machine that is busy."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and reporter.stats.get("skipped") and not (reporter.stats.keys() & {"passed", "failed", "error"}):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def main(words: list[str]) -> int:
    """Run the command; returns pytest's exit code."""
    parser = argparse.ArgumentParser("test-quick", description=__doc__)
    parser.add_argument("--base", default="main", help="the branch that this one is held against (main)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"after which no test begins ({SECONDS})")
    asked = parser.parse_args(words)
    began = time.time()
    files = changed(asked.base)
    found = near(files, Imports.read())
    close = [name for name, away in found.items() if away <= FARTHEST]
    print(f"{len(files)} files differ from {asked.base}; {len(close)} files of tests are near them", flush=True)
    code = 0
    if close:
        quick = "not slow and not services and not browser"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", "-p", "scripts.quick_tests"]
        environment = os.environ | {DEADLINE: str(began + asked.seconds)}
        done = subprocess.run([*command, "-m", quick, *close], cwd=ROOT, env=environment, check=False)
        code = 0 if done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED else done.returncode
    print(f"{time.time() - began:.0f} s. Left out: {len(found) - len(close)} files of tests farther away, slow tests,")
    print("whole runs of the pipeline, and those that are called skipped above since their turn came too late.")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
