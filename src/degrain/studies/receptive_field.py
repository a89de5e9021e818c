"""The receptive radius of a network, measured by gradients."""

from __future__ import annotations

import torch
from torch import nn

from degrain.networks.base import ModelSpec


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
