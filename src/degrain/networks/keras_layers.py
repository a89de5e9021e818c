"""What the papers' networks need of Keras's habits: its first weights and its 'same' padding."""

from __future__ import annotations

import torch
from torch import nn

from degrain.networks.convolutions import ConvTranspose2d


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Return batch normalisation with Keras's defaults; its momentum 0.99 is counted the other way round here."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def initialize(network: nn.Module) -> None:
    """Give every convolution and dense layer Keras's defaults: Glorot-uniform kernel and zero bias.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class HalfTurned(nn.Sequential):
    """Layers that see images turned by 180 degrees; what comes out is turned back.

    TensorFlow's 'same' with stride 2 pads an even-sized image behind, and a convolution that pads on all sides, as
    PyTorch's does, then leaves the padding behind unused. So a network of Keras is one of PyTorch on the turned image,
    with its kernels turned, and needs neither padded images nor padded kernels.
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Turn, compute, and turn back."""
        outputs: torch.Tensor = super().forward(images.flip(2, 3))  # type: ignore[no-untyped-call]
        return outputs.flip(2, 3)


def halving(inputs: int, outputs: int) -> nn.Conv2d:
    """Return Keras's 3x3 convolution of stride 2 with padding 'same', for images of even size, in `HalfTurned`."""
    return nn.Conv2d(inputs, outputs, kernel_size=3, stride=2, padding=1)


def doubling(inputs: int, outputs: int) -> ConvTranspose2d:
    """Return Keras's 3x3 transposed convolution of stride 2 with padding 'same', in `HalfTurned`."""
    return ConvTranspose2d(inputs, outputs, kernel_size=3, stride=2, padding=1, output_padding=1)


def pooled_convolution(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Return a 3x3 convolution with ReLU, then 2x2 max-pooling.

    The largest of four is taken before ReLU, which commutes with it and then has a quarter of the work.
    """
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1), nn.MaxPool2d(2), nn.ReLU(inplace=True)


class Flatten(nn.Module):
    """From (N, C, H, W) to (N, H * W * C), in the order in which Keras and the channels-last layout have them."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Flatten."""
        return images.permute(0, 2, 3, 1).flatten(1)


class Unflatten(nn.Module):
    """The reverse of `Flatten`.

    Args:
        channels: C.
        side: H and W.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.shape = side, side, channels

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """Unflatten."""
        return numbers.view(-1, *self.shape).permute(0, 3, 1, 2)
