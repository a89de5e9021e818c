"""The two networks of P. Venkataraman, "Image denoising using convolutional autoencoder", VIT, 2022.

The convolutional one has two 3x3 convolutions of 32 filters, each with 2x2 max-pooling behind it, two transposed
convolutions of stride 2, and a last convolution with a sigmoid. The report's table prints a transposed kernel of 2,
which would give 18,113 parameters; its total, 28,353, needs 3. The code is larger than a gray image: 32 numbers for
each 4x4 pixels.
"""

from __future__ import annotations

from torch import nn

from degrain.networks import keras_layers
from degrain.networks.convolutions import FewOutputsConv2d

FILTERS = 32


def build(channels: int, size: int) -> nn.Sequential:  # noqa: ARG001
    """Build the convolutional network.

    Args:
        channels: 1 for gray or 3 for color; 1 gives 28,353 parameters.
        size: A multiple of 4.

    Returns:
        A module from (N, channels, H, W) to the same shape, H and W multiples of 4, output in (0, 1).
    """
    network = keras_layers.HalfTurned(
        *keras_layers.pooled_convolution(channels, FILTERS),
        *keras_layers.pooled_convolution(FILTERS, FILTERS),
        keras_layers.doubling(FILTERS, FILTERS),
        nn.ReLU(inplace=True),
        keras_layers.doubling(FILTERS, FILTERS),
        nn.ReLU(inplace=True),
        FewOutputsConv2d(FILTERS, channels),
        nn.Sigmoid(),
    )
    keras_layers.initialize(network)
    return network


def dense(channels: int, size: int, sigmoid: bool = True) -> nn.Sequential:
    """Build the dense network, with 64 numbers of latent code.

    Args:
        channels: 1 for gray or 3 for color.
        size: Height and width in pixels; 28x28x1 gives 101,200 parameters.
        sigmoid: What follows the last layer: a sigmoid, without which binary cross-entropy makes little sense, or the
            ReLU of the report's equations.

    Returns:
        A module from (N, channels, size, size) to the same shape; output in (0, 1), or not negative.
    """
    pixels = channels * size**2
    network = nn.Sequential(
        keras_layers.Flatten(),
        nn.Linear(pixels, 64),
        nn.ReLU(inplace=True),
        nn.Linear(64, pixels),
        nn.Sigmoid() if sigmoid else nn.ReLU(),
        keras_layers.Unflatten(channels, size),
    )
    keras_layers.initialize(network)
    return network
