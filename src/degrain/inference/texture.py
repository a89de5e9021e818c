"""Giving back the texture that a blind network took for noise.

What a denoiser removes, its method noise (Buades, Coll and Morel 2005, "A review of image denoising algorithms, with a
new one", section 2), should look like noise: as strong in textured areas as in flat ones of the same brightness. Where
it is stronger, the rest was texture. So the method noise of a whole image says how strong noise is at each brightness,
by its calmest blocks, and is scaled down where it is stronger than that, as Wiener's filter would do it.

How much stronger is allowed, and the share of blocks that count as calm, were chosen by a table in docs/quality.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np

from degrain.pixels import from_levels, to_levels

# Side of the blocks whose power is measured, in pixels, and the deviation by which that is smoothed, in blocks.
BLOCK = 4
SMOOTHING = 1.0
# Blocks of as many kinds of brightness, each of at least so many blocks; in less than LEAST blocks, nothing is said.
KINDS, OF_A_KIND, LEAST = 6, 256, 64
# The share of a kind's blocks whose method noise is all noise, and how often their power others may have.
CALM, ALLOWED = 0.03, 2.0
# Some parts of an image never had its noise: borders, letters, backgrounds that a phone has blurred. Blocks with less
# than this share of the power that most of their kind do not exceed do not count, nor do those beside them, as far as
# the smoothing reaches.
QUIET, MOST, REACH = 0.05, 0.8, 2
# Clipping and rounding hide noise: blocks of which so much is black or white do not count.
CLIPPED = 0.25
# Rows of pixels that are held as floats at once.
BAND = 64 * BLOCK


def give_back(noisy: np.ndarray, denoised: np.ndarray, strength: float = 1) -> float:
    """Give texture back to a denoised image, in place.

    Args:
        noisy: (H, W, C) uint8 or uint16, or float in 8-bit levels.
        denoised: What a network made of it; uint8 or uint16 of the same shape; changed.
        strength: How much of what is left of the method noise is removed, 0 to 1.

    Returns:
        The standard deviation of what is left of the method noise, in units of white = 1.
    """
    height, width = noisy.shape[:2]
    kept, power = _share_of_noise(noisy, denoised), 0.0
    for rows in _bands(height):
        first, last = rows.start // BLOCK, -(-rows.stop // BLOCK)
        above, below = max(0, first - 1), min(len(kept), last + 1)
        size = (kept.shape[1] * BLOCK, (below - above) * BLOCK)
        share = cv2.resize(kept[above:below], size, interpolation=cv2.INTER_LINEAR)
        top = (first - above) * BLOCK
        share = share[top : top + rows.stop - rows.start, :width, None]
        levels = to_levels(noisy[rows])
        noise = share * (levels - to_levels(denoised[rows]))
        power += float(np.square(noise).sum(dtype=np.float64))
        denoised[rows] = from_levels(levels - strength * noise, denoised.dtype)
    return math.sqrt(power / noisy.size) / 255


def _share_of_noise(noisy: np.ndarray, denoised: np.ndarray) -> np.ndarray:
    """Return the share of the method noise that is noise: float32 (blocks along H, blocks along W), 0 to 1."""
    power, brightness, counts = map(np.concatenate, zip(*_blocks(noisy, denoised), strict=True))
    power, brightness = (cv2.GaussianBlur(one, (0, 0), SMOOTHING) for one in (power, brightness))
    if counts.sum() < LEAST:
        return np.ones_like(power)
    lights, calm = _levels(power, brightness, counts)
    allowed = ALLOWED * np.interp(brightness, lights, calm)
    share: np.ndarray = np.minimum(1, allowed / np.maximum(power, 1e-6)).astype(np.float32)
    return share


def _levels(power: np.ndarray, brightness: np.ndarray, counts: np.ndarray) -> tuple[list[float], list[float]]:
    """Return the brightness of each kind of blocks, and the power of noise there.

    Args:
        power: Of the method noise of the blocks.
        brightness: Of the blocks, of the same shape.
        counts: Which of them count; some do.
    """
    blocks = np.flatnonzero(counts)
    order = blocks[np.argsort(brightness.flat[blocks], kind="stable")]
    kinds = np.array_split(order, max(1, min(KINDS, len(blocks) // OF_A_KIND)))
    quiet = np.zeros(power.shape, np.uint8)
    for kind in kinds:
        quiet.flat[kind] = power.flat[kind] < QUIET * np.quantile(power.flat[kind], MOST)
    side = 2 * REACH + 1
    near = cv2.dilate(quiet, np.ones((side, side), np.uint8)).ravel() > 0
    noise = [power.flat[kind if near[kind].all() else kind[~near[kind]]] for kind in kinds]
    return [float(brightness.flat[kind].mean()) for kind in kinds], [float(np.quantile(one, CALM)) for one in noise]


def _blocks(noisy: np.ndarray, denoised: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Describe the blocks of each band.

    Yields:
        The mean square of the method noise and the brightness, float32 in 8-bit levels, and whether the block counts.
    """
    for rows in _bands(len(noisy)):
        given, made = (_whole_blocks(to_levels(image[rows])) for image in (noisy, denoised))
        clipped = _means(((given <= 0) | (given >= 255)).astype(np.float32))
        # NOTE: a block of one color was never light: a border, a drawing, or clipped.
        counts = (clipped < CLIPPED) & (_limits(np.maximum, given) > _limits(np.minimum, given)).any(axis=2)
        yield _means(np.square(given - made)), _means(made), counts


def _bands(height: int) -> Iterator[slice]:
    return (slice(top, min(top + BAND, height)) for top in range(0, height, BAND))


def _whole_blocks(image: np.ndarray) -> np.ndarray:
    """Continue (H, W, C) by its mirror image at the bottom and at the right, to whole blocks."""
    missing = [*((0, -side % BLOCK) for side in image.shape[:2]), (0, 0)]
    return np.pad(image, missing, mode="symmetric") if any(map(any, missing)) else image


def _means(image: np.ndarray) -> np.ndarray:
    """Return the means of the blocks of float32 (H, W, C) over pixels and channels."""
    height, width, channels = image.shape
    small = cv2.resize(image, (width // BLOCK, height // BLOCK), interpolation=cv2.INTER_AREA)
    means: np.ndarray = small.reshape(height // BLOCK, width // BLOCK, channels).mean(axis=2)
    return means


def _limits(limit: np.ufunc, image: np.ndarray) -> np.ndarray:
    """Return the least or largest values of the blocks of each channel."""
    height, width, channels = image.shape
    rows = limit.reduce(image.reshape(height // BLOCK, BLOCK, width, channels), axis=1)
    found: np.ndarray = limit.reduce(rows.reshape(height // BLOCK, width // BLOCK, BLOCK, channels), axis=2)
    return found
