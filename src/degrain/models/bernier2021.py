"""The ConvAutoencoder of N. Bernier and A. Lucio, "Image denoising using autoencoders", Concordia COMP 478, 2021.

Two convolutions of stride 2 (32 and 64 filters), each followed by LeakyReLU and batch normalisation, a dense code of
16 numbers, and the mirror image with a sigmoid at the end. The slope 0.01 is the one the report states.
"""

from __future__ import annotations

from torch import nn

from degrain.models import keras_layers
from degrain.models.convolutions import ConvTranspose2d

FILTERS = (32, 64)
LATENT = 16
SLOPE = 0.01


def build(channels: int, size: int) -> nn.Sequential:
    """Build the network for images of one size, since its code is dense.

    Args:
        channels: 1 for gray or 3 for color.
        size: Height and width in pixels, a multiple of 4. 28x28x1 gives 178,769 parameters, batch-normalisation
            statistics counted as Keras counts them.

    Returns:
        A module from (N, channels, size, size) to the same shape, output in (0, 1).
    """
    first, second = FILTERS
    side = size // 4
    network = keras_layers.HalfTurned(
        keras_layers.halving(channels, first),
        *_activation(first),
        keras_layers.halving(first, second),
        *_activation(second),
        keras_layers.Flatten(),
        nn.Linear(second * side * side, LATENT),
        nn.Linear(LATENT, second * side * side),
        keras_layers.Unflatten(second, side),
        keras_layers.doubling(second, second),
        *_activation(second),
        keras_layers.doubling(second, first),
        *_activation(first),
        ConvTranspose2d(first, channels, kernel_size=3, padding=1),
        nn.Sigmoid(),
    )
    keras_layers.initialize(network)
    return network


def _activation(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.LeakyReLU(SLOPE, inplace=True), keras_layers.batch_norm(channels)
