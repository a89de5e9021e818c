"""Digests of what decides a result."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import json
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

from pydantic import JsonValue

from degrain import files
from degrain.errors import ParamsError
from degrain.provenance import closure
from degrain.provenance.closure import Closure

# What is wrong with code that changes while nothing of it is known.
_NO_KEY = "its code is in no key; install it without -e, or put it into src/degrain"


def code(found: Closure) -> dict[str, str]:
    """Return the digest of each file of a closure, by its path in the package.

    Comments, docstrings, layout and the texts that describe parameters do not count.
    """
    return {path.relative_to(closure.PACKAGE).as_posix(): _digest(path) for path in found.files}


def versions(found: Closure) -> dict[str, str]:
    """Return the installed version of each library that a closure imports, by the name of its distribution.

    Raises:
        ParamsError: A library is no installed package, or is installed as editable, so that its code may change while
            its version does not.
    """
    named: dict[str, str] = {}
    for library in sorted(found.libraries):
        distributions = _distributions(library)
        if not distributions and importlib.util.find_spec(library):
            raise ParamsError(f"{closure.importer(found, library)}: {library} is no installed package: {_NO_KEY}")
        for distribution in distributions:
            if _is_editable(distribution):
                raise ParamsError(f"{closure.importer(found, library)}: {library} is installed as editable: {_NO_KEY}")
            named[distribution] = importlib.metadata.version(distribution)
    return named


@cache
def _distributions(library: str) -> tuple[str, ...]:
    """Of what is imported as cv2: opencv-python-headless. Nothing of what is not installed."""
    return tuple(sorted(set(_by_import_name().get(library, ()))))


@cache
def _is_editable(distribution: str) -> bool:
    """Whether a distribution is a link to a folder that may change, see PEP 610."""
    told = importlib.metadata.distribution(distribution).read_text("direct_url.json")
    return bool(told and json.loads(told).get("dir_info", {}).get("editable"))


@lru_cache(maxsize=1)
def _by_import_name() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _digest(path: Path) -> str:
    return _digest_of(path.read_bytes()) if path.suffix == ".py" else files.sha256(path)


@lru_cache(maxsize=1024)
def _digest_of(source: bytes) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            del node.body[0]
        elif isinstance(node, ast.Call) and _name(node.func) == "Field":
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "description"]
    return files.digest(_plain(tree))


def _plain(node: object) -> JsonValue:
    """A syntax tree without its empty fields, which one version of Python has and another one does not."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields: dict[str, JsonValue] = {
        name: _plain(value) for name, value in ast.iter_fields(node) if value is not None and value != []
    }
    return [type(node).__name__, fields]


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else ""
