"""Noise of camera sensors, and the sRGB curve.

Source: Foi, Trimeche, Katkovnik, Egiazarian, "Practical Poissonian-Gaussian noise modeling and fitting for single-image
raw-data", IEEE TIP 17(10), 2008.
"""

from __future__ import annotations

import numpy as np

from degrain.randomness import Draws


def expose(light: np.ndarray, beta1: np.ndarray, beta2: np.ndarray, draws: Draws) -> np.ndarray:
    """Draw what a sensor reads.

    Args:
        light: float32 (N, height, width, channels), linear, white = 1, not negative.
        beta1: Variance per unit of light; 1/beta1 is the number of electrons at white. Of shape (1,) or (channels,).
        beta2: Variance in the dark, likewise.
        draws: One generator for each patch.

    Returns:
        float32 of the same shape, unbounded: mean light, variance beta1 * light + beta2, third central moment
        beta1**2 * light.
    """
    lit = np.flatnonzero(np.broadcast_to(beta1, light.shape[-1:]) > 0)
    per_light = np.where(beta1 > 0, beta1, 1.0)
    shot = light / per_light
    read = np.empty(light.shape)
    for electrons, dark, draw in zip(shot, read, draws, strict=True):
        for channel in lit:
            electrons[..., channel] = draw.poisson(electrons[..., channel])
        draw.standard_normal(out=dark)
    shot *= per_light
    read *= np.sqrt(beta2)
    shot += read
    return shot.astype(np.float32)


def to_linear(values: np.ndarray) -> np.ndarray:
    """Undo the sRGB curve (IEC 61966-2-1): float32 in [0, 1] to linear light."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)


def from_linear(light: np.ndarray) -> np.ndarray:
    """Apply the sRGB curve; below black its linear part goes on, so that noise there keeps its sign."""
    curved = 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, curved).astype(np.float32)
