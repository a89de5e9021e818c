"""Parameters that come from Python and not from a params.yaml, refused in the same words."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from degrain.errors import ParamsError
from degrain.params.study import explained

T = TypeVar("T")


def checked(kind: type[T] | Any, raw: object, *place: str) -> T:
    """Check parameters.

    Args:
        kind: What they are to be: a section, or an annotation such as `AnyNoise`.
        raw: As YAML would hold them.
        place: Where they would stand in params.yaml, such as "prepare", "noise"; messages name the last of it.

    Raises:
        ParamsError: One is unknown (with the nearest known one), missing or impossible.

    >>> from degrain.noise.catalog import AnyNoise
    >>> checked(AnyNoise, {"kind": "gaussian", "sigma": 10}, "prepare", "noise").sigma
    10.0
    """
    try:
        made: T = TypeAdapter(kind).validate_python(raw)
    except ValidationError as error:
        content: Any = raw
        for name in reversed(place):
            content = {name: content}
        problems: list[Any] = [{**problem, "loc": (*place, *problem["loc"])} for problem in error.errors()]
        text = explained(problems, content)
        raise ParamsError(text.removeprefix(".".join(place[:-1]) + ".") if place[1:] else text) from None
    return made
