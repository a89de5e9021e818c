"""What functions and classes take, read from the sources: importing those that need PyTorch takes seconds."""

from __future__ import annotations

import ast
import importlib.util
import inspect
from collections.abc import Iterator, Mapping
from functools import lru_cache
from inspect import Parameter
from pathlib import Path
from typing import Any, Protocol

from degrain import catalogs
from degrain.errors import ParamsError, nearest


class Declared(Protocol):
    """What a network's declaration says of its code, see `degrain.networks.base.ModelSpec`."""

    @property
    def file(self) -> str:
        """For messages."""

    @property
    def module(self) -> str:
        """Of the networks."""

    @property
    def function(self) -> str:
        """That builds it."""

    @property
    def options(self) -> Mapping[str, Any]:
        """That the function gets beside channels and size."""


def of(module: str, name: str) -> inspect.Signature | None:
    """Return what a function takes, or a class when it is called.

    Args:
        module: Full name, such as "torch.optim".
        name: Of the function or class.

    Returns:
        The signature without annotations and defaults; None where the sources do not say it.

    Raises:
        LookupError: There is no such module, or nothing of that name in it; the text says which.
    """
    path = _path(module)
    if path is None:
        raise LookupError(f"there is no module {module}")
    named = _named(path)
    node = named.get(name)
    if isinstance(node, ast.ImportFrom):
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        origin = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
        real = next(alias.name for alias in node.names if name in (alias.asname, alias.name))
        return of(origin, real) if _path(origin) else None
    if isinstance(node, ast.FunctionDef):
        return _signature(node.args)
    if isinstance(node, ast.ClassDef):
        makers = [inner for inner in node.body if isinstance(inner, ast.FunctionDef) and inner.name == "__init__"]
        return _signature(makers[0].args, method=True) if makers else None
    if node is None and "*" not in named:
        raise LookupError(f"{module} has no {name}{nearest(name, named)}")
    return None


def check(file: str, where: str, *arguments: object, **options: object) -> None:
    """Refuse code that is missing or cannot be called with some arguments.

    Args:
        file: What names it, for the message.
        where: Module and function or class, such as "torch.optim:Adam".
        arguments, options: What it is called with; only their number and names count.

    Raises:
        ParamsError: It cannot; the message begins with the file.
    """
    module, _, name = where.partition(":")
    try:
        signature = of(module, name)
    except SyntaxError as error:
        raise ParamsError(f"{file}: {catalogs.of_syntax(error)}") from None
    except LookupError as error:
        raise ParamsError(f"{file}: {error}") from None
    if signature:
        catalogs.check_call(file, name, signature, *arguments, **options)


def check_network(spec: Declared) -> None:
    """Refuse a network whose function is missing or takes other arguments than (channels, size) and its options.

    Raises:
        ParamsError: It does; the message begins with its file.
    """
    check(spec.file, f"degrain.networks.{spec.module}:{spec.function}", "channels", "size", **spec.options)


def _path(module: str) -> Path | None:
    """The source file of a module; none of the packages around it is imported."""
    top, *inner = module.split(".")
    spec = importlib.util.find_spec(top)
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        base = Path(folder, *inner)
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                return path
    return None


@lru_cache
def _named(path: Path) -> dict[str, ast.stmt]:
    """The statement that gives each name of a module its meaning."""
    return {name: node for node in _statements(ast.parse(path.read_bytes()).body) for name in _names(node)}


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from _statements([*node.body, *node.orelse])


def _names(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in node.names)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def _signature(arguments: ast.arguments, method: bool = False) -> inspect.Signature:
    plain = [*arguments.posonlyargs, *arguments.args]
    optional = len(plain) - len(arguments.defaults)
    found = [
        Parameter(
            argument.arg,
            Parameter.POSITIONAL_ONLY if number < len(arguments.posonlyargs) else Parameter.POSITIONAL_OR_KEYWORD,
            default=Parameter.empty if number < optional else ...,
        )
        for number, argument in enumerate(plain)
    ]
    if arguments.vararg:
        found.append(Parameter(arguments.vararg.arg, Parameter.VAR_POSITIONAL))
    found += [
        Parameter(argument.arg, Parameter.KEYWORD_ONLY, default=Parameter.empty if default is None else ...)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    if arguments.kwarg:
        found.append(Parameter(arguments.kwarg.arg, Parameter.VAR_KEYWORD))
    return inspect.Signature(found[1:] if method else found)
