"""Denoising an image of any size with a network that has its own ideas of size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def denoise(
    forward: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    tile: int,
    overlap: int,
    multiple: int = 1,
    least: int = 1,
    fixed: bool = False,
) -> np.ndarray:
    """Run a network over an image in overlapping tiles and blend them linearly.

    Args:
        forward: From float32 (N, h, w, C) to the same shape.
        image: float32 (H, W, C), any size.
        tile: Side of the tiles, in pixels, a multiple of `multiple`, at least `least`.
        overlap: Least overlap of neighbouring tiles, in pixels, at most half of tile.
        multiple: Height and width that the network takes must be multiples of this.
        least: They must be at least this, a multiple of `multiple`, too.
        fixed: Whether it takes tiles of exactly the size `tile`; otherwise small images go in one smaller tile.

    Returns:
        float32 (H, W, C). Beyond its border the image is continued by its mirror image.
    """
    height, width = image.shape[:2]
    tall, wide = (tile if fixed else min(tile, max(least, -(-side // multiple) * multiple)) for side in (height, width))
    padding = ((0, max(0, tall - height)), (0, max(0, wide - width)), (0, 0))
    padded = np.pad(image, padding, mode="symmetric")
    total = np.zeros_like(padded)
    weight = np.zeros((*padded.shape[:2], 1), dtype=np.float32)
    window = (_ramp(tall, overlap)[:, None] * _ramp(wide, overlap)[None, :])[..., None]
    for top in _starts(padded.shape[0], tall, overlap):
        places = [
            (slice(top, top + tall), slice(left, left + wide)) for left in _starts(padded.shape[1], wide, overlap)
        ]
        for place, output in zip(places, forward(np.stack([padded[place] for place in places])), strict=True):
            total[place] += window * output
            weight[place] += window
    return np.asarray((total / weight)[:height, :width])


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    """First pixels of the tiles along one axis; the last tile ends at the border."""
    if length <= tile:
        return [0]
    count = -(-(length - overlap) // (tile - overlap))
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def _ramp(length: int, overlap: int) -> np.ndarray:
    """Weight of a tile's pixels along one axis: rising over the overlap, flat, falling."""
    steps = np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1))
    return (np.minimum(steps, overlap + 1) / (overlap + 1)).astype(np.float32)
