"""Gray images for a blind network of color images: with the color noise that its training had beside gray noise.

A network that has learned how strong noise is from color images also looks at their colors. A gray image repeated in
three channels has none, and passes for clean: of noise of 20 levels, 16 were left. Noise that is independent in each of
three channels, and whose mean over them has the deviation s, deviates from that mean by sqrt(2) s. So noise of that
strength whose sum over the channels is 0 is added; the mean of the channels is the gray image, before and after.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from degrain.pixels import to_levels

# Side of the pattern of noise that is repeated, and rows that are looked at at once, in pixels.
SIDE = 256
# Steps in which details are counted: those of 16 bits.
WHITE = 65535
# The median of the absolute values of normal numbers.
_MEDIAN = 0.6745


class Colored:
    """A gray image as three channels, with color noise as strong as its own noise is by `deviation`; made part by part.

    Args:
        gray: (H, W, 1) uint8 or uint16, or float in 8-bit levels.
    """

    def __init__(self, gray: np.ndarray) -> None:
        self._gray, self._strength = gray, math.sqrt(2) * deviation(gray)
        self.shape = (*gray.shape[:2], 3)

    def __getitem__(self, part: tuple[slice, slice]) -> np.ndarray:
        """Return some rows and columns: float32 (h, w, 3) in 8-bit levels, not clipped."""
        rows, columns = (np.arange(side)[along] % SIDE for side, along in zip(self.shape, part, strict=False))
        made: np.ndarray = to_levels(self._gray[part]) + np.float32(self._strength) * _pattern()[np.ix_(rows, columns)]
        return made


def deviation(gray: np.ndarray) -> float:
    """Estimate the standard deviation of noise, in 8-bit levels: by the median of what Haar's diagonal wavelet finds.

    That is the estimate of Donoho and Johnstone (1994), "Ideal spatial adaptation by wavelet shrinkage", section 5.

    Args:
        gray: (H, W, 1), as of `Colored`; 0 where a side has one pixel.
    """
    height, width = (side // 2 * 2 for side in gray.shape[:2])
    if not height or not width:
        return 0.0
    found = np.zeros(2 * WHITE + 1, np.int64)
    for top in range(0, height, SIDE):
        levels = to_levels(gray[top : min(top + SIDE, height), :width, 0])
        details = np.abs(levels[::2, ::2] - levels[1::2, ::2] - levels[::2, 1::2] + levels[1::2, 1::2]) / 2
        steps = np.minimum(np.rint(details * (WHITE / 255)), 2 * WHITE).astype(np.int64)
        found += np.bincount(steps.ravel(), minlength=len(found))
    median = np.searchsorted(np.cumsum(found), found.sum() / 2)
    return float(median) * 255 / WHITE / _MEDIAN


@functools.cache
def _pattern() -> np.ndarray:
    """Return normal noise of deviation 1 in each channel, and of sum 0: float32 (SIDE, SIDE, 3), always the same."""
    noise = np.random.default_rng(0).standard_normal((SIDE, SIDE, 3), np.float32)
    noise -= noise.mean(axis=2, keepdims=True)
    noise *= math.sqrt(3 / 2)
    noise.flags.writeable = False
    return noise
