"""Noise of cameras, on a device; see `degrain.noise.camera`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from degrain.noise import bayer, camera_choices, device_drawing, device_sensors, finishing, unprocessing
from degrain.noise.arrays import Array, constant
from degrain.noise.camera_choices import Chances, Choices

if TYPE_CHECKING:
    from degrain.noise.camera import CameraNoise


def draw(noise: CameraNoise, clean: Tensor, draw: Generator) -> Tensor:
    """Return noisy patches, see `Noise.draw_on_device`.

    Each patch is made noisy in every way, and one is chosen: which patches are of a kind need not be read back.
    """
    planes = clean.permute(0, 3, 1, 2).contiguous()
    numbers = device_drawing.even(clean.new_empty(len(clean), len(Chances._fields)), draw)
    choices = camera_choices.choices(noise, numbers)
    source = camera_choices.source(noise, Chances(*numbers.T[..., None, None, None]))
    packed = _light(planes, choices)
    light = bayer.unpacked(packed)
    normal = device_drawing.normal(light, draw)
    demosaiced = _demosaiced(packed, device_drawing.normal(packed[:, 0], draw), choices)
    sensor = torch.where(source.shrunk, _shrunk(light, normal, choices), demosaiced)
    added = unprocessing.developed(sensor, choices.camera)
    added = _bent(light, added, choices, noise.mean_shift)
    added = finishing.filtered(torch.where(source.gaussian, choices.sigma * normal, added), choices.taps)
    noisy = planes + _placed(added, planes, choices)
    noisy = torch.where(choices.jpeg, _compressed(noisy, choices), noisy)
    return torch.where(source.clean, planes, noisy).permute(0, 2, 3, 1).contiguous()


def _light(planes: Tensor, choices: Choices) -> Tensor:
    """Linear light as packed mosaics of each channel, (N, 3, 4, rows, columns)."""
    values = (planes / 255).clamp(0, 1)
    values = torch.where(choices.toned, _untoned(values), values)
    places = torch.from_numpy(bayer.places(*planes.shape[2:], finishing.REACH)).to(planes.device)[choices.place]
    index = places.flatten(1)[:, None].expand(-1, 3, -1)
    return device_sensors.to_linear(values).flatten(2).gather(2, index).view(-1, 3, *places.shape[1:])


def _untoned(values: Tensor) -> Tensor:
    """Undo the tone curve, see `degrain.noise.unprocessing.untoned`."""
    return 0.5 - (torch.asin(1 - 2 * values) / 3).sin()


def _demosaiced(packed: Tensor, normal: Tensor, choices: Choices) -> Array:
    raw = unprocessing.sensed(packed, choices.camera, bayer.COLORS)
    return bayer.demosaic(unprocessing.exposed(*raw, choices.camera, normal), choices.correction)


def _shrunk(light: Tensor, normal: Tensor, choices: Choices) -> Array:
    raw = unprocessing.sensed(light[:, :, None], choices.camera, (0, 1, 2))
    return unprocessing.exposed(*raw, choices.camera, normal * constant(unprocessing.CELL_DEVIATIONS, normal))


def _bent(light: Tensor, added: Tensor, choices: Choices, mean_shift: bool) -> Tensor:
    """Return what noise in linear light adds to sRGB, in 8-bit levels."""
    lighter = _curved(light + added, choices.toned)
    if mean_shift:
        return lighter - _curved(light, choices.toned)
    return (lighter - _curved(light - added, choices.toned)) / 2


def _curved(light: Tensor, toned: Tensor) -> Tensor:
    """SRGB of linear light, in 8-bit levels, clipped at black and white."""
    curved = device_sensors.from_linear(light.clamp(0, 1))
    return 255 * torch.where(toned, unprocessing.toned(curved), curved)


def _placed(added: Tensor, planes: Tensor, choices: Choices) -> Tensor:
    """Cut the part of a field of noise out in which each patch lies."""
    rows, columns = (torch.arange(side, device=planes.device) for side in planes.shape[2:])
    return _cut(added, rows + (choices.place // 2)[:, None], columns + (choices.place % 2)[:, None])


def _compressed(noisy: Tensor, choices: Choices) -> Tensor:
    """Compress by JPEG, each patch at its own offset in the grid of JPEG's units."""
    places = choices.down, choices.right
    rows, columns = (finishing.padded(side, place) for side, place in zip(noisy.shape[2:], places, strict=True))
    whole = finishing.compressed(_cut(noisy, rows, columns), choices.quality)
    rows, columns = (
        place[:, None] + torch.arange(side, device=noisy.device)
        for side, place in zip(noisy.shape[2:], places, strict=True)
    )
    return _cut(whole, rows, columns)


def _cut(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Take rows and columns of each image, (N, height) and (N, width)."""
    patches = torch.arange(len(images), device=images.device)[:, None, None, None]
    channels = torch.arange(3, device=images.device)[:, None, None]
    return images[patches, channels, rows[:, None, :, None], columns[:, None, None, :]]
