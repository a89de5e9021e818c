"""Residual U-Nets of our own in three sizes, for training on a CPU.

They are `unet` with one more scale and more residual blocks: the same fixed orthonormal stem (opponent color and Haar
coefficients), the same blocks, no normalization, and a last layer of zeros, so that they begin as the identity.

All convolutions are dense. On a CPU, a dense 3x3 convolution takes about as long per multiplication at every width and
scale, and a depthwise one several times as long. The small network spends most of its multiplications at 1/2 of the
resolution; the larger ones spread them over the scales. At 1/8 of the resolution blocks are few and wide: each of them
adds 16 pixels to the receptive radius, and so to the halo of every tile.

Those that keep the mean leave brightness and color of each neighborhood as they are. Strong noise in the dark shifts
the mean of a photograph, up or down as the camera's tone curve and its black level would have it. A network can only
guess how far, and on other cameras than those of its training it guesses wrong by more than all the noise it leaves.

Sources: those of `unet`; Zhang, Li, Zuo, Zhang, Van Gool, Timofte, "Plug-and-play image restoration with deep denoiser
prior", TPAMI 2021 (DRUNet: residual blocks without normalization at every scale of a U-Net).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from degrain.networks.convolutions import ConvTranspose2d, conv_transpose2d
from degrain.networks.unet import Residual, stem_kernel

# Deviation of the Gaussian over which a neighborhood's mean is taken, how far it reaches, and the side of the squares
# of which it is taken, in pixels.
SPREAD, REACH, CELL = 12.0, 36.0, 8


class ResUNet(nn.Module):
    """Residual U-Net over Haar coefficients, with features at 1/2, 1/4 and 1/8 of the image's resolution.

    Takes (N, channels, H, W) float in [0, 1] with H and W multiples of 8; returns the same shape, unbounded.
    Before training it returns its input.

    Args:
        channels: 1 for gray, 3 for color or 4 for packed Bayer mosaics. Color is transformed to opponent colors.
        widths: Channels of the features at 1/2, 1/4 and 1/8 of the resolution.
        blocks: Residual blocks of the encoder at 1/2 and 1/4, at 1/8, and of the decoder at 1/4 and 1/2.
        keeps_mean: Whether the mean of each neighborhood stays what it is.
    """

    def __init__(
        self, channels: int, widths: Sequence[int], blocks: Sequence[int], *, keeps_mean: bool = False
    ) -> None:
        super().__init__()
        self.keeps_mean = keeps_mean
        self.register_buffer("transform", stem_kernel(channels), persistent=False)
        half, quarter, eighth = widths
        self.head = nn.Conv2d(4 * channels, half, kernel_size=3, padding=1)
        self.encode_half = _stage(half, blocks[0])
        self.to_quarter = nn.Conv2d(half, quarter, kernel_size=2, stride=2)
        self.encode_quarter = _stage(quarter, blocks[1])
        self.to_eighth = nn.Conv2d(quarter, eighth, kernel_size=2, stride=2)
        self.middle = _stage(eighth, blocks[2])
        self.from_eighth = ConvTranspose2d(eighth, quarter, kernel_size=2, stride=2)
        self.decode_quarter = _stage(quarter, blocks[3])
        self.from_quarter = ConvTranspose2d(quarter, half, kernel_size=2, stride=2)
        self.decode_half = _stage(half, blocks[4])
        self.tail = nn.Conv2d(half, 4 * channels, kernel_size=3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Denoise images."""
        transform = self.get_buffer("transform")
        half = self.encode_half(self.head(F.conv2d(images - 0.5, transform, stride=2)))
        quarter = self.encode_quarter(self.to_quarter(half))
        eighth = self.middle(self.to_eighth(quarter))
        quarter = self.decode_quarter(self.from_eighth(eighth).add_(quarter))
        noise = self.tail(self.decode_half(self.from_quarter(quarter).add_(half)))
        noise = conv_transpose2d(noise, transform, None, stride=2)
        return images + (noise - means(noise.to(images.dtype)) if self.keeps_mean else noise)


def means(images: Tensor) -> Tensor:
    """Return the mean of each pixel's neighborhood, by a Gaussian that is cut off and has all its weight in the image.

    Args:
        images: (N, channels, H, W), float32 or float64, with H and W multiples of `CELL`.
    """
    with torch.autocast(images.device.type, enabled=False):
        down, across = (_weights(side, images) for side in images.shape[2:])
        return down @ F.avg_pool2d(images, CELL) @ across.T


def _weights(side: int, like: Tensor) -> Tensor:
    """Weights of the squares along one side for each of its pixels, (side, side / CELL); those of a pixel sum to 1."""
    pixels = torch.arange(side, device=like.device, dtype=like.dtype)
    centers = torch.arange(side // CELL, device=like.device, dtype=like.dtype) * CELL + (CELL - 1) / 2
    away = pixels[:, None] - centers
    weights = torch.where(away.abs() <= REACH, torch.exp(-(away**2) / (2 * SPREAD**2)), 0.0)
    return weights / weights.sum(1, keepdim=True)


def _stage(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(width) for _ in range(blocks)))


def build(
    channels: int,
    size: int,  # noqa: ARG001
    widths: Sequence[int],
    blocks: Sequence[int],
    keeps_mean: bool = False,
) -> ResUNet:
    """Build a residual U-Net, see `ResUNet`; it takes images of any size, whatever that of the patches is."""
    return ResUNet(channels, widths, blocks, keeps_mean=keeps_mean)
