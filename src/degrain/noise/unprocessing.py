"""The way of light through a phone: sRGB is undone to what the sensor saw, exposed, and developed again.

The arithmetic is the same for arrays and tensors. Images are planes, (N, 3, height, width), linear, white = 1.

Source: Brooks et al., "Unprocessing images for learned raw denoising", CVPR 2019, section 3, and its supplement.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from degrain.noise.arrays import Array, constant, empty

# From CIE XYZ to the colors of four cameras, of the authors' code.
XYZ_TO_CAMERA = np.array(
    [
        [[1.0234, -0.2969, -0.2266], [-0.5625, 1.6328, -0.0469], [-0.0703, 0.2188, 0.6406]],
        [[0.4913, -0.0541, -0.0202], [-0.613, 1.3513, 0.2906], [-0.1564, 0.2151, 0.7183]],
        [[0.838, -0.263, -0.0639], [-0.2887, 1.0725, 0.2496], [-0.0627, 0.1427, 0.5438]],
        [[0.6596, -0.2079, -0.0562], [-0.4782, 1.3016, 0.1933], [-0.097, 0.1581, 0.5181]],
    ]
)
SRGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
# Read noise: log(beta2) = SLOPE * log(beta1) + OFFSET, as in the paper, but along the noise-level functions of SIDD;
# beta2 is up to SCATTER times as large or as small.
SLOPE, OFFSET, SCATTER = 1.68, -0.6, 4.0
# From here on highlights keep their light, so that white stays what saturates the sensor.
HIGHLIGHT = 0.9
# Deviation of R, G and B where each pixel has the samples of a whole cell: two of G.
CELL_DEVIATIONS = np.array([1.0, 0.5**0.5, 1.0], np.float32)[:, None, None]
# Black level of raw files, of white = 1; what is below it is lost.
BLACK_LEVEL = 1 / 16


class Camera(NamedTuple):
    """One camera for each of N patches; its numbers are arrays or tensors.

    Attributes:
        matrix: From linear sRGB to the sensor's R, G, B, (N, 3, 3); its rows sum to 1, so that gray stays gray.
        inverse: From the sensor's R, G, B to linear sRGB, (N, 3, 3).
        gains: White balance and digital gain of R, G, B, (N, 3, 1, 1), at least 1.
        shot: Variance per unit of light, (N, 1, 1, 1).
        read: Variance in the dark, (N, 1, 1, 1).
        black: The least that it reads, (N, 1, 1, 1).
    """

    matrix: Array
    inverse: Array
    gains: Array
    shot: Array
    read: Array
    black: Array

    def of(self, chosen: Array) -> Camera:
        """Return the cameras of some patches."""
        return Camera(*(numbers[chosen] for numbers in self))


def matrices(*weights: Array) -> tuple[Array, Array]:
    """Mix the color matrices of the paper's four cameras.

    Args:
        weights: Of each, (N, 1, 1), not negative; their sum does not matter.

    Returns:
        `Camera.matrix` and `Camera.inverse`.
    """
    known = XYZ_TO_CAMERA @ SRGB_TO_XYZ
    mixed = sum(weight * constant(matrix, weight) for weight, matrix in zip(weights, known, strict=True))
    mixed = mixed / mixed.sum(-1)[..., None]
    inverse = empty(mixed.shape, mixed)
    for column in range(3):
        inverse[..., column] = _cross(mixed[:, column - 2], mixed[:, column - 1])
    determinant = (mixed[:, 0] * inverse[..., 0]).sum(-1)
    return mixed, inverse / determinant[:, None, None]


def _cross(one: Array, other: Array) -> Array:
    ahead, behind = [1, 2, 0], [2, 0, 1]
    return one[:, ahead] * other[:, behind] - one[:, behind] * other[:, ahead]


def read_noise(shot: Array, chance: Array) -> Array:
    """Return beta2 of a sensor from its beta1 and a number in [0, 1) that says how far it is from the line."""
    return math.exp(OFFSET) * shot**SLOPE * SCATTER ** (2 * chance - 1)


def sensed(light: Array, camera: Camera, colors: Sequence[int]) -> tuple[Array, Array]:
    """Undo the colors and the white balance of sRGB; in highlights the gains fade, so that white stays white.

    Args:
        light: Linear sRGB in [0, 1]: (N, 3, P, height, width) for P planes of the sensor, or (N, 3, 1, height, width)
            where all see the same.
        camera: One for each image.
        colors: Which of R, G, B each of the P planes is.

    Returns:
        The light on each plane, (N, P, height, width), not negative, and the gain that it will have, (N, P, 1, 1).
    """
    rows, gains = camera.matrix[:, colors], camera.gains[:, colors]
    red, green, blue = (light[:, color] for color in range(3))
    rows = rows[..., None, None]
    on_sensor = (rows[:, :, 0] * red + rows[:, :, 1] * green + rows[:, :, 2] * blue).clip(0, None)
    gray = (red + green + blue) / 3
    mask = ((gray - HIGHLIGHT) / (1 - HIGHLIGHT)).clip(0, None) ** 2
    return (1 / gains + (1 - 1 / gains) * mask) * on_sensor, gains


def exposed(raw: Array, gains: Array, camera: Camera, normal: Array) -> Array:
    """Draw the noise of a sensor, and apply the gains to it.

    A Gaussian of the variance of shot and read noise stands for both, as in the paper.

    Args:
        raw: (N, P, height, width), white = 1, not negative.
        gains: Of each plane, at least 1.
        camera: One for each image.
        normal: Standard normal numbers, of the shape of `raw`.

    Returns:
        What noise adds after the gains, where both the noisy and the clean image are clipped at white.
    """
    noisy = (camera.shot * raw + camera.read) ** 0.5 * normal + raw
    noisy = (noisy - camera.black).clip(0, None) + camera.black
    return (gains * noisy).clip(None, 1) - (gains * raw).clip(None, 1)


def developed(noise: Array, camera: Camera) -> Array:
    """Take what noise adds to the sensor's R, G, B, (N, 3, height, width), to linear sRGB."""
    columns = camera.inverse[..., None, None]
    red, green, blue = (columns[:, :, color] * noise[:, color, None] for color in range(3))
    return red + green + blue


def toned(curved: Array) -> Array:
    """Apply the paper's tone curve, a smoothstep, to sRGB in [0, 1]."""
    return (3 - 2 * curved) * curved**2


def untoned(values: np.ndarray) -> np.ndarray:
    """Undo the tone curve."""
    return np.asarray(0.5 - np.sin(np.arcsin(1 - 2 * values) / 3))
