"""How large an image may be."""

from __future__ import annotations

from degrain.errors import DataError
from degrain.pixels import MAX_PIXELS


def check(width: int, height: int, name: str) -> None:
    """Refuse an image by what its header says, before memory is taken for it.

    Raises:
        DataError: It would have more than `degrain.pixels.MAX_PIXELS` pixels.
    """
    if width * height > MAX_PIXELS:
        limit = MAX_PIXELS // 1_000_000
        raise DataError(f"{name} says that it has {width} x {height} pixels; more than {limit} million are refused")
