"""degrain's networks in the layers that anybody would write down: the peers must not gain from our faster ones."""

from __future__ import annotations

from torch import nn
from torch.nn import functional as F

from degrain.models import catalog, keras_layers, unet
from degrain.models.transposed import ConvTranspose2d


def build(name: str, channels: int, size: int) -> nn.Module:
    """Build a network of the catalog; padding on both sides instead of TensorFlow's, activation before pooling."""
    network = catalog.build(name, channels, size)
    for path, layer in list(network.named_modules()):
        if plain := _plain(layer):
            parent, _, child = path.rpartition(".")
            setattr(network.get_submodule(parent), child, plain)
    if isinstance(network, nn.Sequential):
        network = nn.Sequential(*_activated_first(list(network)))
    unet.conv_transpose2d = F.conv_transpose2d
    return network


def _plain(layer: nn.Module) -> nn.Module | None:
    if isinstance(layer, keras_layers.HalvingConv2d):
        return nn.Conv2d(layer.in_channels, layer.out_channels, 3, stride=2, padding=1)
    if isinstance(layer, keras_layers.DoublingConv2d):
        return nn.ConvTranspose2d(layer.in_channels, layer.out_channels, 3, stride=2, padding=1, output_padding=1)
    if isinstance(layer, ConvTranspose2d):
        return nn.ConvTranspose2d(
            layer.in_channels, layer.out_channels, layer.kernel_size, stride=layer.stride, padding=layer.padding
        )
    return None


def _activated_first(layers: list[nn.Module]) -> list[nn.Module]:
    for place in range(1, len(layers)):
        if isinstance(layers[place - 1], nn.MaxPool2d) and isinstance(layers[place], nn.ReLU):
            layers[place - 1], layers[place] = layers[place], layers[place - 1]
    return layers
