"""From the values of a file to uint8 or uint16 with white at the top: bits in use, floats, inverted grays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from degrain.errors import DataError
from degrain.ingest.formats.picture import Picture

# Bits that cameras and scanners put into 16: where all values fit into so few, white is taken to be there.
USED_BITS = (8, 10, 12, 14)
FULL = 65_535


@dataclass(frozen=True)
class White:
    """Where white lies in files of more than 8 bits.

    Attributes:
        given: Its value, such as 4095; None where it is that of the format.
        guess: Whether to take it from the values where a 16-bit file uses few of its bits, and to say so.
    """

    given: int | None = None
    guess: bool = False


OF_FORMAT = White()


def ignored(white: White, own: int) -> tuple[str, ...]:
    """Say that a file says itself where white is, where something else was given.

    Args:
        white: What was given.
        own: The file's own, such as 1023.
    """
    if white.given in (None, own):
        return ()
    return (f"it says itself that white is {own}: the given {white.given} does not count",)


def whole(values: np.ndarray, bits: int) -> np.ndarray:
    """Scale unsigned integers of 1 to 16 bits to the nearest type: uint8 up to 8 bits, else uint16."""
    dtype: np.dtype[Any] = np.dtype(np.uint8 if bits <= 8 else np.uint16)
    if bits in (8, 16):
        return values.astype(dtype, copy=False)
    return scaled(values, 2**bits - 1, dtype)


def scaled(values: np.ndarray, white: float, dtype: np.dtype[Any]) -> np.ndarray:
    """Scale values so that white becomes the largest one of a type; what is brighter is cut."""
    top = int(np.iinfo(dtype).max)
    if white == top and values.dtype == dtype:
        return values
    if values.dtype.kind == "u" and values.dtype.itemsize <= 2:
        table = np.rint(np.minimum(np.arange(np.iinfo(values.dtype).max + 1) * (top / white), top)).astype(dtype)
        looked_up: np.ndarray = table[values]
        return looked_up
    rounded: np.ndarray = np.rint(np.clip(values.astype(np.float64) * (top / white), 0, top)).astype(dtype)
    return rounded


def restored(pixels: np.ndarray, white: int) -> np.ndarray:
    """Undo `scaled`: values of the same type, white at its place in the file."""
    table = np.rint(np.arange(int(np.iinfo(pixels.dtype).max) + 1) * (white / int(np.iinfo(pixels.dtype).max)))
    back: np.ndarray = table.astype(pixels.dtype)[pixels]
    return back


def with_white(values: np.ndarray, white: int, name: str) -> np.ndarray:
    """Scale the unsigned values of a file whose white is known to uint16.

    Raises:
        DataError: A value is above white.
    """
    if values.dtype == np.uint16 and white == FULL:
        return values
    highest = values.max(initial=0)
    if highest > white:
        raise DataError(f"{name} has values up to {highest:g}, above the given white {white}")
    return scaled(values, white, np.dtype(np.uint16))


def picture(colors: np.ndarray, alpha: np.ndarray | None, white: White, name: str, inverted: bool = False) -> Picture:
    """Make a picture of uint8 or uint16 values; white of 16 bits is where it is given, or guessed.

    Args:
        colors: (height, width, channels).
        alpha: (height, width), of the same type. It ends where the colors do, or at the top where it exceeds them.
        white: Where white lies.
        name: What messages call the file.
        inverted: Whether 0 is white.

    Raises:
        DataError: A value is above the given white.
    """
    if colors.dtype == np.uint8:
        return Picture(_inverted(colors) if inverted else colors, alpha)
    notes: tuple[str, ...] = ()
    found = white.given
    if found is None and white.guess and (found := _guessed(colors)):
        notes = (f"its values use {found.bit_length()} of 16 bits: white is taken to be {found} (--white sets it)",)
    top = FULL if found is None else found
    colors = with_white(colors, top, name)
    alpha_white = None
    if alpha is not None and alpha.max(initial=0) <= top:
        alpha, alpha_white = with_white(alpha, top, name), top
    return Picture(_inverted(colors) if inverted else colors, alpha, white=top, alpha_white=alpha_white, notes=notes)


def apart(values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Split values (height, width, channels) into colors and, of two or four channels, alpha."""
    if values.shape[2] not in (2, 4):
        return np.ascontiguousarray(values), None
    return np.ascontiguousarray(values[..., :-1]), values[..., -1].copy()


def check_indices(indices: np.ndarray, colors: int) -> None:
    """Refuse pixels whose color the palette does not have; decoders show them black.

    Args:
        indices: Of any shape.
        colors: How many there are.

    Raises:
        ValueError: There is one.
    """
    highest = int(indices.max(initial=0))
    if highest >= colors:
        raise ValueError(f"it has pixels of color {highest}, and its palette {colors} colors")


def unmultiplied(picture: Picture) -> Picture:
    """Undo a multiplication of colors by alpha, and say so; where nothing is seen, colors stay as they are."""
    if picture.alpha is None:
        return picture
    share = np.maximum(picture.alpha, 1)[..., None] / picture.maximum
    divided = np.rint(np.minimum(picture.pixels / share, picture.maximum)).astype(picture.pixels.dtype)
    colors = np.where(picture.alpha[..., None] == 0, picture.pixels, divided)
    return replace(
        picture, pixels=colors, notes=(*picture.notes, "its colors were multiplied by alpha, and no longer are")
    )


def _inverted(values: np.ndarray) -> np.ndarray:
    inverted: np.ndarray = np.iinfo(values.dtype).max - values
    return inverted


def _guessed(values: np.ndarray) -> int | None:
    """Return the white of uint16 values that use few bits, or None where they use all of them."""
    highest = int(values.max(initial=0))
    bits = next((bits for bits in USED_BITS if highest < 2**bits), None)
    return 2**bits - 1 if bits and highest else None


def from_floats(values: np.ndarray, white: float | None, name: str) -> np.ndarray:
    """Turn floating-point values into uint16; white is 1 unless it is given.

    Raises:
        DataError: A value is NaN, negative, or above white.
    """
    if not np.isfinite(values).all():
        raise DataError(f"{name} holds NaN or infinity")
    lowest, highest = float(values.min(initial=0)), float(values.max(initial=0))
    if lowest < 0 or highest > (white or 1):
        told = "the given white" if white else "1; give the value of white (--white, data.white)"
        raise DataError(f"{name} has values from {lowest:g} to {highest:g}, not from 0 to {told}")
    return scaled(values, white or 1, np.dtype(np.uint16))
