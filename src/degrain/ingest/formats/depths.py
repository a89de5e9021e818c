"""From the values of a file to uint8 or uint16 with white at the top: bits in use, floats, inverted grays."""

from __future__ import annotations

from typing import Any

import numpy as np

from degrain.errors import DataError

# Bits that cameras and scanners put into 16: where all values fit into so few, white is taken to be there.
USED_BITS = (8, 10, 12, 14)


def whole(values: np.ndarray, bits: int) -> np.ndarray:
    """Scale unsigned integers of 1 to 16 bits to the nearest type: uint8 up to 8 bits, else uint16."""
    dtype: np.dtype[Any] = np.dtype(np.uint8 if bits <= 8 else np.uint16)
    if bits in (8, 16):
        return values.astype(dtype, copy=False)
    return scaled(values, 2**bits - 1, dtype)


def scaled(values: np.ndarray, white: float, dtype: np.dtype[Any]) -> np.ndarray:
    """Scale values so that white becomes the largest one of a type; what is brighter is cut."""
    top = int(np.iinfo(dtype).max)
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
    """Scale the values of a file whose white is given to uint8 or uint16.

    Raises:
        DataError: A value is above white.
    """
    if values.dtype == np.uint8 and white == 255:
        return values
    highest = values.max(initial=0)
    if highest > white:
        raise DataError(f"{name} has values up to {highest:g}, above the given white {white}")
    return scaled(values, white, np.dtype(np.uint16))


def guessed_white(values: np.ndarray) -> int | None:
    """Return the white of uint16 values that use so few bits, or None where they use all of them."""
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
