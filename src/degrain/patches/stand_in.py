"""What stands in for the truth where every image is noisy: what the pixels between those that are seen interpolate.

An image of every second pixel of every second row is denoised. At each of its pixels, the cubics through the next two
pixels on either side, in its row and in its column, say what is there. They are noisy, too, but where the noise of
pixels is independent, theirs has nothing to do with that of the pixel that is seen: the mean squared error against them
is that against what they would be without noise, plus a constant.

Sources: Huang et al., "Neighbor2Neighbor", CVPR 2021 (an image's neighboring pixels as input and target); Lehtinen et
al., "Noise2Noise", ICML 2018 (targets with noise of mean 0); Marcos-Morales et al., "Evaluating unsupervised denoising
requires unsupervised metrics", ICML 2023 (errors against noisy references); Keys, "Cubic convolution interpolation for
digital image processing", IEEE TASSP 1981.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from degrain.pixels import from_levels, to_levels

# Half of what the cubic through the pixels at -3, -1, 1 and 3 gives the one at 0.
_TAPS: Final = np.array([-1, 0, 9, 0, 9, 0, -1], np.float32) / 32
# Weights of the pixels around one, (7, 7): none of those that an image of every second pixel has.
KERNEL: Final = np.zeros((7, 7), np.float32)
KERNEL[3] += _TAPS
KERNEL[:, 3] += _TAPS
# Variance of the noise of the stand-in, by that of a pixel.
VARIANCE: Final = float(np.square(KERNEL).sum())
# From the median of an absolute deviation to a standard deviation, for Gaussian noise.
_MEDIAN: Final = 1.4826

# Correlation is measured in square blocks of so many pixels a side, in this share of them and at least so many: the
# flattest.
BLOCK, FLATTEST, LEAST = 16, 0.05, 16
# Of the distances between pixels over which the stand-in relies on independence.
DISTANCES = (1, 3)
# Blocks with less variance, in squares of 8-bit levels, have no noise: 16 bits hold more.
FAINTEST = 1e-6
# Blocks with more values at black or white than this share tell too little of the noise.
CLIPPED = 0.5


def halved(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split a noisy image into what is denoised and what stands in for the truth.

    Args:
        image: uint8 or uint16 (H, W, C), at least 4 pixels high and wide; an odd last row or column is left out.

    Returns:
        Every second pixel of every second row, and the stand-in for the same pixels: both (H // 2, W // 2, C) of the
        image's type.
    """
    height, width = (side // 2 * 2 for side in image.shape[:2])
    even = image[:height, :width]
    between = cv2.filter2D(to_levels(even), -1, KERNEL, borderType=cv2.BORDER_REFLECT_101)
    between = between.reshape(even.shape)[::2, ::2]
    return np.ascontiguousarray(even[::2, ::2]), from_levels(between, image.dtype)


def noise_level(noisy: np.ndarray, between: np.ndarray) -> float:
    """Estimate the standard deviation of the noise, in 8-bit levels, from halved images (N, H, W, C).

    It is that of the median pixel, so that edges, which the stand-in blurs, do not count as noise.
    """
    deviation = np.median(np.abs(to_levels(noisy) - to_levels(between)))
    return float(_MEDIAN * deviation / np.sqrt(1 + VARIANCE))


@dataclass(frozen=True)
class Correlation:
    """How much of the noise pixels share.

    Attributes:
        value: The correlation that is farthest from 0, of pixels of a row or of a column.
        distance: Of these pixels.
        blocks: In how many blocks it was measured.
    """

    value: float
    distance: int
    blocks: int


def correlation(patches: np.ndarray) -> Correlation | None:
    """Measure the correlation of the noise in the flattest blocks of noisy patches, where least else is.

    Args:
        patches: uint8 or uint16 (N, H, W, C).

    Returns:
        None where no block has any noise, or all are black or white.
    """
    blocks = _blocks(patches)
    residuals = blocks - _surfaces(blocks)
    power = np.square(residuals).mean(axis=(1, 2))
    residuals, power = residuals[power > FAINTEST], power[power > FAINTEST]
    if not len(residuals):
        return None
    flattest = np.argsort(power, kind="stable")[: max(LEAST, round(FLATTEST * len(power)))]
    # NOTE: each block weighs the same, however strong its noise is.
    chosen = residuals[flattest] / np.sqrt(power[flattest])[:, None, None]
    found = {
        (distance, axis): float(
            (np.delete(chosen, np.s_[:distance], axis) * np.delete(chosen, np.s_[-distance:], axis)).mean()
        )
        for distance in DISTANCES
        for axis in (1, 2)
    }
    distance, axis = max(found, key=lambda one: abs(found[one]))
    return Correlation(found[distance, axis], distance, len(chosen))


def _blocks(patches: np.ndarray) -> np.ndarray:
    """Cut patches into blocks of one channel that are not mostly clipped: float64 (blocks, BLOCK, BLOCK)."""
    count, height, width, channels = patches.shape
    rows, columns = height // BLOCK, width // BLOCK
    whole = to_levels(patches[:, : rows * BLOCK, : columns * BLOCK]).astype(np.float64)
    parted = whole.reshape(count, rows, BLOCK, columns, BLOCK, channels).transpose(0, 1, 3, 5, 2, 4)
    blocks = parted.reshape(-1, BLOCK, BLOCK)
    clipped = ((blocks <= 0) | (blocks >= 255)).mean(axis=(1, 2))
    kept: np.ndarray = blocks[clipped <= CLIPPED]
    return kept


def _surfaces(blocks: np.ndarray) -> np.ndarray:
    """Return for each block the quadratic surface that is nearest to it."""
    y, x = np.mgrid[-1 : 1 : BLOCK * 1j, -1 : 1 : BLOCK * 1j]
    basis, _ = np.linalg.qr(np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6))
    nearest: np.ndarray = (blocks.reshape(-1, BLOCK * BLOCK) @ basis @ basis.T).reshape(blocks.shape)
    return nearest
