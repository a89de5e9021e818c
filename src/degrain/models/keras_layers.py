"""What the papers' networks need of Keras's habits: its first weights and its 'same' padding."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from degrain.models.transposed import conv_transpose2d


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


def pooled_convolution(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Return a 3x3 convolution with ReLU, then 2x2 max-pooling.

    The largest of four is taken before ReLU, which commutes with it and then has a quarter of the work.
    """
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1), nn.MaxPool2d(2), nn.ReLU()


class HalvingConv2d(nn.Conv2d):
    """3x3 convolution of stride 2 that pads an even-sized image as TensorFlow's 'same' does: none before, one after.

    Takes (N, in_channels, H, W) with even H and W, returns (N, out_channels, H/2, W/2).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size=3, stride=2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Convolve."""
        return F.conv2d(images, _shifted(self.weight), self.bias, stride=2, padding=1)


class DoublingConv2d(nn.ConvTranspose2d):
    """3x3 transposed convolution of stride 2 with TensorFlow's 'same': no last row and column.

    Takes (N, in_channels, H, W), returns (N, out_channels, 2H, 2W).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size=3, stride=2)

    def forward(self, images: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:  # noqa: ARG002
        """Convolve."""
        return conv_transpose2d(images, _shifted(self.weight), self.bias, stride=2, padding=1)


def _shifted(kernel: torch.Tensor) -> torch.Tensor:
    """Put a row and a column of zeros before a kernel.

    With one pixel of padding on all sides it then does what the kernel does with one behind, and padding a kernel costs
    less than padding or cropping images.
    """
    return F.pad(kernel, (1, 0, 1, 0))
