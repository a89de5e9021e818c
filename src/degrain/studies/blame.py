"""One line for what goes wrong when something that is declared is tried, beginning with its file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from degrain.errors import DegrainError, ParamsError


@contextmanager
def blaming(file: str, name: str) -> Iterator[None]:
    """Turn any error into one line about a declaration.

    Raises:
        ParamsError: The body raised something.
    """
    try:
        yield
    except DegrainError:
        raise
    except Exception as error:
        text = str(error).partition("\n")[0]
        raise ParamsError(f"{file}: {name} does not work: {type(error).__name__}: {text}") from error


def require_finite(file: str, name: str, pixels: np.ndarray) -> None:
    """Refuse an image with NaN or infinity in it.

    Raises:
        ParamsError: A pixel is no finite number.
    """
    if not np.isfinite(pixels).all():
        raise ParamsError(f"{file}: {name} makes pixels that are no finite numbers")


def require_shape(file: str, name: str, shape: Sequence[int], expected: Sequence[int]) -> None:
    """Refuse a result of another shape.

    Raises:
        ParamsError: The shapes differ.
    """
    if tuple(shape) != tuple(expected):
        raise ParamsError(f"{file}: {name} returns the shape {tuple(shape)}, and {tuple(expected)} is needed")
