"""Networks that A. Mehrpanah compared in "Image denoising autoencoders", 2020, all out of tutorials on MNIST.

The one selected, PyImageSearch's, is Bernier 2021's with another slope and stands there.
"""

from __future__ import annotations

import itertools

import torch
from torch import nn

from degrain.networks import keras_layers
from degrain.networks.convolutions import ConvTranspose2d, EnlargedConv2d, FewOutputsConv2d


def machinecurve(channels: int, size: int) -> nn.Sequential:  # noqa: ARG001
    """Build MachineCurve's network of 20 December 2019: unpadded convolutions with bounded kernels.

    Args:
        channels: 1 for gray or 3 for color; 1 gives 47,425 parameters.
        size: Any.

    Returns:
        A module from (N, channels, H, W) to the same shape, output in (0, 1).
    """
    network = _MaxNorm(
        nn.Conv2d(channels, 64, kernel_size=3),
        nn.ReLU(inplace=True),
        nn.Conv2d(64, 32, kernel_size=3),
        nn.ReLU(inplace=True),
        ConvTranspose2d(32, 32, kernel_size=3),
        nn.ReLU(inplace=True),
        ConvTranspose2d(32, 64, kernel_size=3),
        nn.ReLU(inplace=True),
        FewOutputsConv2d(64, channels),
        nn.Sigmoid(),
    )
    keras_layers.initialize(network)
    for layer in list(network)[:-2]:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    return network


class _MaxNorm(nn.Sequential):
    """Layers whose kernels keep a norm of at most 2, as Keras's max_norm(2.0) has it: over the kernel's rows alone."""

    LIMIT = 2.0

    @torch.no_grad()
    def constrain(self) -> None:
        """Shorten what an optimizer step has made too long; the training engine calls it after each."""
        for layer in self:
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                norms = layer.weight.norm(dim=2, keepdim=True)
                layer.weight.mul_(norms.clamp(max=self.LIMIT) / (norms + 1e-7))


def datacamp(channels: int, size: int) -> nn.Sequential:  # noqa: ARG001
    """Build DataCamp's network of 2018 (A. Sharma): three convolutions down, three up.

    Args:
        channels: 1 for gray or 3 for color; 1 gives 314,625 parameters.
        size: A multiple of 4.

    Returns:
        A module from (N, channels, H, W) to the same shape, output in (0, 1).
    """
    network = nn.Sequential(
        *keras_layers.pooled_convolution(channels, 32),
        *keras_layers.pooled_convolution(32, 64),
        nn.Conv2d(64, 128, kernel_size=3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(128, 128, kernel_size=3, padding=1),
        nn.ReLU(inplace=True),
        EnlargedConv2d(128, 64),
        nn.ReLU(inplace=True),
        EnlargedConv2d(64, channels),
        nn.Sigmoid(),
    )
    keras_layers.initialize(network)
    return network


def opengenus(channels: int, size: int) -> nn.Sequential:
    """Build OpenGenus's network (N. Mantri): dense layers only.

    Args:
        channels: 1 for gray or 3 for color.
        size: Height and width in pixels; 28x28x1 gives 1,146,484 parameters.

    Returns:
        A module from (N, channels, size, size) to the same shape, output in (0, 1).
    """
    pixels = channels * size**2
    widths = pixels, 500, 300, 100, 300, 500
    layers = [
        layer
        for inputs, outputs in itertools.pairwise(widths)
        for layer in (nn.Linear(inputs, outputs), nn.ReLU(inplace=True))
    ]
    network = nn.Sequential(
        keras_layers.Flatten(),
        *layers,
        nn.Linear(widths[-1], pixels),
        nn.Sigmoid(),
        keras_layers.Unflatten(channels, size),
    )
    keras_layers.initialize(network)
    return network
