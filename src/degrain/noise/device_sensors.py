"""What `degrain.noise.sensors` and `srgb` do, on a device."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from degrain.noise import device_drawing


def expose(light: Tensor, beta1: Tensor, beta2: Tensor, draw: Generator) -> Tensor:
    """Draw what a sensor reads, see `degrain.noise.sensors.expose`."""
    counted = beta1 * torch.poisson(light / torch.where(beta1 > 0, beta1, 1.0), generator=draw)
    return torch.where(beta1 > 0, counted, light) + beta2.sqrt() * device_drawing.normal(light, draw)


def to_linear(values: Tensor) -> Tensor:
    """Undo the sRGB curve, see `degrain.noise.srgb`."""
    return torch.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def from_linear(light: Tensor) -> Tensor:
    """Apply the sRGB curve, see `degrain.noise.srgb`."""
    curved = 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(light <= 0.0031308, 12.92 * light, curved)
