"""The import closure: which modules of degrain a piece of code runs, and which libraries they import.

It is read from the sources, so nothing is imported and no list is kept by hand. An import counts wherever it stands,
also inside a function, except below `if TYPE_CHECKING`. So does a string such as `degrain.optimizers.muon:Muon`, by
which something is imported by name. What cannot be followed is refused.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import resolve_name
from pathlib import Path

from degrain import catalogs
from degrain.errors import ParamsError

PACKAGE = Path(__file__).parent.parent
NAME = PACKAGE.name

# What a result may import and never depends on, with the reason.
IRRELEVANT: Mapping[str, str] = {
    NAME: "holds the version; a release as such changes no result",
    f"{NAME}.catalogs": "refuses incomplete declarations",
    f"{NAME}.console": "draws progress bars and log lines",
    f"{NAME}.errors": "holds the texts of errors",
    f"{NAME}.signatures": "refuses code that cannot be called as it is declared",
    f"{NAME}.studies.array_probes": "refuses noise, metrics and baselines that do not work",
    f"{NAME}.studies.network_probes": "refuses networks, losses and optimizers that do not work",
}
# The same of libraries.
IRRELEVANT_LIBRARIES: Mapping[str, str] = {
    "filelock": "makes processes wait for one another",
    "pydantic": "refuses values that are not allowed; those that decide are in each key themselves",
}
# Libraries that leave part of their arithmetic to others.
BEHIND: Mapping[str, tuple[str, ...]] = {
    "albumentations": ("albucore", "cv2", "scipy", "simsimd", "stringzilla"),
    "bm3d": ("bm4d", "scipy"),
    "skimage": ("pywt", "scipy"),
}
# How files of compiled modules end.
EXTENSIONS = (".so", ".pyd")
# By which a module finds files of its package, beside `__file__`.
RESOURCES = frozenset({"importlib.resources", "pkgutil"})
# Modules that import whatever lies in a package, by a name that is computed.
BY_NAME: Mapping[str, str] = {f"{NAME}.networks.catalog": f"{NAME}.networks"}

# Functions that import what a string names.
BY_STRING = frozenset({"import_module", "__import__"})
# They, and others that run code from elsewhere; then those by their bare names, since networks have a method eval.
RUNNING = BY_STRING | {"spec_from_file_location", "SourceFileLoader", "run_path", "run_module"}
BARE = RUNNING | {"exec", "eval"}
# The modules that may import by a name that they compute.
ACCOUNTED: Mapping[str, str] = {
    f"{NAME}.networks.base": "keys name the module of their network",
    f"{NAME}.optimizers.base": "declarations name the class in a string, which counts as an import",
}

# Modules that name everything of a kind, and compute nothing. What a result has of them is in its key, so that they are
# left out of it.
CATALOGS = frozenset(f"{NAME}.{kind}.catalog" for kind in ("networks", "noise", "losses", "optimizers", "shipped"))


@dataclass(frozen=True)
class Closure:
    """What a piece of code runs.

    Attributes:
        modules: The source file of each module of degrain, by its name; not those that hold only a docstring.
        data: Files beside these modules, or in folders there, that are no Python and that a module names, such as
            templates, and compiled modules that one imports. Of a module that asks where it lies, by `__file__` or
            importlib.resources, all of them: it may put their names together.
        libraries: Names under which other packages are imported, without the standard library.
        standard: Those of the standard library.
    """

    modules: Mapping[str, Path]
    data: frozenset[Path]
    libraries: frozenset[str]
    standard: frozenset[str]

    @property
    def files(self) -> list[Path]:
        """All files, sorted."""
        return sorted({*self.modules.values(), *self.data})


@dataclass(frozen=True)
class _Imports:
    modules: frozenset[str]
    libraries: frozenset[str]
    data: frozenset[Path]
    has_code: bool  # more than a docstring or another constant
    standard: frozenset[str]
    unknown: frozenset[str]  # of degrain, and no file of it
    runs_others: bool  # whether it imports or runs what it names by a computed string


@lru_cache(maxsize=256)
def closure(*roots: str, without: frozenset[str] = frozenset()) -> Closure:
    """Follow the imports of some modules.

    Args:
        roots: Names of modules, such as "degrain.training.loop".
        without: Names of modules that are left out, with whatever only they import, because what they say is accounted
            for otherwise. A root is never left out.

    Raises:
        KeyError: There is no such module.
        ParamsError: A module is no Python, imports what cannot be followed, or what is no file of degrain.
    """
    known = modules()
    found: dict[str, Path] = {}
    libraries: set[str] = set()
    standard: set[str] = set()
    data: set[Path] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found or name in IRRELEVANT or (name in without and name not in roots):
            continue
        found[name] = known[name]
        imports = _imports(known[name])
        _require_known(name, known[name], imports)
        libraries |= imports.libraries - IRRELEVANT_LIBRARIES.keys()
        standard |= imports.standard
        data |= imports.data
        # NOTE: importing a module runs the packages around it first.
        waiting += [*imports.modules, *_parents(name)]
        if package := BY_NAME.get(name):
            waiting += [module for module in known if module.startswith(f"{package}.")]
    behind = {other for library in libraries for other in BEHIND.get(library, ())}
    code = {name: path for name, path in sorted(found.items()) if _imports(path).has_code}
    return Closure(code, frozenset(data), frozenset(libraries | behind), frozenset(standard))


def importer(found: Closure, library: str) -> str:
    """Return the file of a closure that imports a library, or one that leaves arithmetic to it; in the package."""
    wanted = {library, *(other for other, behind in BEHIND.items() if library in behind)}
    imported = {path: _imports(path) for path in found.modules.values()}
    paths = [path for path, imports in imported.items() if wanted & (imports.libraries | imports.standard)]
    return paths[0].relative_to(PACKAGE).as_posix()


@lru_cache(maxsize=1)
def modules() -> Mapping[str, Path]:
    """Return the source file of every module of degrain, by its name."""
    return dict(_modules())


def relevant_files() -> set[Path]:
    """Return the source files that hold more than a docstring, and the files that modules name.

    Raises:
        ParamsError: One is no Python.
    """
    found = {path: _imports(path) for path in modules().values()}
    return {path for path, imports in found.items() if imports.has_code}.union(*(one.data for one in found.values()))


def _modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _parents(name: str) -> Iterator[str]:
    while name := name.rpartition(".")[0]:
        yield name


def _imports(path: Path) -> _Imports:
    package = ".".join(path.parent.relative_to(PACKAGE.parent).parts)
    file = path.relative_to(PACKAGE).as_posix()
    return _imports_of(path.read_bytes(), file, package, frozenset(modules()), _below(path.parent))


@lru_cache(maxsize=128)
def _below(folder: Path) -> frozenset[Path]:
    """Files of the package in a folder or below it that are no Python."""
    return frozenset(path for path in _others() if path.is_relative_to(folder))


@lru_cache(maxsize=1)
def _others() -> tuple[Path, ...]:
    files = (path for path in PACKAGE.rglob("*") if path.suffix not in (".py", ".pyc"))
    return tuple(path for path in files if path.is_file())


@lru_cache(maxsize=1024)
def _imports_of(source: bytes, file: str, package: str, known: frozenset[str], beside: frozenset[Path]) -> _Imports:
    tree = catalogs.parsed(source, file)
    nodes = list(_nodes(tree))
    names = {name for node in nodes for name in _names(node, package)}
    places = {node.id for node in nodes if isinstance(node, ast.Name)} & {"__file__"} | names & RESOURCES
    strings = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    by_string = {text.partition(":")[0] for text in strings if ":" in text}
    ours = {name for name in names | by_string if name in known}
    others = {name.partition(".")[0] for name in names} - {NAME, ""}
    standard = others & sys.stdlib_module_names
    has_code = not all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in tree.body)
    compiled = {name.rpartition(".")[2] for name in names if name.startswith(f"{NAME}.")}
    extensions = {path: path.name.partition(".")[0] for path in beside if path.suffix in EXTENSIONS}
    binaries = {path for path, name in extensions.items() if name in compiled}
    whole = {name for name in _whole(nodes, package) if name.startswith(f"{NAME}.")} - known
    unknown = {name for name in whole if name.rpartition(".")[2] not in extensions.values()}
    data = beside | _named(strings, frozenset(_others())) if places else _named(strings, beside)
    return _Imports(
        frozenset(ours),
        frozenset(others - standard),
        data | binaries,
        has_code,
        frozenset(standard),
        frozenset(unknown),
        _runs_others(nodes),
    )


def _require_known(name: str, path: Path, imports: _Imports) -> None:
    """Refuse a module of which it cannot be told what it imports.

    Raises:
        ParamsError: It is one.
    """
    file = path.relative_to(PACKAGE).as_posix()
    for missing in sorted(imports.unknown):
        raise ParamsError(f"{file}: it imports {missing}, which is no file of {NAME}; links are not followed")
    if imports.runs_others and name not in ACCOUNTED:
        raise ParamsError(f"{file}: it imports or runs code that no key can follow; write an import of its whole name")


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes, without those below `if TYPE_CHECKING`."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def _named(strings: set[str], beside: frozenset[Path]) -> frozenset[Path]:
    """Files beside or below a module that it names, and those that they name: a template includes others."""
    found: set[Path] = set()
    # The last part of `tables/gain.npy`, too.
    names = {text.rpartition("/")[2] for text in strings}
    waiting = {path for path in beside if path.name in names}
    while waiting:
        found |= waiting
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in waiting]
        waiting = {
            path for path in beside - found if any(f'{mark}{path.name}"' in text for text in texts for mark in '"/')
        }
    return frozenset(found)


def _whole(nodes: Sequence[ast.AST], package: str) -> Iterator[str]:
    """Names that must be modules."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield resolve_name("." * node.level + (node.module or ""), package)


def _runs_others(nodes: Sequence[ast.AST]) -> bool:
    """Whether code imports or runs what no import names: by computed names, from files, or from other folders."""
    followed = {id(node.func) for node in nodes if isinstance(node, ast.Call) and _literal(node)}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            if any(one.name in RUNNING and one.asname for one in node.names):
                return True
        elif isinstance(node, ast.Name):
            if node.id in BARE and id(node) not in followed:
                return True
        elif isinstance(node, ast.Attribute):
            if node.attr in RUNNING and id(node) not in followed:
                return True
            if node.attr == "path" and isinstance(node.value, ast.Name) and node.value.id == "sys":
                return True
    return False


def _last(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _literal(call: ast.Call) -> str:
    """The whole name of a module that a call imports; empty if it imports none, or one that is computed or relative."""
    first = call.args[0] if call.args and _last(call.func) in BY_STRING else None
    text = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
    return "" if text.startswith(".") else text


def _names(node: ast.AST, package: str) -> Iterator[str]:
    """Names that an import may make modules of; in `from a import b`, b may be one or not."""
    if isinstance(node, ast.Call):
        yield _literal(node)
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = resolve_name("." * node.level + (node.module or ""), package)
        yield base
        if base.partition(".")[0] in (NAME, "importlib"):
            yield from (f"{base}.{alias.name}" for alias in node.names)
