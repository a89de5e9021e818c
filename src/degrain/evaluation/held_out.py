"""The held-out patches: noisy and clean, in parts that memory can hold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from degrain.noise.base import Noise
from degrain.patches import stand_in
from degrain.patches.store import Split
from degrain.pixels import to_levels

# Patches are measured so many values at a time: what they become on the way takes about ten times their memory.
PART = 20_000_000


def pairs(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Return (noisy, clean) of a held-out split.

    Raises:
        ValueError: The split has no fixed noise, as train has none.
    """
    if split.noisy is None:
        raise ValueError("this split has no fixed noise")
    return split.noisy, split.clean


def parts(split: Split) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield a held-out split in parts that memory can hold several times over: which patches, noisy, clean."""
    noisy, clean = pairs(split)
    step = max(1, PART // np.prod(clean.shape[1:], dtype=int))
    for start in range(0, len(clean), step):
        part = slice(start, start + step)
        yield part, noisy[part], clean[part]


def noise_level(split: Split, noise: Noise) -> float:
    """Return the standard deviation of the noise of a held-out split, in 8-bit levels.

    It is that of noisy minus clean, or, where nothing is clean, an estimate.
    """
    if noise.stand_in:
        _, noisy, between = next(parts(split))
        return stand_in.noise_level(noisy, between)
    sums = np.zeros(3)
    for _, noisy, clean in parts(split):
        difference = to_levels(noisy) - to_levels(clean)
        sums += difference.size, difference.sum(dtype=np.float64), np.square(difference).sum(dtype=np.float64)
    count, total, squares = sums
    return float(np.sqrt(max(0.0, squares / count - (total / count) ** 2)))
