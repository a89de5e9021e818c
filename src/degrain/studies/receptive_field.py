"""The receptive radius of a network, measured by gradients, and by what changes where gradients do not go."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from degrain.inference import tiling
from degrain.networks.base import ModelSpec

# Pixels beyond the radius that are changed, at least, on each side.
BEYOND = 8
# What may be rounding, in double precision or in a network that computes in float32.
ROUNDING = 1e-5
# Weights that are no larger tell nothing of what they may become: LayerScale begins with 1e-6.
TINY = 1e-3


def depends_on_farther(spec: ModelSpec, network: nn.Module, channels: int, radius: int) -> bool:
    """Tell whether outputs change with pixels that are farther away, whether gradients lead there or not.

    The outputs in the middle of an image are compared with those of one that differs beyond the radius. This finds what
    gradients do not, such as the mean of the image without its gradient, its largest value or the place of that.

    Args:
        spec: What is declared of it.
        network: It is not changed.
        channels: Of its images.
        radius: Pixels, along rows or columns.
    """
    network = _alive(network)
    middle = -(-max(radius + max(BEYOND, spec.multiple), spec.smallest // 2) // spec.multiple) * spec.multiple
    side = 2 * middle + spec.multiple
    near = slice(middle - radius, middle + spec.multiple + radius)
    image = 0.25 + 0.5 * torch.rand(1, channels, side, side, dtype=torch.float64)
    # NOTE: white where it was dark, black where it was light: mean, extremes and their places change.
    other = (image < 1 / 2).double()
    other[..., near, near] = image[..., near, near]
    cell = slice(middle, middle + spec.multiple)
    with torch.no_grad():
        difference = network(image)[..., cell, cell] - network(other)[..., cell, cell]
    return bool((difference.abs() > ROUNDING).any())


def tiles_differ(spec: ModelSpec, network: nn.Module, channels: int, radius: int) -> bool:
    """Tell whether an image that is computed in tiles, as photographs are, differs from one that is computed whole.

    So it does where outputs depend on the size of the image, on the place in it or on its opposite border.

    Args:
        spec, network, channels, radius: As of `depends_on_farther`.
    """
    network = _alive(network)

    def forward(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            outputs: np.ndarray = network(torch.from_numpy(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
        return outputs

    short, halo = (-(-size // spec.multiple) * spec.multiple for size in (max(8, spec.smallest), radius))
    long = 2 * halo + 5 * short + spec.multiple
    for height, width in ((long, short), (short, long)):
        image = torch.rand(height, width, channels, dtype=torch.float64).numpy()
        whole = forward(image[None])[0]
        for rows, columns, pixels in tiling.in_halos(forward, image, short, radius, spec.multiple, spec.smallest):
            if np.abs(pixels - whole[rows, columns]).max() > ROUNDING:
                return True
    return False


def _alive(network: nn.Module) -> nn.Module:
    """Return a copy in float64 whose weights that are 0 or tiny, as some begin, are random, so that no path is dead."""
    network = copy.deepcopy(network).double().eval()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.abs().max() < TINY:
                weight.normal_(0, 0.1)
    return network


def reached(spec: ModelSpec, network: nn.Module, channels: int, radius: int) -> int:
    """Return how far from an output the pixels lie that it depends on, along rows or columns.

    Every phase of the network's grid is looked at. Weights are positive and maxima are averages, so that no path is
    dead and none cancels another.

    Args:
        spec: What is declared of it.
        network: It is changed, and of no use afterwards.
        channels: Of its images.
        radius: What is expected; the images are just large enough to show a larger one.

    Returns:
        Pixels, at most `radius` and twice the network's multiple: the farthest that the images show.
    """
    network = _without_dead_paths(network.double().eval())
    middle = -(-max(radius + spec.multiple, spec.smallest // 2) // spec.multiple) * spec.multiple
    side = 2 * middle + spec.multiple
    images = (0.7 + 0.1 * torch.rand(1, channels, side, side, dtype=torch.float64)).requires_grad_()
    outputs, farthest = network(images), 0
    for pixel in range(middle, middle + spec.multiple):
        (gradient,) = torch.autograd.grad(outputs[0, :, pixel, pixel].sum(), images, retain_graph=True)
        pixels = gradient[0].abs().sum(0).nonzero() - pixel
        farthest = max(farthest, int(pixels.abs().max()) if len(pixels) else 0)
    return farthest


def _without_dead_paths(network: nn.Module) -> nn.Module:
    for module in list(network.modules()):
        for key, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                setattr(module, key, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
    with torch.no_grad():
        for weight in network.parameters():
            weight.uniform_(0.5, 1.5)
            weight.div_(3 * weight[0].numel() * len(weight) ** 0.5 if weight.ndim == 4 else 100)
    return network
