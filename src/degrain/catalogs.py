"""What every catalog makes sure of when it is made: a name is taken once, and each declaration is complete.

When the code of a declaration fails later, it is refused in the same words: one line that begins with its file.
"""

from __future__ import annotations

import ast
import functools
import inspect
import math
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.errors import PydanticUndefinedAnnotation
from pydantic.fields import FieldInfo

from degrain.declaration import HOW, kind_of
from degrain.errors import DegrainError, ParamsError, Stopped, nearest

if TYPE_CHECKING:
    import numpy as np

Declared = TypeVar("Declared")
PACKAGE = Path(__file__).parent


def file_of(module: str) -> str:
    """Return the source file of a module of degrain, for messages.

    >>> file_of("degrain.metrics.psnr")
    'metrics/psnr.py'
    """
    return f"{module.partition('.')[2].replace('.', '/')}.py"


def file_of_function(called: Callable[..., Any]) -> str:
    """Return the source file of a function of degrain, or of what a partial one calls."""
    while isinstance(called, functools.partial):
        called = called.func
    return file_of(called.__module__)


def parsed(source: bytes, file: str) -> ast.Module:
    """Parse the source of a module of degrain.

    Args:
        source: What the file holds.
        file: What to call it.

    Raises:
        ParamsError: It is no Python; the message begins with file and line.
    """
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise ParamsError(f"{file}: {of_syntax(error)}") from None
    except ValueError as error:
        raise ParamsError(f"{file}: {error}") from None


def of_syntax(error: SyntaxError) -> str:
    """Return line and reason of a syntax error; a file that cannot be decoded has no line."""
    return f"line {error.lineno}: {error.msg}" if error.lineno else error.msg


def failed_import(error: Exception) -> str | None:
    """Say which declaration could not be imported, and why.

    Args:
        error: What was raised, with its traceback.

    Returns:
        One line that begins with file and line; None where the code that failed is not in a folder with a catalog, or
        was being run, not imported.
    """
    if isinstance(error, SyntaxError) and error.filename and _is_declared(path := Path(error.filename)):
        return f"{path.relative_to(PACKAGE).as_posix()}: {of_syntax(error)}"
    steps = [(Path(frame.f_code.co_filename), line, frame) for frame, line in traceback.walk_tb(error.__traceback__)]
    ours = [step for step in steps if step[0].is_relative_to(PACKAGE)]
    imported = {path for path, _, frame in ours if frame.f_code.co_name == "<module>"}
    if not ours or ours[-1][0] not in imported or not _is_declared(ours[-1][0]):
        return None
    path, line, _ = ours[-1]
    text = str(error).strip().partition("\n")[0]
    return f"{path.relative_to(PACKAGE).as_posix()}: line {line}: {type(error).__name__}: {text}"


def _is_declared(path: Path) -> bool:
    """Tell whether a file lies in a folder of the package that has a catalog."""
    return path.is_relative_to(PACKAGE) and (path.parent / "catalog.py").is_file()


@contextmanager
def blaming(file: str, name: str) -> Iterator[None]:
    """Turn any error of the code of a declaration into one line about it.

    Raises:
        ParamsError: The body raised something else than an error of degrain, or that it ran out of memory.
    """
    try:
        yield
    except (DegrainError, MemoryError, Stopped):
        raise
    except Exception as error:
        text = str(error).strip().partition("\n")[0]
        raise ParamsError(f"{file}: {name} does not work: {type(error).__name__}: {text}") from error


def require_finite(file: str, name: str, pixels: np.ndarray) -> None:
    """Refuse an image with NaN or infinity in it.

    Raises:
        ParamsError: A pixel is no finite number.
    """
    import numpy as np

    if not np.isfinite(pixels).all():
        raise ParamsError(f"{file}: {name} makes pixels that are no finite numbers")


def require_8_bits(file: str, name: str, pixels: np.ndarray) -> None:
    """Refuse an image of another type than uint8.

    Raises:
        ParamsError: It is of another type.
    """
    if pixels.dtype != "uint8":
        raise ParamsError(f"{file}: {name} returns {pixels.dtype}, and uint8 is needed")


def require_shape(file: str, name: str, shape: Sequence[int], expected: Sequence[int]) -> None:
    """Refuse a result of another shape.

    Raises:
        ParamsError: The shapes differ.
    """
    if tuple(shape) != tuple(expected):
        raise ParamsError(f"{file}: {name} returns the shape {tuple(shape)}, and {tuple(expected)} is needed")


def by_name(entries: Iterable[tuple[str, str, Declared]]) -> dict[str, Declared]:
    """Return dataclasses by their names.

    Args:
        entries: Name, file and declaration of each.

    Raises:
        ParamsError: A name is taken, or a field holds what it cannot hold; the message begins with the file.
    """
    found: dict[str, Declared] = {}
    files: dict[str, str] = {}
    for name, file, declared in entries:
        _take(name, file, files)
        check_fields(file, declared)
        found[name] = declared
    return found


def of_modules(kind: type[Declared], attribute: str, modules: Iterable[ModuleType]) -> dict[str, Declared]:
    """Return what each module declares under one attribute, by the names of the declarations.

    Raises:
        ParamsError: A module declares nothing, or see `by_name`.
    """
    entries = []
    for module in modules:
        declared, file = getattr(module, attribute, None), file_of(module.__name__)
        if not isinstance(declared, kind):
            raise ParamsError(f"{file}: needs {attribute} = {kind.__name__}(...)")
        entries.append((str(getattr(declared, "name", "")), file, declared))
    return by_name(entries)


def classes(base: type, union: Any) -> tuple[Any, ...]:
    """Return the classes of a union, each of which declares one kind of noise, loss or optimizer.

    Raises:
        ParamsError: A class has no name, several or one that is taken, has an annotation that names nothing, lacks a
            method or has one that takes other arguments, or see `check_section`; the message begins with the file.
    """
    found: tuple[Any, ...] = get_args(union)
    files: dict[str, str] = {}
    for declared in found:
        file = file_of(declared.__module__)
        _complete(file, declared)
        tag = kind_of(declared)
        if tag is None:
            raise ParamsError(f'{file}: {declared.__name__} needs a name, such as name: Literal["..."] (noise: kind)')
        if len(names := get_args(declared.model_fields[tag[0]].annotation)) > 1:
            raise ParamsError(f"{file}: {declared.__name__} needs one {tag[0]}, not {', '.join(map(repr, names))}")
        _take(tag[1], file, files)
        if missing := sorted(getattr(declared, "__abstractmethods__", ())):
            raise ParamsError(f"{file}: {declared.__name__} lacks the method {', '.join(missing)}")
        _check_methods(file, declared, base)
        check_section(file, declared)
    return found


def networks(declared: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return networks by name.

    Raises:
        ParamsError: A name is taken, a declaration is incomplete, or its options are nothing that JSON can hold.
    """
    found = by_name((name, spec.file, spec) for name, spec in declared)
    for name, spec in found.items():
        if spec.radius is None and not spec.fixed_size:
            raise ParamsError(f"{spec.file}: {name} needs a receptive radius (radius=...) or fixed_size=True")
        _check_recordable(spec.file, f"options of {name}", spec.options)
    return found


def optimizers(declared: Iterable[Any]) -> tuple[Any, ...]:
    """Return optimizers, each of which has a complete rule.

    Raises:
        ParamsError: One has none, or options that JSON cannot hold.
    """
    found = tuple(declared)
    for optimizer in found:
        file = file_of(optimizer.__module__)
        if not optimizer.rules:
            raise ParamsError(f"{file}: {optimizer.__name__} needs rules, the class that makes its updates by preset")
        for rule in optimizer.rules.values():
            check_fields(file, rule)
            for field in ("options", "constants"):
                _check_recordable(file, field, getattr(rule, field))
    return found


def check_section(file: str, declared: Any) -> None:
    """Refuse parameters that are declared with what `Field` does not take, or with a default that they do not allow.

    Args:
        file: That declares them.
        declared: Their class.

    Raises:
        ParamsError: One is; the message begins with the file.
    """
    given: dict[str, Any] = {}
    for name, field in declared.model_fields.items():
        for inner in (field, *_fields_within(field.annotation)):
            extra = inner.json_schema_extra if isinstance(inner.json_schema_extra, dict) else {}
            for word in extra.keys() - HOW.keys():
                known = inspect.signature(Field).parameters.keys() - {"extra"}
                raise ParamsError(f"{file}: {name}: Field takes no {word!r}{nearest(word, known)}")
        if not field.is_required():
            given[field.alias or name] = field.get_default(call_default_factory=True, validated_data={})
    try:
        declared.__pydantic_validator__.validate_python(given)
    except ValidationError as error:
        for one in error.errors():
            if one["loc"] and one["type"] != "missing":
                name = str(one["loc"][0])
                raise ParamsError(f"{file}: {name}: the default {given[name]!r} is refused: {one['msg']}") from None


def _fields_within(annotation: Any) -> Iterator[FieldInfo]:
    """What the parts of a type are declared with, as in `Annotated[float, Field(gt=0)] | None`."""
    for part in get_args(annotation):
        if isinstance(part, FieldInfo):
            yield part
        yield from _fields_within(part)


def check_fields(file: str, declared: object) -> None:
    """Refuse a dataclass with values that its annotations do not allow.

    Raises:
        ParamsError: A field holds what it cannot hold; the message begins with the file.
    """
    kind: Any = type(declared)
    for name, (hint, adapter) in _fields(kind).items():
        value = getattr(declared, name)
        try:
            adapter.validate_python(value, strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join([name, *map(str, first["loc"])])
            raise ParamsError(f"{file}: {where}: {first['msg']}, got {first['input']!r}") from None
        if get_origin(hint) is Callable and isinstance(takes := get_args(hint)[0], Sequence):
            check_call(file, name, inspect.signature(value), *takes)


def check_call(file: str, called: str, signature: inspect.Signature, *arguments: object, **options: object) -> None:
    """Refuse a function that cannot be called with some arguments.

    Raises:
        ParamsError: It cannot; the message begins with the file.
    """
    try:
        signature.bind(*arguments, **options)
    except TypeError as error:
        given = ", ".join([f"{len(arguments)} arguments", *options])
        raise ParamsError(f"{file}: {called} cannot be called with {given}: {error}") from None


def _check_recordable(file: str, what: str, options: object) -> None:
    """Refuse options that records and keys of trials cannot hold.

    Raises:
        ParamsError: JSON cannot hold one; the message begins with the file.
    """
    if not _is_json(options):
        raise ParamsError(
            f"{file}: {what}: should be numbers, texts, true, false, None, or lists and dictionaries of them, "
            f"got {options!r}"
        )


def _is_json(value: object) -> bool:
    """Tell whether JSON can hold a value; a tuple counts as a list."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(inner) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    return value is None or isinstance(value, int | str) or (isinstance(value, float) and math.isfinite(value))


def _take(name: str, file: str, files: dict[str, str]) -> None:
    if name in files:
        raise ParamsError(f"{file}: the name {name!r} is taken by {files[name]}; choose another")
    files[name] = file


def _complete(file: str, declared: Any) -> None:
    """Refuse a class with annotations that name nothing; pydantic would say so where the class is used first.

    Raises:
        ParamsError: An annotation does; the message begins with the file.
    """
    try:
        declared.model_rebuild()
    except PydanticUndefinedAnnotation as error:
        raise ParamsError(f"{file}: {declared.__name__}: {error.name} is not defined") from None


def _check_methods(file: str, declared: type, base: type) -> None:
    """Refuse methods that cannot be called like those of the base that they replace."""
    for name, general in vars(base).items():
        own = getattr(declared, name)
        if inspect.isfunction(general) and inspect.isfunction(own) and own is not general:
            check_call(
                file, f"{declared.__name__}.{name}", inspect.signature(own), *inspect.signature(general).parameters
            )


@functools.lru_cache
def _fields(kind: Any) -> dict[str, tuple[Any, TypeAdapter[Any]]]:
    hints = get_type_hints(kind, include_extras=True)
    return {name: (hint, TypeAdapter(hint, config={"arbitrary_types_allowed": True})) for name, hint in hints.items()}
