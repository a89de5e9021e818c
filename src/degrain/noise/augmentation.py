"""What albumentations does for degrain; nothing else imports it: geometric augmentation, ISO noise, JPEG."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from degrain import environment
from degrain.randomness import generator


def build(kind: str, seed: int) -> Callable[[np.ndarray, int, int], np.ndarray]:
    """Return the geometric augmentation of a study.

    Args:
        kind: "none" or "dihedral": one of the eight flips and quarter turns, each equally likely.
        seed: The trial's seed.

    Returns:
        A function of (patch, epoch, position in the epoch) that returns a contiguous patch of the same type and, for
        square patches, the same shape. The same arguments always give the same patch; channels turn together, so a
        noisy and a clean patch that must stay a pair go in side by side as channels.
    """
    if kind == "none":
        return lambda patch, _epoch, _position: np.ascontiguousarray(patch)
    pipeline = _compose("D4")

    def augment(patch: np.ndarray, epoch: int, position: int) -> np.ndarray:
        # NOTE: albumentations keeps running generators; seeding before each patch makes it stateless.
        pipeline.set_random_seed(int(generator(seed, "augmentation", epoch, position).integers(2**31)))
        turned = pipeline(image=np.asarray(patch))["image"]
        # NOTE: albumentations may drop the channel axis of gray patches.
        return np.ascontiguousarray(turned).reshape(*turned.shape[:2], patch.shape[2])

    return augment


def iso_noise(
    clean: np.ndarray, color_shift: tuple[float, float], intensity: tuple[float, float], draw: np.random.Generator
) -> np.ndarray:
    """Add albumentations' ISONoise.

    Args:
        clean: float32 (height, width, 3), in 8-bit levels.
        color_shift: Least and most shift of hue, as a share of the circle.
        intensity: Least and most strength.
        draw: Where the noise comes from.

    Returns:
        float32 of the same shape, in [0, 255].
    """
    pipeline = _compose("ISONoise", color_shift=color_shift, intensity=intensity)
    return _apply(pipeline, (clean / 255).astype(np.float32), draw) * np.float32(255)


def jpeg(clean: np.ndarray, quality: tuple[int, int], draw: np.random.Generator) -> np.ndarray:
    """Compress by JPEG and decode again.

    Args:
        clean: float32 (height, width, 1 or 3), in 8-bit levels.
        quality: Least and most JPEG quality, 1 to 100.
        draw: Where the quality comes from.

    Returns:
        float32 of the same shape, whole levels in [0, 255].
    """
    pipeline = _compose("ImageCompression", compression_type="jpeg", quality_range=quality)
    # NOTE: albumentations 2.0.8 hands the channels to OpenCV as they come, which takes the first one for blue.
    swapped = np.ascontiguousarray(np.rint(clean).astype(np.uint8)[..., ::-1])
    return np.ascontiguousarray(_apply(pipeline, swapped, draw)[..., ::-1]).astype(np.float32)


def _compose(transform: str, **options: Any) -> Any:
    environment.switch_off_telemetry()
    import albumentations

    return albumentations.Compose([getattr(albumentations, transform)(**options, p=1.0)])


def _apply(pipeline: Any, image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    pipeline.set_random_seed(int(draw.integers(2**31)))
    return np.asarray(pipeline(image=image)["image"]).reshape(image.shape)
