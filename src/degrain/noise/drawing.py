"""Random numbers for whole batches, on the host: each patch has a generator of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from degrain.randomness import Draws

Strength = float | tuple[float, float]


def normal(shape: tuple[int, ...], strength: Strength, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Draw standard normal numbers, and for each patch first its strength, if that is a range.

    Args:
        shape: Of the batch, (N, ...).
        strength: One for all patches, or a range.
        draws: One generator for each patch.

    Returns:
        The numbers, float32 of the shape; the strengths, float32 (N, 1, 1, 1).
    """
    return _drawn(shape, strength, draws, np.random.Generator.standard_normal)


def even(shape: tuple[int, ...], strength: Strength, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Draw numbers spread evenly over [0, 1), as `normal` does."""
    return _drawn(shape, strength, draws, np.random.Generator.random)


def bits(shape: tuple[int, ...], draws: Draws) -> np.ndarray:
    """Draw 32 random bits for each value.

    Args:
        shape: Of the batch, (N, ...).
        draws: One generator for each patch.

    Returns:
        uint32 of the shape.
    """
    drawn = np.empty(shape, np.uint32)
    for patch, draw in zip(drawn, draws, strict=True):
        patch[:] = draw.integers(1 << 32, size=patch.shape, dtype=np.uint32)
    return drawn


def _drawn(
    shape: tuple[int, ...], value: Strength, draws: Draws, fill: Callable[..., Any]
) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.empty(shape, np.float32)
    strengths = np.full((shape[0], 1, 1, 1), value if isinstance(value, float) else np.nan)
    for patch, strength, draw in zip(numbers, strengths, draws, strict=True):
        if isinstance(value, tuple):
            strength[:] = draw.uniform(*value)
        fill(draw, out=patch, dtype=np.float32)
    return numbers, strengths
