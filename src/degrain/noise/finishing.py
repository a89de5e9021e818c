"""What phones do to a developed photograph: sharpening, softening and JPEG.

The arithmetic is the same for arrays and tensors. Images are planes, (N, 3, height, width), in 8-bit levels.

Source of JPEG: ITU-T T.81 (1992), annexes A.3 and K.1; the chroma's interpolation is that of libjpeg.
"""

from __future__ import annotations

import math

import numpy as np

from degrain.noise.arrays import Array, constant, empty

# Pixels that the filter reaches.
REACH = 3
# Side of what JPEG compresses at once, with chroma of half the size: 2x2 blocks of 8x8.
UNIT = 16

LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
CHROMA = np.full((8, 8), 99)
CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]

# Orthonormal DCT-II of 8 values, (frequency, place).
DCT = np.cos(math.pi / 8 * np.outer(range(8), np.arange(8) + 0.5)) * np.array([[8**-0.5], *7 * [[0.5]]])


def taps(blur: Array, sharpness: Array) -> tuple[Array, Array, Array, Array]:
    """Return a filter that softens by a Gaussian and sharpens again, along one axis.

    Args:
        blur: Standard deviation of the Gaussian, in pixels; 0 leaves it out.
        sharpness: How much of what a pixel differs from the mean of its two neighbors is added.

    Returns:
        The weights of the pixel itself and of those 1, 2 and 3 pixels away; together they are 1.
    """
    near, far = (math.e ** (-(distance**2) / (2 * blur**2 + 1e-3)) for distance in (1, 2))
    own = 1 / (1 + 2 * near + 2 * far)
    near, far = near * own, far * own
    more, less = 1 + sharpness, sharpness / 2
    return (
        more * own - 2 * less * near,
        more * near - less * (own + far),
        more * far - less * near,
        -less * far,
    )


def power(weights: tuple[Array, ...]) -> Array:
    """Return the variance that a filter along one axis leaves of white noise of variance 1."""
    own, *others = weights
    return own**2 + 2 * sum(weight**2 for weight in others)


def filtered(image: Array, weights: tuple[Array, ...]) -> Array:
    """Filter images along both axes; the outcome lacks `REACH` pixels at each edge."""
    for axis in (-1, -2):
        image = _filtered(image.swapaxes(axis, -1), weights).swapaxes(axis, -1)
    return image


def _filtered(image: Array, weights: tuple[Array, ...]) -> Array:
    width = image.shape[-1] - 2 * REACH

    def at(right: int) -> Array:
        return image[..., REACH + right : REACH + right + width]

    own, *others = weights
    made = own * at(0)
    for distance, weight in enumerate(others, 1):
        made += weight * (at(distance) + at(-distance))
    return made


def padded(side: int, place: Array) -> Array:
    """Return which pixels of an axis are compressed where the image begins somewhere in JPEG's first unit.

    Args:
        side: Of the image, in pixels.
        place: Where it begins, whole numbers below `UNIT`, (N,).

    Returns:
        (N, length): indices into the axis; the pixels at the edges are repeated to a multiple of `UNIT`, the same
        for all.
    """
    length = UNIT * -(-(side + UNIT - 1) // UNIT)
    return (constant(np.arange(length), place) - place[:, None]).clip(0, side - 1)


def compressed(image: Array, quality: Array) -> Array:
    """Compress by JPEG with chroma of half the size, and decode again.

    Args:
        image: Sides are multiples of `UNIT`; it is rounded and clipped first.
        quality: (N, 1, 1, 1), from 50 to 100, as libjpeg takes it.

    Returns:
        Whole levels in [0, 255], of the same shape.
    """
    red, green, blue = (image[:, color : color + 1].round().clip(0, 255) for color in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = empty((len(image), 2, image.shape[2] // 2, image.shape[3] // 2), image)
    chroma[:, :1] = _halved(((blue - luma) / 1.772).round())
    chroma[:, 1:] = _halved(((red - luma) / 1.402).round())
    luma = 128 + _quantized(luma.round() - 128, LUMA, quality).round()
    chroma = _doubled(_quantized(chroma.round(), CHROMA, quality).round()).round()
    decoded = empty(image.shape, image)
    decoded[:, :1] = luma + 1.402 * chroma[:, 1:]
    decoded[:, 1:2] = luma - (0.114 * 1.772 * chroma[:, :1] + 0.299 * 1.402 * chroma[:, 1:]) / 0.587
    decoded[:, 2:] = luma + 1.772 * chroma[:, :1]
    return decoded.round().clip(0, 255)


def _halved(image: Array) -> Array:
    rows = image[..., ::2, :] + image[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


def _doubled(image: Array) -> Array:
    """Three quarters of the nearest value and a quarter of the next, along both axes."""
    for axis in (-1, -2):
        image = _doubled_along(image.swapaxes(axis, -1)).swapaxes(axis, -1)
    return image


def _doubled_along(image: Array) -> Array:
    made = empty((*image.shape[:-1], 2 * image.shape[-1]), image)
    made[..., ::2] = made[..., 1::2] = 0.75 * image
    quarter = image / 4
    made[..., 2::2] += quarter[..., :-1]
    made[..., 1:-1:2] += quarter[..., 1:]
    made[..., 0] += quarter[..., 0]
    made[..., -1] += quarter[..., -1]
    return made


def _quantized(planes: Array, table: np.ndarray, quality: Array) -> Array:
    """Round the DCT of blocks of 8x8 pixels to multiples of a table at some quality."""
    wave = constant(DCT, planes)
    steps = ((constant(table[:, None], planes) * (200 - 2 * quality[..., None]) + 50) // 100).clip(1, 255)
    number, kinds, height, width = planes.shape
    blocks = (number, kinds * height // 8, 8, width // 8, 8)

    def turned(values: Array, matrix: Array) -> Array:
        """Multiply along the rows of each block, and swap its rows and columns."""
        return (values.reshape(number, kinds * height * width // 8, 8) @ matrix).reshape(blocks).swapaxes(2, 4)

    frequencies = turned(turned(planes, wave.T), wave.T)
    rounded = (frequencies / steps).round() * steps
    return turned(turned(rounded, wave), wave).reshape(planes.shape)
