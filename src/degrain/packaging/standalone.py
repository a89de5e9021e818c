"""The one file of code of a packaged model, made of the sources of `serving.py` and of what it imports of degrain.

So what a package executes is written once, is tested here, and needs no degrain where it is loaded.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import degrain
from degrain.errors import ModelError

NAME = degrain.__name__
# What MLflow is to load.
SERVED = "degrain.packaging.serving:ImageDenoiser"

_HEAD = '''\
"""A denoising model for MLflow, written by degrain {version}.

Loading the model executes this file and nothing else of the package. It needs the libraries of requirements.txt, and
neither degrain nor PyTorch. It is made of these modules of degrain:

{modules}

{about}
"""
'''


@dataclass(frozen=True)
class _Part:
    """A module's source, taken apart: its docstring, the imports that stay, and the text without both."""

    name: str
    about: str
    imports: list[ast.Import | ast.ImportFrom]
    text: str
    names: list[str]


def source() -> str:
    """Return the Python source of the one file.

    Raises:
        ModelError: The modules cannot be one file: two of them use one name, or import names in other ways than
            `from degrain.room.module import name`.
    """
    served, _, name = SERVED.partition(":")
    parts = _parts(served, {})
    twice = [name for name, count in Counter(name for part in parts for name in part.names).items() if count > 1]
    if twice:
        raise ModelError(f"{', '.join(part.name for part in parts)} cannot be one file: all name {', '.join(twice)}")
    modules = "\n".join(f"- {part.name}" for part in parts)
    head = _HEAD.format(version=degrain.__version__, modules=modules, about=parts[-1].about)
    imports = _imports(node for part in parts for node in part.imports)
    bodies = [f"# {part.name}\n# {part.about.splitlines()[0]}\n\n{part.text}" for part in parts]
    end = f"mlflow.models.set_model({name}())\n"
    return "\n\n".join([f"{head}\n{imports}", *bodies, end])


def _parts(name: str, known: dict[str, _Part]) -> list[_Part]:
    """A module and those that it imports of degrain, each after what it imports itself."""
    if name not in known:
        text = _file(name).read_text(encoding="utf-8")
        tree = ast.parse(text)
        own = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        inner = [node for node in own if any(module.partition(".")[0] == NAME for module in _modules(node))]
        for node in own:
            if isinstance(node, ast.ImportFrom) and any(one.asname for one in node.names):
                raise ModelError(f"{name}: {ast.unparse(node)!r} gives another name, which no other module may have")
        for node in inner:
            if not isinstance(node, ast.ImportFrom):
                raise ModelError(f"{name}: write {ast.unparse(node)!r} as from MODULE import NAME")
            _parts(str(node.module), known)
        about, rest = ast.get_docstring(tree) or "", tree.body[1:]
        gone = {line for node in [tree.body[0], *own] for line in range(node.lineno, (node.end_lineno or 0) + 1)}
        lines = [line for number, line in enumerate(text.splitlines(), 1) if number not in gone]
        kept = [node for node in own if node not in inner]
        known[name] = _Part(name, about, kept, "\n".join(lines).strip("\n"), list(_defined(rest)))
    return list(known.values())


def _file(name: str) -> Path:
    found = find_spec(name)
    if found is None or found.origin is None:
        raise ModelError(f"there is no source of {name}")
    return Path(found.origin)


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [str(node.module)] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]


def _defined(body: Iterable[ast.stmt]) -> Iterable[str]:
    """Names that statements give at the top of a module."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name))


def _imports(nodes: Iterable[ast.Import | ast.ImportFrom]) -> str:
    """All imports, each once."""
    whole = {"import mlflow.models"}
    names: dict[str, set[str]] = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            names.setdefault(str(node.module), set()).update(one.name for one in node.names)
        else:
            whole.update(f"import {ast.unparse(one)}" for one in node.names)
    future = names.pop("__future__", set())
    lines = [f"from __future__ import {', '.join(sorted(future))}\n", *sorted(whole)]
    lines += [f"from {module} import {', '.join(sorted(wanted))}" for module, wanted in sorted(names.items())]
    return "\n".join(lines) + "\n"
