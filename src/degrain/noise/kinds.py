"""The kinds of noise. Each takes an explicit generator, so that the caller decides what is fixed and what is fresh."""

from __future__ import annotations

from typing import Any

import numpy as np

from degrain.params import NoiseParams


def add(params: NoiseParams, clean: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Make an image noisy.

    Args:
        params: Kind and strength.
        clean: uint8 of any shape.
        draw: Where the noise comes from.

    Returns:
        The noisy image, same shape: uint8, clipped and rounded, if params.clip; otherwise float32 in 8-bit levels,
        unbounded.
    """
    noisy = gaussian(clean.astype(np.float32), params.sigma, draw)
    if not params.clip:
        return noisy
    rounded: np.ndarray = np.rint(np.clip(noisy, 0, 255)).astype(np.uint8)
    return rounded


def noisy_dtype(params: NoiseParams) -> np.dtype[Any]:
    """Return the type of what `add` returns."""
    return np.dtype(np.uint8 if params.clip else np.float32)


def gaussian(clean: np.ndarray, sigma: float, draw: np.random.Generator) -> np.ndarray:
    """Add independent zero-mean Gaussian noise.

    Args:
        clean: float32, in 8-bit levels.
        sigma: Standard deviation, in 8-bit levels.
        draw: Where the noise comes from.

    Returns:
        float32 of the same shape, not clipped: mean clean, variance sigma**2.
    """
    noise = draw.standard_normal(clean.shape, dtype=np.float32)
    noise *= np.float32(sigma)
    noise += clean
    return noise
