"""Adding noise to images of any depth.

Generators are explicit, so that the caller decides what is fixed and what is fresh. Each patch has one of its own: its
noise does not depend on the rest of the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from degrain import catalogs
from degrain.noise.base import Noise
from degrain.pixels import from_levels, read_only, to_levels
from degrain.randomness import Draws, generators

# About so many values are worked on at once, so that they stay in the processor's cache.
CHUNK_VALUES = 1 << 16


def add(noise: Noise, clean: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Make an image noisy.

    Args:
        noise: Kind and strength.
        clean: uint8 or uint16 (height, width, channels).
        draw: Where the noise comes from.

    Returns:
        The noisy image, same shape: of the clean one's type, clipped and rounded, or, if noise.clip is false, float32
        in 8-bit levels, unbounded.
    """
    noisy: np.ndarray = add_each(noise, clean[None], [draw])[0]
    return noisy


def add_each(noise: Noise, clean: np.ndarray, draws: Draws) -> np.ndarray:
    """Make patches noisy.

    Args:
        noise: Kind and strength.
        clean: uint8 or uint16 (N, height, width, channels).
        draws: One generator for each patch; each is used up before the next is taken.

    Returns:
        The noisy patches, same shape; each has the same bits as from `add`.

    Raises:
        ParamsError: The noise cannot be drawn, or what is drawn is of another shape or type or not finite; the message
            begins with its file.
    """
    noisy = np.empty(clean.shape, noisy_dtype(noise, clean.dtype))
    count = max(1, CHUNK_VALUES * len(clean) // max(1, clean.size))
    draws = iter(draws)
    for start in range(0, len(clean), count):
        part = clean[start : start + count]
        noisy[start : start + count] = _made(noise, part, islice(draws, len(part)))
    return noisy


def _made(noise: Noise, clean: np.ndarray, draws: Draws) -> np.ndarray:
    file = catalogs.file_of(type(noise).__module__)
    in_8_bits = noise.in_8_bits and clean.dtype == np.uint8
    with catalogs.blaming(file, noise.kind):
        draw, given = (noise.draw_8_bits, clean) if in_8_bits else (noise.draw, to_levels(clean))
        made = draw(read_only(given), draws)
        catalogs.require_shape(file, noise.kind, made.shape, clean.shape)
        if in_8_bits:
            catalogs.require_8_bits(file, noise.kind, made)
            return made
        catalogs.require_finite(file, noise.kind, made)
    return from_levels(made, clean.dtype) if noise.clipped else made


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


def noisy_dtype(noise: Noise, clean: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of what `add` returns."""
    return clean if noise.clipped else np.dtype(np.float32)
