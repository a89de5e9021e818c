"""A small residual U-Net of our own, made to learn in seconds on a CPU.

It predicts the noise, not the image. Two fixed orthonormal transforms stand before the first convolution and, inverted,
behind the last: an opponent color space, in which the channels of a photograph are nearly uncorrelated, and one level
of the Haar wavelet, which halves the size and separates detail from average. Both cost next to nothing, and learning is
much faster with them (docs/performance.md).

Sources: Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015 (skip connections); Zhang, Zuo, Chen, Meng, Zhang, "Beyond a
Gaussian denoiser", TIP 2017 (residual learning); Dabov, Foi, Katkovnik, Egiazarian, ICIP 2007 (opponent color).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from degrain.networks.convolutions import ConvTranspose2d, conv_transpose2d

# Rows: luminance, red-blue, green against the others; orthonormal.
OPPONENT = torch.tensor([[1 / 3, 1 / 3, 1 / 3], [1 / 2, 0, -1 / 2], [1 / 6, -2 / 6, 1 / 6]])
OPPONENT = OPPONENT / OPPONENT.norm(dim=1, keepdim=True)
# Rows: average, horizontal, vertical and diagonal difference of a 2x2 block, read row by row; orthonormal.
HAAR = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2


def stem_kernel(channels: int) -> torch.Tensor:
    """Return the kernel of a 2x2 convolution of stride 2 that does both transforms; its transpose undoes them.

    Args:
        channels: Of the images. Those of color images, 3, become opponent colors; others stay as they are.

    Returns:
        float32 (4 * channels, channels, 2, 2), orthonormal.
    """
    color = OPPONENT if channels == 3 else torch.eye(channels)
    return torch.einsum("hp,oc->hocp", HAAR, color).reshape(4 * channels, channels, 2, 2)


class UNet(nn.Module):
    """Residual U-Net over Haar coefficients.

    Takes (N, channels, H, W) float in [0, 1] with H and W multiples of 4; returns the same shape, unbounded.
    Before training it returns its input.
    """

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        self.register_buffer("transform", stem_kernel(channels), persistent=False)
        self.head = nn.Conv2d(4 * channels, width, kernel_size=3, padding=1)
        self.encode = Residual(width)
        self.down = nn.Conv2d(width, 2 * width, kernel_size=2, stride=2)
        self.middle = Residual(2 * width)
        self.up = ConvTranspose2d(2 * width, width, kernel_size=2, stride=2)
        self.decode = Residual(width)
        self.tail = nn.Conv2d(width, 4 * channels, kernel_size=3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Denoise."""
        transform = self.get_buffer("transform")
        full = self.encode(self.head(F.conv2d(images - 0.5, transform, stride=2)))
        half = self.middle(self.down(full))
        noise = self.tail(self.decode(self.up(half).add_(full)))
        return images + conv_transpose2d(noise, transform, None, stride=2)


class Residual(nn.Module):
    """x + conv(relu(conv(x))), the second convolution starting small so that the block starts near the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, kernel_size=3, padding=1)
        self.second = nn.Conv2d(width, width, kernel_size=3, padding=1)
        for layer, gain in ((self.first, 1.0), (self.second, 0.1)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            layer.weight.data.mul_(gain)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Add the block's correction."""
        correction: torch.Tensor = self.second(F.relu(self.first(features), inplace=True))
        return correction.add_(features)


def build(channels: int, size: int) -> UNet:  # noqa: ARG001
    """Build one."""
    return UNet(channels)
