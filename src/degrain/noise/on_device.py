"""The kinds of noise that a GPU draws by itself: the distributions of `degrain.noise.kinds`, other numbers."""

from __future__ import annotations

from functools import singledispatch

import torch
from torch import Generator, Tensor

from degrain.noise import sensors
from degrain.params import noise as spec


@singledispatch
def noise(params: spec.Noise, clean: Tensor, draw: Generator) -> Tensor:  # noqa: ARG001
    """Return noisy patches, not clipped.

    Args:
        params: Kind and strength.
        clean: float32 (N, height, width, channels), in 8-bit levels (white = 255).
        draw: Where the noise of all of them comes from; of the same device.

    Returns:
        float32 of the same shape, on the same device.

    Raises:
        TypeError: This kind is drawn on the host only.
    """
    raise TypeError(f"noise of kind {type(params).__name__} is not drawn on a device")


def draws(params: spec.Noise) -> bool:
    """Tell whether `noise` can draw this kind."""
    return noise.dispatch(type(params)) is not noise.dispatch(spec.Noise)


@noise.register
def _(params: spec.GaussianNoise, clean: Tensor, draw: Generator) -> Tensor:
    sigma = 25.0 if params.sigma is None else params.sigma
    strength = _strength(sigma if params.variance is None else params.variance**0.5, clean, draw)
    return _normal(clean, draw).mul_(strength).add_(clean)


@noise.register
def _(params: spec.CoefficientNoise, clean: Tensor, draw: Generator) -> Tensor:
    strength = 255 * _strength(params.factor, clean, draw)
    return _normal(clean, draw).mul_(strength).add_(clean).add_(255 * params.mean)


@noise.register
def _(params: spec.MaskingNoise, clean: Tensor, draw: Generator) -> Tensor:
    share = _strength(params.share, clean, draw)
    return clean * (_even(clean[..., :1], draw) >= share)


@noise.register
def _(params: spec.SaltAndPepperNoise, clean: Tensor, draw: Generator) -> Tensor:
    share = _strength(params.share, clean, draw)
    chance = _even(clean, draw)
    return torch.where(chance < share / 2, 0.0, torch.where(chance < share, 255.0, clean))


@noise.register
def _(params: spec.SpeckleNoise, clean: Tensor, draw: Generator) -> Tensor:
    strength = _strength(params.sigma, clean, draw)
    return _normal(clean, draw).mul_(strength).add_(1).mul_(clean)


@noise.register
def _(params: spec.ShotReadNoise, clean: Tensor, draw: Generator) -> Tensor:
    beta1, beta2 = (torch.from_numpy(beta).to(clean) for beta in sensors.betas(params))
    light = _to_linear(clean / 255) if params.linear else clean / 255
    counted = beta1 * torch.poisson(light / torch.where(beta1 > 0, beta1, 1.0), generator=draw)
    noisy = torch.where(beta1 > 0, counted, light) + beta2.sqrt() * _normal(clean, draw)
    return 255 * (_from_linear(noisy) if params.linear else noisy)


@noise.register
def _(params: spec.NoNoise, clean: Tensor, draw: Generator) -> Tensor:  # noqa: ARG001
    return clean.clone()


def _strength(value: float | tuple[float, float], clean: Tensor, draw: Generator) -> Tensor | float:
    """The number itself, or for each patch one drawn evenly from a range, (N, 1, 1, 1)."""
    if not isinstance(value, tuple):
        return value
    return value[0] + (value[1] - value[0]) * _even(clean[:, :1, :1, :1], draw)


def _normal(like: Tensor, draw: Generator) -> Tensor:
    return torch.randn(like.shape, generator=draw, device=like.device)


def _even(like: Tensor, draw: Generator) -> Tensor:
    return torch.rand(like.shape, generator=draw, device=like.device)


def _to_linear(values: Tensor) -> Tensor:
    return torch.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _from_linear(light: Tensor) -> Tensor:
    curved = 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(light <= 0.0031308, 12.92 * light, curved)
