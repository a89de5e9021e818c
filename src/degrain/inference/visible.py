"""Light as a screen shows it."""

from __future__ import annotations

import numpy as np


def to_srgb(pixels: np.ndarray) -> np.ndarray:
    """Return linear light by the curve of sRGB (IEC 61966-2-1), in 8 bits.

    Args:
        pixels: uint8 or uint16, of any shape.
    """
    light = np.arange(np.iinfo(pixels.dtype).max + 1) / np.iinfo(pixels.dtype).max
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    levels: np.ndarray = np.rint(255 * curve).astype(np.uint8)[pixels]
    return levels
