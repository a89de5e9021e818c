"""The network of R. Sinha and V. Sharma, "Autoencoders for noise reduction in images", IIT CS512, 2018.

Seven 3x3 convolutions of stride 1: 32-64-128 with 2x2 max-pooling after each, 128 at the bottom, then nearest
up-sampling before 64, 32 and the last, linear one. The report speaks of six layers; its code has seven convolutions.
"""

from __future__ import annotations

from torch import nn

from degrain.networks import keras_layers
from degrain.networks.convolutions import EnlargedConv2d


def build(channels: int, size: int, bottom: bool = True) -> nn.Sequential:  # noqa: ARG001
    """Build the network.

    Args:
        channels: 1 for gray or 3 for color; 3 gives 333,955 parameters, 186,371 without the bottom.
        size: A multiple of 8.
        bottom: Whether it has the convolution between pooling and up-sampling, as the code does, or is the network of
            three and three that the text speaks of.

    Returns:
        A module from (N, channels, H, W) to the same shape, H and W multiples of 8, output unbounded.
    """
    network = nn.Sequential(
        *keras_layers.pooled_convolution(channels, 32),
        *keras_layers.pooled_convolution(32, 64),
        *keras_layers.pooled_convolution(64, 128),
        *((nn.Conv2d(128, 128, kernel_size=3, padding=1), nn.ReLU(inplace=True)) if bottom else ()),
        EnlargedConv2d(128, 64),
        nn.ReLU(inplace=True),
        EnlargedConv2d(64, 32),
        nn.ReLU(inplace=True),
        EnlargedConv2d(32, channels),
    )
    keras_layers.initialize(network)
    return network
