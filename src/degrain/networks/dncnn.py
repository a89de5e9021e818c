"""DnCNN: K. Zhang, W. Zuo, Y. Chen, D. Meng, L. Zhang, "Beyond a Gaussian denoiser: residual learning of deep CNN for
image denoising", IEEE Transactions on Image Processing 26(7), 2017.

3x3 convolutions of 64 channels at full resolution, batch normalization between convolution and ReLU in all layers but
the first and the last, and an output that is subtracted from the noisy image. 17 layers are for one known noise level
(DnCNN-S), 20 for noise of unknown level and for color (DnCNN-B, CDnCNN-B; section III.A).

Layers and biases are those of the authors' MatConvNet code (github.com/cszn/DnCNN, TrainingCodes), the first weights
and the epsilon of batch normalization those of their PyTorch code (dncnn_pytorch there). One thing differs: with their
momentum of 0.95, running statistics are hardly more than those of the last batch. Batches here may be small, so it is
PyTorch's default, 0.1.
"""

from __future__ import annotations

import torch
from torch import nn

from degrain.networks.convolutions import FewOutputsConv2d

WIDTH = 64


class DnCNN(nn.Module):
    """Residual denoiser with batch normalization.

    Takes (N, channels, H, W) float in [0, 1] of any size; returns the same shape, unbounded.

    Args:
        channels: 1 for gray, 3 for color or 4 for packed Bayer mosaics.
        depth: Convolutions in all, at least 2; the receptive radius is as many pixels. 17 and 20 have 556,097 and
            667,073 trained parameters for one channel.
    """

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, WIDTH, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
        for _ in range(depth - 2):
            # The shift of batch normalization is their bias.
            layers.append(nn.Conv2d(WIDTH, WIDTH, kernel_size=3, padding=1, bias=False))
            layers += [nn.BatchNorm2d(WIDTH, eps=1e-4), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, FewOutputsConv2d(WIDTH, channels))
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.orthogonal_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Denoise images."""
        noise: torch.Tensor = self.layers(images)
        return images - noise


def build(channels: int, size: int, depth: int) -> DnCNN:  # noqa: ARG001
    """Build a DnCNN, see `DnCNN`; it takes images of any size, whatever that of the patches is."""
    return DnCNN(channels, depth)
