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
TONED = CLIPPED = 0.5
# How much of what a pixel differs from its neighbors is added along each axis, where an image is sharpened.
SHARPNESS = (0.05, 0.4)


class Chances(NamedTuple):
    """What is drawn for each patch; numbers in [0, 1), of one patch or of N."""

    source: Array
    sigma: Array
    shot: Array
    read: Array
    exposure: Array
    red: Array
    blue: Array
    mix: Array
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
    """Where the noise of each patch comes from; neither means from the mosaic of a sensor.

    Attributes:
        clean: Whether it has none.
        gaussian: Whether it is generic.
        shrunk: Whether each pixel of a camera's photograph has samples of its own of R, G and B.
    """

    clean: Array
    gaussian: Array
    shrunk: Array


class Choices(NamedTuple):
    """What is done to each of N patches; of shape (N, 1, 1, 1) unless said otherwise.

    Attributes:
        camera: That takes it.
        sigma: Of Gaussian noise, in 8-bit levels, before the filter.
        toned: Whether a tone curve follows the sRGB curve.
        correction: Of the demosaicing, (N, 1, 1).
        place: Of the patch in the mosaic, 0 to 3, (N,).
        taps: Of the filter.
        filtered: Whether it does anything, (N,).
        jpeg: Whether it is compressed.
        quality: Of JPEG.
        down, right: Where it lies in the grid of JPEG's units, whole pixels, (N,).
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
        correction=chances.correction[..., 0],
        place=_index(4, chances.place),
        taps=taps,
        filtered=(blur + sharpness)[:, 0, 0, 0] > 0,
        jpeg=camera & (chances.jpeg < noise.jpeg),
        quality=least + (most - least + 1) * chances.quality // 1,
        down=_index(finishing.UNIT, chances.down),
        right=_index(finishing.UNIT, chances.right),
    )


def _camera(noise: CameraNoise, chances: Chances) -> Camera:
    mix = (chances.mix, chances.mix_second, chances.mix_third, chances.mix_fourth)
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
