"""What camera each patch gets and what is done to its photograph, from numbers spread evenly over [0, 1).

The arithmetic is the same for arrays and tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from degrain.noise import finishing, unprocessing
from degrain.noise.arrays import Array, empty, whole
from degrain.noise.unprocessing import Camera

if TYPE_CHECKING:
    from degrain.noise.camera import CameraNoise

# Gains of red and blue from daylight to tungsten light, and how much of the sensor's range sRGB's white takes.
RED, BLUE, EXPOSURE = (1.2, 2.4), (1.4, 2.6), (0.6, 1.0)
# Share of cameras with a tone curve, and of those that clip at black.
TONED, CLIPPED = 0.2, 0.5
# Most of the gradient correction of the demosaicing; half of the patches have 7/8 of it and more. With 1, noise has
# the correlations of SIDD's phones: of neighbors 0.35 in green and 0.5 in red and blue, of two colors 0.1 to 0.4.
CORRECTION = 1.2
# How much of what a pixel differs from its neighbors is added along each axis, where an image is sharpened.
SHARPNESS = (0.05, 0.4)


class Chances(NamedTuple):
    """The random numbers of a patch, each spread evenly over [0, 1); of one patch or of N."""

    source: Array
    sigma: Array
    shot: Array
    read: Array
    exposure: Array
    red: Array
    blue: Array
    mix_first: Array
    mix_second: Array
    mix_third: Array
    mix_fourth: Array
    black: Array
    tone: Array
    correction: Array
    place: Array
    resized: Array
    blur: Array
    sharpened: Array
    sharpness: Array
    jpeg: Array
    quality: Array
    down: Array
    right: Array


class Source(NamedTuple):
    """Where the noise of each patch comes from; if from none of these, it comes from the mosaic of a camera's sensor.

    Attributes:
        clean: Whether the patch has no noise.
        gaussian: Whether its noise is Gaussian in sRGB.
        shrunk: Whether it is of a camera's photograph, shrunk so that each pixel has its own samples of R, G and B.
    """

    clean: Array
    gaussian: Array
    shrunk: Array


class Choices(NamedTuple):
    """What is done to each of N patches; of shape (N, 1, 1, 1) unless said otherwise.

    Attributes:
        camera: The camera that takes it.
        sigma: Standard deviation of Gaussian noise before the filter, in 8-bit levels.
        toned: Whether a tone curve follows the sRGB curve.
        correction: Gradient correction of the demosaicing, see `bayer.demosaic`, (N, 1, 1).
        place: Place of the patch in the mosaic, 0 to 3, see `bayer.places`, (N,).
        taps: Weights of the filter that softens and sharpens, see `finishing.taps`.
        filtered: Whether the filter changes anything, (N,).
        jpeg: Whether the patch is compressed.
        quality: Quality of JPEG.
        down, right: Offset of the patch in the grid of JPEG's units, whole pixels, (N,).
    """

    camera: Camera
    sigma: Array
    toned: Array
    correction: Array
    place: Array
    taps: tuple[Array, ...]
    filtered: Array
    jpeg: Array
    quality: Array
    down: Array
    right: Array


def source(noise: CameraNoise, chances: Chances) -> Source:
    """Return where noise comes from, for one patch or N."""
    generic = noise.clean + noise.gaussian
    return Source(
        clean=chances.source < noise.clean,
        gaussian=(chances.source >= noise.clean) & (chances.source < generic),
        shrunk=(chances.source >= generic) & (chances.resized < noise.resized / 2),
    )


def choices(noise: CameraNoise, numbers: Array) -> Choices:
    """Return what is done to N patches, from float32 numbers of shape (N, len(Chances._fields))."""
    chances = Chances(*numbers.T[..., None, None, None])
    camera = chances.source >= noise.clean + noise.gaussian
    shrunk = chances.resized < noise.resized / 2
    enlarged = (chances.resized < noise.resized) & ~shrunk
    blur = shrunk * _within((0.0, 0.5), chances.blur) + enlarged * _within((0.5, 1.2), chances.blur)
    sharpness = (camera & (chances.sharpened < noise.sharpened)) * _within(SHARPNESS, chances.sharpness)
    taps = finishing.taps(blur, sharpness)
    least, most = noise.quality
    return Choices(
        camera=_camera(noise, chances),
        sigma=_within(noise.sigma, chances.sigma) / finishing.power(taps),
        toned=chances.tone < TONED,
        correction=CORRECTION * (1 - chances.correction[..., 0] ** 3),
        place=_index(4, chances.place),
        taps=taps,
        filtered=(blur + sharpness)[:, 0, 0, 0] > 0,
        jpeg=camera & (chances.jpeg < noise.jpeg),
        quality=least + (most - least + 1) * chances.quality // 1,
        down=_index(finishing.UNIT, chances.down),
        right=_index(finishing.UNIT, chances.right),
    )


def _camera(noise: CameraNoise, chances: Chances) -> Camera:
    mix = (chances.mix_first, chances.mix_second, chances.mix_third, chances.mix_fourth)
    matrix, inverse = unprocessing.matrices(*(weight[..., 0] for weight in mix))
    least, most = noise.shot
    shot = least * (most / least) ** chances.shot
    gains = empty((len(shot), 3, 1, 1), shot)
    gains[:, 0:1], gains[:, 1:2], gains[:, 2:] = _within(RED, chances.red), 1.0, _within(BLUE, chances.blue)
    return Camera(
        matrix=matrix,
        inverse=inverse,
        gains=gains / _within(EXPOSURE, chances.exposure),
        shot=shot,
        read=unprocessing.read_noise(shot, chances.read),
        black=(chances.black >= CLIPPED) * (0 * shot - unprocessing.BLACK_LEVEL),
    )


def _within(limits: tuple[float, float], chance: Array) -> Array:
    return limits[0] + (limits[1] - limits[0]) * chance


def _index(count: int, chance: Array) -> Array:
    return whole(count * chance)[:, 0, 0, 0]
