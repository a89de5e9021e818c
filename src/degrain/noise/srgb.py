"""The sRGB curve, IEC 61966-2-1."""

from __future__ import annotations

import numpy as np


def to_linear(values: np.ndarray) -> np.ndarray:
    """Undo the sRGB curve: float32 in [0, 1] to linear light."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)


def from_linear(light: np.ndarray) -> np.ndarray:
    """Apply the sRGB curve; below black its linear part goes on, so that noise there keeps its sign."""
    curved = 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, curved).astype(np.float32)
