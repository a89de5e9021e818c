"""Noise of camera sensors.

Source: Foi, Trimeche, Katkovnik, Egiazarian, "Practical Poissonian-Gaussian noise modeling and fitting for single-image
raw-data", IEEE TIP 17(10), 2008.
"""

from __future__ import annotations

import numpy as np

from degrain.noise import poisson
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
        beta1**2 * light; smaller by 0.1 * beta1**3 where 64 electrons or more are expected, see `poisson.counts`.
    """
    lit = beta1 > 0
    per_light = np.where(lit, beta1, 1.0).astype(np.float32)
    bits, chance, read = _numbers(light.shape, beta2, draws)
    counted = poisson.counts(light / per_light, bits, chance)
    counted *= per_light
    read += np.where(lit, counted, light)
    return read


def _numbers(shape: tuple[int, ...], beta2: np.ndarray, draws: Draws) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw what `poisson.counts` needs, and the noise in the dark, which is not drawn where there is none."""
    bits, chance, read = np.empty(shape, np.uint32), np.empty(shape, np.float32), np.zeros(shape, np.float32)
    for word, even, dark, draw in zip(bits, chance, read, draws, strict=True):
        word[:] = draw.integers(1 << 32, size=word.shape, dtype=np.uint32)
        draw.random(out=even, dtype=np.float32)
        if beta2.any():
            draw.standard_normal(out=dark, dtype=np.float32)
    read *= np.sqrt(beta2).astype(np.float32)
    return bits, chance, read
