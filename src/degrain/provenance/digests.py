"""Digests of what decides a result."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import json
import sysconfig
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from degrain import files
from degrain.errors import ParamsError
from degrain.provenance import closure
from degrain.provenance.closure import Closure

# What is wrong with code that changes while nothing of it is known.
_NO_KEY = "its code is in no key; install it without -e, or put it into src/degrain, under a name of its own"
# Where Python's own modules lie.
_STANDARD = Path(sysconfig.get_path("stdlib")).resolve()


def code(found: Closure) -> dict[str, str]:
    """Return the digest of each file of a closure, by its path in the package.

    Comments, docstrings, layout and the texts that describe parameters do not count.
    """
    return {path.relative_to(closure.PACKAGE).as_posix(): _digest(path) for path in found.files}


def versions(found: Closure) -> dict[str, str]:
    """Return the installed version of each library that a closure imports, by the name of its distribution.

    Raises:
        ParamsError: A library is no installed package, or is installed as editable, so that its code may change while
            its version does not; or other code has its name and comes first.
    """
    named: dict[str, str] = {}
    for library in sorted(found.standard):
        if not _comes_from(library, _STANDARD):
            _refuse(found, library, "is not that of Python")
    for library in sorted(found.libraries):
        distributions = _distributions(library)
        if not _comes_from(library, *map(_folder, distributions)):
            _refuse(found, library, "is no installed package")
        for distribution in distributions:
            if _origin(distribution).get("dir_info", {}).get("editable"):
                _refuse(found, library, "is installed as editable")
            named[distribution] = _version(distribution)
    return named


def _refuse(found: Closure, library: str, why: str) -> None:
    raise ParamsError(f"{closure.importer(found, library)}: {library} {why}: {_NO_KEY}")


@cache
def _comes_from(library: str, *folders: Path) -> bool:
    """Whether what is imported under a name lies in one of some folders, or is nowhere; nothing is imported."""
    spec = importlib.util.find_spec(library)
    if spec is None or spec.origin in ("built-in", "frozen"):
        return True
    places = [Path(place).resolve() for place in spec.submodule_search_locations or [str(spec.origin)]]
    return all(any(place.is_relative_to(folder) for folder in folders) for place in places)


@cache
def _folder(distribution: str) -> Path:
    """Where the packages of a distribution lie."""
    return Path(str(importlib.metadata.distribution(distribution).locate_file(""))).resolve()


@cache
def _version(distribution: str) -> str:
    """The version; of what comes from a folder or a repository, which may have changed under it, with a digest."""
    version = importlib.metadata.version(distribution)
    if not _origin(distribution):
        return version
    record = importlib.metadata.distribution(distribution).read_text("RECORD") or ""
    return f"{version}+{files.digest(record)[:12]}"


@cache
def _distributions(library: str) -> tuple[str, ...]:
    """Of what is imported as cv2: opencv-python-headless. Nothing of what is not installed."""
    return tuple(sorted(set(_by_import_name().get(library, ()))))


@cache
def _origin(distribution: str) -> dict[str, Any]:
    """What a distribution was installed from, if that was no index: see PEP 610."""
    told: dict[str, Any] = json.loads(
        importlib.metadata.distribution(distribution).read_text("direct_url.json") or "{}"
    )
    return told


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
