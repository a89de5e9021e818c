"""FFDNet, made blind: K. Zhang, W. Zuo, L. Zhang, "FFDNet: toward a fast and flexible solution for CNN-based image
denoising", IEEE Transactions on Image Processing 27(9), 2018.

FFDNet denoises at half the resolution: the four pixels of each 2x2 block become channels, a map of the noise level is
one more, and 3x3 convolutions with ReLU compute the clean image from them, not the noise. Gray images get 15
convolutions of 64 channels, color images 12 of 96. There is no batch normalization, as in the authors' PyTorch code
(github.com/cszn/KAIR, models/network_ffdnet.py).

The published FFDNet is told the noise level. Networks here are given images alone, so this one estimates the map from
the noisy image by the noise estimation subnetwork of CBDNet: five 3x3 convolutions at full resolution, with 32 channels
between them, each followed by ReLU (S. Guo, Z. Yan, K. Zhang, W. Zuo, L. Zhang, "Toward convolutional blind denoising
of real photographs", CVPR 2019, section 3.2). CBDNet's map has as many channels as the image and a loss of its own;
this one has one channel, as FFDNet's, is averaged over 2x2 blocks, and is trained by the loss of the denoised image
alone. So the noise level of a trained network cannot be set by hand, and its scores are not those of the published
FFDNet.

First weights are orthogonal, as in KAIR, but with the gain of ReLU instead of KAIR's 0.2. With 0.2, outputs and
gradients of the 15 layers begin at about 1e-13, far below the epsilon of Adam. The last convolution of the estimator
begins as the mean of its inputs: with random signs it may be negative everywhere, and its ReLU would pass no gradient.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from degrain.networks.convolutions import FewOutputsConv2d

# Of the estimator: convolutions, and channels between them.
ESTIMATOR_DEPTH, ESTIMATOR_WIDTH = 5, 32


class FFDNet(nn.Module):
    """Denoiser at half resolution with a map of the noise level that it estimates itself.

    Takes (N, channels, H, W) float in [0, 1] with even H and W; returns the same shape, unbounded.

    Args:
        channels: 1 for gray, with 15 convolutions of 64 channels and a receptive radius of 36 pixels; 3 for color or 4
            for packed Bayer mosaics, with 12 of 96 and 30 pixels. With the estimator that is 513,669 parameters for one
            channel and 881,037 for three.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        depth, width = (15, 64) if channels == 1 else (12, 96)
        layers, last = _convolutions(channels, ESTIMATOR_WIDTH, 1, ESTIMATOR_DEPTH)
        nn.init.constant_(last.weight, 1 / last.weight[0].numel())
        self.estimator = nn.Sequential(*layers, last, nn.ReLU(inplace=True))
        layers, last = _convolutions(4 * channels + 1, width, 4 * channels, depth)
        self.denoiser = nn.Sequential(*layers, last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Denoise images."""
        blocks = torch.cat((F.pixel_unshuffle(images, 2), self.noise_level(images)), dim=1)
        return F.pixel_shuffle(self.denoiser(blocks), 2)

    def noise_level(self, images: torch.Tensor) -> torch.Tensor:
        """Estimate the map of the noise level.

        Args:
            images: (N, channels, H, W), as of `forward`.

        Returns:
            (N, 1, H / 2, W / 2), at least 0. Nothing holds it to a unit: only the loss of the denoised image trains it.
        """
        return F.avg_pool2d(self.estimator(images), 2)


def _convolutions(inputs: int, width: int, outputs: int, depth: int) -> tuple[list[nn.Module], nn.Conv2d]:
    """Return 3x3 convolutions, each followed by ReLU, and the last one, which is not."""
    layers: list[nn.Module] = []
    for count in (inputs, *[width] * (depth - 2)):
        layers += [_started(nn.Conv2d(count, width, kernel_size=3, padding=1)), nn.ReLU(inplace=True)]
    return layers, _started(FewOutputsConv2d(width, outputs))


def _started(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.orthogonal_(layer.weight, nn.init.calculate_gain("relu"))
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def build(channels: int, size: int) -> FFDNet:  # noqa: ARG001
    """Build an FFDNet, see `FFDNet`; it takes images of any even size, whatever that of the patches is."""
    return FFDNet(channels)
