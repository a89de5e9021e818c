"""What albumentations does for degrain; nothing else imports it: geometric augmentation, ISO noise, JPEG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from degrain.machine import variables
from degrain.randomness import Draws, generator


def elements(kind: str, seed: int, epoch: int, count: int) -> np.ndarray | None:
    """Draw how each patch of an epoch is turned.

    Args:
        kind: "none" or "dihedral": one of the eight flips and quarter turns, each equally likely.
        seed: The trial's seed.
        epoch: Which epoch.
        count: Its patches.

    Returns:
        int64 (count,): for each position in the epoch a row of `turns`; None if nothing is turned.
    """
    return None if kind == "none" else generator(seed, "augmentation", epoch).integers(8, size=count)


def turns(side: int, channels: int) -> np.ndarray:
    """Return albumentations' D4, the flips and quarter turns of a square, as permutations.

    Args:
        side: Of the patches, in pixels.
        channels: Of the patches.

    Returns:
        int64 (8, side * side * channels): for each element of the group, in albumentations' order, where in the flat
        patch each value of the flat turned patch comes from.
    """
    variables.switch_off_telemetry()
    from albumentations.augmentations.geometric.functional import d4
    from albumentations.core.type_definitions import d4_group_elements

    # NOTE: OpenCV, which flips for albumentations, knows no 64-bit integers.
    places = np.arange(side * side * channels, dtype=np.int32).reshape(side, side, channels)
    return np.stack([d4(places, element).ravel() for element in d4_group_elements]).astype(np.int64)


def turned(patches: np.ndarray, rows: np.ndarray, turning: Sequence[np.ndarray] | None) -> np.ndarray:
    """Gather patches and turn each.

    Args:
        patches: (M, side, side, channels) of any type, contiguous; may be memory-mapped.
        rows: int64 (N,): which patches.
        turning: For each its row of `turns`, int64 (side * side * channels,); None leaves them as they are.

    Returns:
        Contiguous array (N, side, side, channels) of the same type.
    """
    if turning is None:
        whole: np.ndarray = patches[rows]
        return whole
    gathered = np.empty((len(rows), *patches.shape[1:]), patches.dtype)
    for target, row, permutation in zip(gathered, rows, turning, strict=True):
        # NOTE: "clip" spares a copy; no index is out of range.
        patches[row].ravel().take(permutation, out=target.reshape(-1), mode="clip")
    return gathered


def iso_noise(
    clean: np.ndarray, color_shift: tuple[float, float], intensity: tuple[float, float], draws: Draws
) -> np.ndarray:
    """Add albumentations' ISONoise.

    Args:
        clean: float32 (N, height, width, 3), in 8-bit levels.
        color_shift: Least and most shift of hue, as a share of the circle.
        intensity: Least and most strength.
        draws: One generator for each patch.

    Returns:
        float32 of the same shape, in [0, 255].
    """
    pipeline = _compose("ISONoise", color_shift=color_shift, intensity=intensity)
    return _apply(pipeline, (clean / 255).astype(np.float32), draws) * np.float32(255)


def jpeg(clean: np.ndarray, quality: tuple[int, int], draws: Draws) -> np.ndarray:
    """Compress by JPEG and decode again.

    Args:
        clean: float32 (N, height, width, 1 or 3), in 8-bit levels.
        quality: Least and most JPEG quality, 1 to 100.
        draws: One generator for each patch.

    Returns:
        float32 of the same shape, whole levels in [0, 255].
    """
    pipeline = _compose("ImageCompression", compression_type="jpeg", quality_range=quality)
    # NOTE: albumentations 2.0.8 hands the channels to OpenCV as they come, which takes the first one for blue.
    swapped = np.ascontiguousarray(np.rint(clean).astype(np.uint8)[..., ::-1])
    return np.ascontiguousarray(_apply(pipeline, swapped, draws)[..., ::-1]).astype(np.float32)


def _compose(transform: str, **options: Any) -> Any:
    variables.switch_off_telemetry()
    import albumentations

    return albumentations.Compose([getattr(albumentations, transform)(**options, p=1.0)])


def _apply(pipeline: Any, images: np.ndarray, draws: Draws) -> np.ndarray:
    made = np.empty_like(images)
    for target, image, draw in zip(made, images, draws, strict=True):
        # NOTE: albumentations keeps running generators; seeding before each image makes it stateless.
        pipeline.set_random_seed(int(draw.integers(2**31)))
        target[:] = pipeline(image=image)["image"].reshape(image.shape)
    return made
