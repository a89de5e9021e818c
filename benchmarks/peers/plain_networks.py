"""degrain's networks in the layers that anybody would write down: the peers must not gain from our faster ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn import functional as F

from degrain.networks import catalog, convolutions, keras_layers, unet


def _convolution(layer: Any) -> nn.Module:
    return nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1)


PLAIN: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    convolutions.EnlargedConv2d: lambda layer: nn.Sequential(nn.Upsample(scale_factor=2), _convolution(layer)),
    convolutions.FewOutputsConv2d: _convolution,
    convolutions.ConvTranspose2d: lambda layer: nn.ConvTranspose2d(
        layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding, layer.output_padding
    ),
    keras_layers.Flatten: lambda _: nn.Flatten(),
    keras_layers.Unflatten: lambda layer: nn.Unflatten(1, (layer.shape[2], *layer.shape[:2])),
    nn.ReLU: lambda _: nn.ReLU(),
    nn.LeakyReLU: lambda layer: nn.LeakyReLU(layer.negative_slope),
}


def build(name: str, channels: int, size: int) -> nn.Module:
    """Build a network of the catalog, with padding on both sides instead of TensorFlow's."""
    network = catalog.build(name, channels, size)
    for path, layer in list(network.named_modules()):
        if type(layer) in PLAIN:
            parent, _, child = path.rpartition(".")
            setattr(network.get_submodule(parent), child, PLAIN[type(layer)](layer))
    unet.conv_transpose2d = F.conv_transpose2d
    return nn.Sequential(*_activated_first(list(network))) if isinstance(network, nn.Sequential) else network


def _activated_first(layers: list[nn.Module]) -> list[nn.Module]:
    """Put the activation before max-pooling, where it is usually written."""
    for place in range(1, len(layers)):
        if isinstance(layers[place - 1], nn.MaxPool2d) and isinstance(layers[place], nn.ReLU):
            layers[place - 1], layers[place] = layers[place], layers[place - 1]
    return layers
