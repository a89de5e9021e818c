"""The ConvAutoencoder of N. Bernier and A. Lucio, "Image denoising using autoencoders", Concordia COMP 478, 2021.

It is the network of a tutorial by PyImageSearch (24 February 2020), which A. Mehrpanah, "Image denoising autoencoders",
2020, selected, too: convolutions of stride 2, each followed by LeakyReLU and batch normalisation, a dense code, and the
mirror image with a sigmoid at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from degrain.networks import keras_layers
from degrain.networks.convolutions import ConvTranspose2d


class ConvAutoencoder(keras_layers.HalfTurned):
    """An encoder from (N, channels, size, size) to (N, latent), and a decoder back, with output in (0, 1)."""

    def __init__(self, encoder: nn.Sequential, decoder: nn.Sequential) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Return the codes of images."""
        codes: torch.Tensor = self.encoder(images.flip(2, 3))
        return codes

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the images of codes."""
        images: torch.Tensor = self.decoder(codes)
        return images.flip(2, 3)


def build(
    channels: int, size: int, filters: Sequence[int] = (32, 64), latent: int = 16, slope: float = 0.01
) -> ConvAutoencoder:
    """Build the network for images of one size, since its code is dense.

    Args:
        channels: 1 for gray or 3 for color.
        size: Height and width in pixels, a multiple of two to the number of filters. 28x28x1 gives 178,769 parameters,
            batch-normalisation statistics counted as Keras counts them.
        filters: Of each convolution of stride 2.
        latent: Numbers in the code.
        slope: Of LeakyReLU; 0 is ReLU. Bernier 2021 states 0.01, PyImageSearch has 0.2.

    Returns:
        A module from (N, channels, size, size) to the same shape, output in (0, 1).
    """

    def activation(outputs: int) -> tuple[nn.Module, nn.Module]:
        return nn.LeakyReLU(slope, inplace=True) if slope else nn.ReLU(inplace=True), keras_layers.batch_norm(outputs)

    down = zip((channels, *filters), filters, strict=False)
    up = zip((filters[-1], *reversed(filters)), reversed(filters), strict=False)
    side = size // 2 ** len(filters)
    encoder = nn.Sequential(
        *(layer for inputs, outputs in down for layer in (keras_layers.halving(inputs, outputs), *activation(outputs))),
        keras_layers.Flatten(),
        nn.Linear(filters[-1] * side**2, latent),
    )
    decoder = nn.Sequential(
        nn.Linear(latent, filters[-1] * side**2),
        keras_layers.Unflatten(filters[-1], side),
        *(layer for inputs, outputs in up for layer in (keras_layers.doubling(inputs, outputs), *activation(outputs))),
        ConvTranspose2d(filters[0], channels, kernel_size=3, padding=1),
        nn.Sigmoid(),
    )
    network = ConvAutoencoder(encoder, decoder)
    keras_layers.initialize(network)
    return network
