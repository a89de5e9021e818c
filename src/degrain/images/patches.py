"""Cutting square patches out of images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def grid(shape: tuple[int, ...], size: int, stride: int) -> Iterator[tuple[int, int]]:
    """Yield (top, left) of every whole patch of a regular grid, row by row; what is left at the border is dropped.

    Args:
        shape: (height, width) of the image, in pixels.
        size: Side of the patches.
        stride: Distance between neighbouring patches.

    >>> list(grid((130, 64), 64, 64))
    [(0, 0), (64, 0)]
    """
    height, width = shape
    for top in range(0, height - size + 1, stride):
        for left in range(0, width - size + 1, stride):
            yield top, left


def to_8_bits(pixels: np.ndarray) -> np.ndarray:
    """Return uint8 pixels as they are and uint16 pixels rounded to 8 bits."""
    return pixels if pixels.dtype == np.uint8 else np.round(pixels / 257).astype(np.uint8)
