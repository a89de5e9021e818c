"""Bayer mosaics packed to half size: one pixel of four channels, R, G1, G2, B, for each 2x2 cell of the sensor."""

from __future__ import annotations

import numpy as np

from degrain.errors import DataError

PATTERNS = ("rggb", "grbg", "gbrg", "bggr")


def positions(pattern: str) -> tuple[int, int, int, int]:
    """Say where in a 2x2 cell, read row by row, R, G1, G2 and B lie; G1 is the green in the red's row.

    Raises:
        DataError: It is no Bayer pattern.

    >>> positions("grbg")
    (1, 0, 3, 2)
    """
    pattern = pattern.lower()
    if pattern not in PATTERNS:
        raise DataError(f"{pattern!r} is no Bayer pattern; known: {', '.join(PATTERNS)}")
    red, blue = pattern.index("r"), pattern.index("b")
    return red, red ^ 1, blue ^ 1, blue


def pack_bayer(mosaic: np.ndarray, pattern: str) -> np.ndarray:
    """Pack a mosaic.

    Args:
        mosaic: (height, width) of any type; an odd last row or column is dropped.
        pattern: Colors of the upper left 2x2 cell, row by row: rggb, grbg, gbrg or bggr.

    Returns:
        (height / 2, width / 2, 4) of the same type, in the order R, G1, G2, B whatever the pattern is.

    Raises:
        DataError: It is no Bayer pattern, or there is no whole cell.
    """
    height, width = mosaic.shape[0] // 2 * 2, mosaic.shape[1] // 2 * 2
    if not height or not width:
        raise DataError(f"a mosaic of {mosaic.shape[1]} x {mosaic.shape[0]} pixels has no whole 2x2 cell")
    whole = mosaic[:height, :width]
    return np.stack([whole[place // 2 :: 2, place % 2 :: 2] for place in positions(pattern)], axis=-1)
