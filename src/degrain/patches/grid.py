"""Cutting square patches out of images."""

from __future__ import annotations

from collections.abc import Iterator


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
