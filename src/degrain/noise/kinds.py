"""The kinds of noise. Each takes an explicit generator, so that the caller decides what is fixed and what is fresh.

Inside, images are float32 in 8-bit levels (white = 255) whatever their depth.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from degrain.depth import from_levels, to_levels
from degrain.noise import augmentation, sensors
from degrain.params import noise as spec
from degrain.randomness import generator

WHITE = np.float32(255)


def add(params: spec.Noise, clean: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Make an image noisy.

    Args:
        params: Kind and strength.
        clean: uint8 or uint16 (height, width, channels).
        draw: Where the noise comes from.

    Returns:
        The noisy image, same shape: of the clean one's type, clipped and rounded, or, if params.clip is false, float32
        in 8-bit levels, unbounded.
    """
    noisy = noise(params, to_levels(clean), draw)
    return from_levels(noisy, clean.dtype) if params.clipped else noisy


def add_fixed(params: spec.Noise, clean: np.ndarray, seed: int, image: str, place: int, copy: int) -> np.ndarray:
    """Make a patch noisy with the noise that belongs to it: the same whenever it is asked for.

    Args:
        params: Kind and strength.
        clean: The patch, as in `add`.
        seed: Of the prepared data.
        image, place, copy: Which patch of which image, and which of its copies.
    """
    return add(params, clean, generator(seed, f"noise of {image}", place, copy))


def noisy_dtype(params: spec.Noise, clean: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of what `add` returns."""
    return clean if params.clipped else np.dtype(np.float32)


@singledispatch
def noise(params: spec.Noise, clean: np.ndarray, draw: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """Return the noisy image, not clipped.

    Args:
        params: Kind and strength.
        clean: float32 (height, width, channels), in 8-bit levels.
        draw: Where the noise comes from.

    Returns:
        float32 of the same shape.

    Raises:
        TypeError: There is nothing to draw: the kind is "real".
    """
    raise TypeError(f"noise of kind {type(params).__name__} cannot be drawn")


@noise.register
def _(params: spec.GaussianNoise, clean: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    if params.variance is not None:
        return gaussian(clean, params.variance**0.5, draw)
    return gaussian(clean, strength(25.0 if params.sigma is None else params.sigma, draw), draw)


@noise.register
def _(params: spec.CoefficientNoise, clean: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    return gaussian(clean, 255 * strength(params.factor, draw), draw) + WHITE * np.float32(params.mean)


@noise.register
def _(params: spec.MaskingNoise, clean: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    share = strength(params.share, draw)
    kept = draw.random((*clean.shape[:2], 1), dtype=np.float32) >= share
    return clean * kept


@noise.register
def _(params: spec.SaltAndPepperNoise, clean: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    share = strength(params.share, draw)
    chance = draw.random(clean.shape, dtype=np.float32)
    return np.where(chance < share / 2, np.float32(0), np.where(chance < share, WHITE, clean))


@noise.register
def _(params: spec.SpeckleNoise, clean: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    factor = gaussian(np.ones_like(clean), strength(params.sigma, draw), draw)
    noisy: np.ndarray = clean * factor
    return noisy


@noise.register
def _(params: spec.ShotReadNoise, clean: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    beta1, beta2 = sensors.betas(params)
    light = sensors.to_linear(clean / WHITE) if params.linear else clean / WHITE
    noisy = sensors.expose(light, beta1, beta2, draw)
    return (sensors.from_linear(noisy) if params.linear else noisy) * WHITE


@noise.register
def _(params: spec.IsoNoise, clean: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    return augmentation.iso_noise(clean, params.color_shift, params.intensity, draw)


@noise.register
def _(params: spec.JpegNoise, clean: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    least, most = params.quality if isinstance(params.quality, tuple) else (params.quality, params.quality)
    return augmentation.jpeg(clean, (least, most), draw)


def strength(value: float | tuple[float, float], draw: np.random.Generator) -> float:
    """Return a strength: the number itself, or one drawn evenly from a range."""
    return float(draw.uniform(*value)) if isinstance(value, tuple) else value


def gaussian(clean: np.ndarray, sigma: float, draw: np.random.Generator) -> np.ndarray:
    """Add independent zero-mean Gaussian noise.

    Args:
        clean: float32, in 8-bit levels.
        sigma: Standard deviation, in 8-bit levels.
        draw: Where the noise comes from.

    Returns:
        float32 of the same shape, not clipped: mean clean, variance sigma**2.
    """
    noisy = draw.standard_normal(clean.shape, dtype=np.float32)
    noisy *= np.float32(sigma)
    noisy += clean
    return noisy
