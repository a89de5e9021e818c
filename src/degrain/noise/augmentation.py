"""Geometric augmentation by albumentations; nothing else in degrain imports it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from degrain import environment
from degrain.randomness import generator


def build(kind: str, seed: int) -> Callable[[np.ndarray, int, int], np.ndarray]:
    """Return the augmentation of a study.

    Args:
        kind: "none" or "dihedral": one of the eight flips and quarter turns, each equally likely.
        seed: The trial's seed.

    Returns:
        A function of (patch, epoch, position in the epoch) that returns a contiguous patch of the same type and, for
        square patches, the same shape. The same arguments always give the same patch.
    """
    if kind == "none":
        return lambda patch, _epoch, _position: np.ascontiguousarray(patch)
    environment.switch_off_telemetry()
    import albumentations

    pipeline = albumentations.Compose([albumentations.D4(p=1.0)])

    def augment(patch: np.ndarray, epoch: int, position: int) -> np.ndarray:
        # NOTE: albumentations keeps running generators; seeding before each patch makes it stateless.
        pipeline.set_random_seed(int(generator(seed, "augmentation", epoch, position).integers(2**31)))
        turned = pipeline(image=np.asarray(patch))["image"]
        # NOTE: albumentations may drop the channel axis of gray patches.
        return np.ascontiguousarray(turned).reshape(*turned.shape[:2], patch.shape[2])

    return augment
