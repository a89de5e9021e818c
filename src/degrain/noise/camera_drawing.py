"""Noise of cameras, on the host; see `degrain.noise.camera`."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from degrain.noise import bayer, camera_choices, finishing, srgb, unprocessing
from degrain.noise.camera_choices import Chances, Choices
from degrain.randomness import Draws

if TYPE_CHECKING:
    from degrain.noise.camera import CameraNoise

# Last entries of the tables of curves. From sRGB there are 257 steps for each 8-bit level, so that 16-bit images lose
# nothing. To sRGB the table fits the processor's cache; where the curve is steepest, steps are 0.2 levels.
LAST_SRGB, LAST_LIGHT = 65535, 16383


class _Grain(NamedTuple):
    """Some patches, and standard normal numbers for each, float32 (n, ...)."""

    patches: list[int]
    normal: np.ndarray


def draw(noise: CameraNoise, clean: np.ndarray, draws: Draws) -> np.ndarray:
    """Return noisy patches, see `Noise.draw`."""
    numbers, mosaic, shrunk, gaussian = _drawn(noise, clean.shape, draws)
    patches = [*mosaic.patches, *shrunk.patches, *gaussian.patches]
    if not patches:
        return clean.copy()
    planes = clean.transpose(0, 3, 1, 2).copy()
    choices = camera_choices.choices(noise, numbers)
    generic = choices.sigma[gaussian.patches] * gaussian.normal
    added = np.concatenate([_photographed(planes, choices, mosaic, shrunk, noise.mean_shift), generic])
    _add(planes, _filtered(added, patches, choices), patches, choices)
    _compress(planes, np.flatnonzero(choices.jpeg), choices)
    noisy = np.empty_like(clean)
    for channel in range(3):
        noisy[..., channel] = planes[:, channel]
    return noisy


def _drawn(noise: CameraNoise, shape: tuple[int, ...], draws: Draws) -> tuple[np.ndarray, _Grain, _Grain, _Grain]:
    """Draw the numbers of choices, (N, len(Chances._fields)), and grain of mosaics, shrunk images and generic noise."""
    rows, columns = (bayer.fielded(side, finishing.REACH) for side in shape[1:3])
    packed, field = (4, rows // 2 + bayer.REACH, columns // 2 + bayer.REACH), (3, rows, columns)
    numbers = np.empty((shape[0], len(Chances._fields)), np.float32)
    mosaic, shrunk, gaussian = (_Grain([], np.empty((shape[0], *one), np.float32)) for one in (packed, field, field))
    for patch, (drawn, generator) in enumerate(zip(numbers, draws, strict=True)):
        generator.random(out=drawn, dtype=np.float32)
        source = camera_choices.source(noise, Chances(*drawn))
        if not source.clean:
            grain = gaussian if source.gaussian else shrunk if source.shrunk else mosaic
            generator.standard_normal(out=grain.normal[len(grain.patches)], dtype=np.float32)
            grain.patches.append(patch)
    mosaic, shrunk, gaussian = (
        _Grain(patches, normal[: len(patches)]) for patches, normal in (mosaic, shrunk, gaussian)
    )
    return numbers, mosaic, shrunk, gaussian


def _photographed(planes: np.ndarray, choices: Choices, mosaic: _Grain, shrunk: _Grain, mean_shift: bool) -> np.ndarray:
    """Return what noise adds to photographs by a camera, in 8-bit levels, mosaics first, (n, 3, rows, columns)."""
    patches, first = [*mosaic.patches, *shrunk.patches], len(mosaic.patches)
    packed = _light(planes, patches, choices)
    light = bayer.unpacked(packed)
    sensor = np.empty_like(light)
    camera = choices.camera.of(mosaic.patches)
    noise = unprocessing.exposed(*unprocessing.sensed(packed[:first], camera, bayer.COLORS), camera, mosaic.normal)
    sensor[:first] = bayer.demosaic(noise, choices.correction[mosaic.patches])
    camera = choices.camera.of(shrunk.patches)
    raw = unprocessing.sensed(light[first:, :, None], camera, (0, 1, 2))
    sensor[first:] = unprocessing.exposed(*raw, camera, shrunk.normal * unprocessing.CELL_DEVIATIONS)
    added = unprocessing.developed(sensor, choices.camera.of(patches))
    toned = choices.toned[patches, 0, 0, 0]
    return _bent(light, added, toned, mean_shift)


def _light(planes: np.ndarray, patches: list[int], choices: Choices) -> np.ndarray:
    """Linear light of patches as packed mosaics of each channel, float32 (n, 3, 4, rows, columns)."""
    count, channels, height, width = planes.shape
    places = bayer.places(height, width, finishing.REACH)
    steps = np.rint(planes.reshape(count, channels, -1) * (LAST_SRGB / 255)).astype(np.intp)
    light = np.empty((len(patches), channels, *places.shape[1:]), np.float32)
    for target, patch in zip(light, patches, strict=True):
        table = _tables(bool(choices.toned[patch].item()))[0]
        table.take(steps[patch], mode="clip").take(places[choices.place[patch]], axis=1, out=target, mode="clip")
    return light


def _bent(light: np.ndarray, added: np.ndarray, toned: np.ndarray, mean_shift: bool) -> np.ndarray:
    """Return what noise in linear light adds to sRGB, in 8-bit levels."""
    lighter = _curved(light + added, toned)
    darker = _curved(light if mean_shift else light - added, toned)
    difference: np.ndarray = lighter - darker
    difference *= 1.0 if mean_shift else 0.5
    return difference


def _curved(light: np.ndarray, toned: np.ndarray) -> np.ndarray:
    """SRGB of linear light, in 8-bit levels, clipped at black and white."""
    steps = (light * np.float32(LAST_LIGHT) + np.float32(0.5)).astype(np.intp)
    curved = np.empty_like(light)
    for target, step, tone in zip(curved, steps, toned, strict=True):
        _tables(bool(tone))[1].take(step, out=target, mode="clip")
    return curved


@lru_cache(maxsize=2)
def _tables(toned: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return linear light of sRGB, and sRGB, in 8-bit levels, of linear light, float32."""
    values, light = np.linspace(0, 1, LAST_SRGB + 1), np.linspace(0, 1, LAST_LIGHT + 1)
    curved = srgb.from_linear(light)
    if toned:
        values, curved = unprocessing.untoned(values), unprocessing.toned(curved)
    return srgb.to_linear(values), np.float32(255) * curved


def _filtered(added: np.ndarray, patches: list[int], choices: Choices) -> np.ndarray:
    """Soften and sharpen the noise of some patches; that of all loses `finishing.REACH` pixels at each edge."""
    inner = slice(finishing.REACH, -finishing.REACH)
    made = added[..., inner, inner].copy()
    chosen = np.flatnonzero(choices.filtered[patches])
    taps = tuple(weight[np.array(patches)[chosen]] for weight in choices.taps)
    made[chosen] = finishing.filtered(added[chosen], taps)
    return made


def _add(planes: np.ndarray, added: np.ndarray, patches: list[int], choices: Choices) -> None:
    """Add its part of a field of noise to each patch: where the patch lies in the mosaic."""
    height, width = planes.shape[2:]
    for patch, noise in zip(patches, added, strict=True):
        down, right = divmod(int(choices.place[patch]), 2)
        planes[patch] += noise[:, down : down + height, right : right + width]


def _compress(planes: np.ndarray, patches: np.ndarray, choices: Choices) -> None:
    """Compress patches by JPEG, each at its own offset in the grid of JPEG's units."""
    height, width = planes.shape[2:]
    places = choices.down[patches], choices.right[patches]
    rows, columns = (finishing.padded(side, place) for side, place in zip((height, width), places, strict=True))
    whole = np.empty((len(patches), 3, rows.shape[1], columns.shape[1]), np.float32)
    for target, patch, row, column in zip(whole, patches, rows, columns, strict=True):
        planes[patch].take(row, axis=1).take(column, axis=2, out=target, mode="clip")
    whole = finishing.compressed(whole, choices.quality[patches])
    for patch, image, down, right in zip(patches, whole, *places, strict=True):
        planes[patch] = image[:, down : down + height, right : right + width]
