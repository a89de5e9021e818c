"""How large an image may be."""

from __future__ import annotations

from degrain.errors import DataError

MAX_PIXELS = 200_000_000


def check(width: int, height: int, name: str) -> None:
    """Refuse an image by what its header says, before memory is taken for it.

    Raises:
        DataError: It would have more than `MAX_PIXELS` pixels.
    """
    if width * height > MAX_PIXELS:
        limit = MAX_PIXELS // 1_000_000
        raise DataError(f"{name} says that it has {width} x {height} pixels; more than {limit} million are refused")
