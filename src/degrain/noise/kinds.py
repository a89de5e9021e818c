"""The kinds of noise. Each takes explicit generators, so that the caller decides what is fixed and what is fresh.

They work on batches, and each patch has a generator of its own: its noise does not depend on the rest of the batch.
Inside, images are float32 in 8-bit levels (white = 255) whatever their depth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import singledispatch
from itertools import islice
from typing import Any

import numpy as np

from degrain.noise import augmentation, sensors
from degrain.params import noise as spec
from degrain.pixels import from_levels, to_levels
from degrain.randomness import Draws, generators

WHITE = np.float32(255)

# About so many values are worked on at once, so that they stay in the processor's cache.
CHUNK_VALUES = 1 << 17

Strength = float | tuple[float, float]


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
    noisy: np.ndarray = add_each(params, clean[None], [draw])[0]
    return noisy


def add_each(params: spec.Noise, clean: np.ndarray, draws: Draws) -> np.ndarray:
    """Make patches noisy.

    Args:
        params: Kind and strength.
        clean: uint8 or uint16 (N, height, width, channels).
        draws: One generator for each patch; each is used up before the next is taken.

    Returns:
        The noisy patches, same shape; each has the same bits as from `add`.
    """
    noisy = np.empty(clean.shape, noisy_dtype(params, clean.dtype))
    count = max(1, CHUNK_VALUES * len(clean) // max(1, clean.size))
    draws = iter(draws)
    for start in range(0, len(clean), count):
        part = clean[start : start + count]
        made = noise(params, to_levels(part), islice(draws, len(part)))
        noisy[start : start + count] = from_levels(made, clean.dtype) if params.clipped else made
    return noisy


def fixed(
    seed: int, images: Iterable[str], places: Iterable[int], copies: Iterable[int]
) -> Iterator[np.random.Generator]:
    """Yield the generators of noise that belongs to a patch: the same whenever it is asked for.

    Args:
        seed: Of the prepared data.
        images, places, copies: For each patch its image, which patch of the image it is, and which of its copies.
    """
    named = zip(images, places, copies, strict=True)
    return generators((seed, f"noise of {image}", place, copy) for image, place, copy in named)


def noisy_dtype(params: spec.Noise, clean: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of what `add` returns."""
    return clean if params.clipped else np.dtype(np.float32)


@singledispatch
def noise(params: spec.Noise, clean: np.ndarray, draws: Draws) -> np.ndarray:  # noqa: ARG001
    """Return noisy patches, not clipped.

    Args:
        params: Kind and strength.
        clean: float32 (N, height, width, channels), in 8-bit levels.
        draws: One generator for each patch.

    Returns:
        float32 of the same shape.

    Raises:
        TypeError: There is nothing to draw: the kind is "real".
    """
    raise TypeError(f"noise of kind {type(params).__name__} cannot be drawn")


@noise.register
def _(params: spec.GaussianNoise, clean: np.ndarray, draws: Draws) -> np.ndarray:
    sigma = 25.0 if params.sigma is None else params.sigma
    noisy, sigmas = _normal(clean.shape, sigma if params.variance is None else params.variance**0.5, draws)
    noisy *= sigmas.astype(np.float32)
    noisy += clean
    return noisy


@noise.register
def _(params: spec.CoefficientNoise, clean: np.ndarray, draws: Draws) -> np.ndarray:
    noisy, factors = _normal(clean.shape, params.factor, draws)
    noisy *= (255 * factors).astype(np.float32)
    noisy += clean
    noisy += WHITE * np.float32(params.mean)
    return noisy


@noise.register
def _(params: spec.MaskingNoise, clean: np.ndarray, draws: Draws) -> np.ndarray:
    chance, shares = _even((*clean.shape[:3], 1), params.share, draws)
    noisy: np.ndarray = clean * (chance >= shares.astype(np.float32))
    return noisy


@noise.register
def _(params: spec.SaltAndPepperNoise, clean: np.ndarray, draws: Draws) -> np.ndarray:
    chance, shares = _even(clean.shape, params.share, draws)
    black, replaced = (chance < share.astype(np.float32) for share in (shares / 2, shares))
    return np.where(black, np.float32(0), np.where(replaced, WHITE, clean))


@noise.register
def _(params: spec.SpeckleNoise, clean: np.ndarray, draws: Draws) -> np.ndarray:
    noisy, sigmas = _normal(clean.shape, params.sigma, draws)
    noisy *= sigmas.astype(np.float32)
    noisy += np.float32(1)
    noisy *= clean
    return noisy


@noise.register
def _(params: spec.ShotReadNoise, clean: np.ndarray, draws: Draws) -> np.ndarray:
    beta1, beta2 = sensors.betas(params)
    light = sensors.to_linear(clean / WHITE) if params.linear else clean / WHITE
    noisy = sensors.expose(light, beta1, beta2, draws)
    return (sensors.from_linear(noisy) if params.linear else noisy) * WHITE


@noise.register
def _(params: spec.IsoNoise, clean: np.ndarray, draws: Draws) -> np.ndarray:
    return augmentation.iso_noise(clean, params.color_shift, params.intensity, draws)


@noise.register
def _(params: spec.JpegNoise, clean: np.ndarray, draws: Draws) -> np.ndarray:
    least, most = params.quality if isinstance(params.quality, tuple) else (params.quality, params.quality)
    return augmentation.jpeg(clean, (least, most), draws)


@noise.register
def _(params: spec.NoNoise, clean: np.ndarray, draws: Draws) -> np.ndarray:  # noqa: ARG001
    return clean.copy()


def _normal(shape: tuple[int, ...], value: Strength, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal float32 numbers, and the strengths."""
    return _drawn(shape, value, draws, np.random.Generator.standard_normal)


def _even(shape: tuple[int, ...], value: Strength, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Float32 numbers spread evenly over [0, 1), and the strengths."""
    return _drawn(shape, value, draws, np.random.Generator.random)


def _drawn(
    shape: tuple[int, ...], value: Strength, draws: Draws, fill: Callable[..., Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Draw for each patch first its strength, if that is a range, and then its numbers.

    Returns:
        The numbers, float32 of the given shape (N, ...); the strengths, float64 (N, 1, 1, 1).
    """
    numbers = np.empty(shape, np.float32)
    strengths = np.full((shape[0], 1, 1, 1), value if isinstance(value, float) else np.nan)
    for patch, strength, draw in zip(numbers, strengths, draws, strict=True):
        if isinstance(value, tuple):
            strength[:] = draw.uniform(*value)
        fill(draw, out=patch, dtype=np.float32)
    return numbers, strengths
