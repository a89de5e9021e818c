"""Random numbers for whole batches, on a device: one generator for all patches."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from degrain.noise.drawing import Strength


def strengths(value: Strength, clean: Tensor, draw: Generator) -> Tensor | float:
    """Return the number itself, or for each patch one drawn evenly from a range, (N, 1, 1, 1)."""
    if not isinstance(value, tuple):
        return value
    return value[0] + (value[1] - value[0]) * even(clean[:, :1, :1, :1], draw)


def normal(like: Tensor, draw: Generator) -> Tensor:
    """Draw standard normal numbers, float32, of the shape of another tensor."""
    return torch.randn(like.shape, generator=draw, device=like.device)


def even(like: Tensor, draw: Generator) -> Tensor:
    """Draw float32 numbers spread evenly over [0, 1), of the shape of another tensor."""
    return torch.rand(like.shape, generator=draw, device=like.device)
