"""Changing the code, as a careless or a clever edit would: one constant of a module, in a copy of the package."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from degrain.provenance import closure


def forget() -> None:
    """Let the sources be read again."""
    for cached in (closure.closure, closure.modules, closure._below, closure._others):
        cached.cache_clear()


@contextmanager
def copied_package(folder: Path) -> Iterator[Path]:
    """A copy of the package's sources that may be changed, from which all digests are computed meanwhile."""
    copied = folder / "degrain"
    shutil.copytree(closure.PACKAGE, copied, ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(closure, "PACKAGE", copied)
        forget()
        yield copied
    forget()


@contextmanager
def changed_code(folder: Path, name: str) -> Iterator[None]:
    """Change a constant of one module, named by its path in the package."""
    with copied_package(folder) as package:
        path = package / name
        path.write_text(mutated(path.read_text()))
        forget()
        yield


def mutated(source: str) -> str:
    """Return Python source with one constant, or else one name, changed; comments are lost.

    Raises:
        ValueError: There is nothing that could be changed.
    """
    tree = ast.parse(source)
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    descriptions = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "description"
        for inner in ast.walk(node.value)
    }
    for node in ast.walk(tree):
        if id(node) in texts | descriptions or not isinstance(node, ast.Constant):
            continue
        if type(node.value) in (int, float):
            node.value += 1
        elif type(node.value) is bool:
            node.value = not node.value
        elif isinstance(node.value, str) and not node.value.startswith("degrain"):
            node.value += "x"
        else:
            continue
        return ast.unparse(tree) + "\n"
    raise ValueError("no constant to change")
