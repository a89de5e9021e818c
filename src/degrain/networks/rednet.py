"""RED-Net: X. Mao, C. Shen, Y. Yang, "Image restoration using very deep convolutional encoder-decoder networks with
symmetric skip connections", NIPS 2016.

Sinha 2018 quotes it and did not implement it. 3x3 convolutions of 64 channels, as many transposed ones, stride 1, no
pooling; from depth 20 on every other convolution's output is added to that of its mirror image, before ReLU. What the
last layer computes is added to the noisy image.
"""

from __future__ import annotations

import torch
from torch import nn

from degrain.networks.convolutions import ConvTranspose2d

WIDTH = 64


class RedNet(nn.Module):
    """Residual encoder-decoder network.

    Takes (N, channels, H, W), returns the same shape, unbounded.

    Args:
        channels: 1 for gray or 3 for color.
        depth: Layers in all: 10, 20 or 30, which for 3 channels have 298,947, 668,227 and 1,037,507 parameters.
    """

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        inputs = [channels, *[WIDTH] * (depth // 2 - 1)]
        self.down = nn.ModuleList(nn.Conv2d(count, WIDTH, 3, padding=1) for count in inputs)
        self.up = nn.ModuleList(ConvTranspose2d(WIDTH, count, 3, padding=1) for count in reversed(inputs))
        self.skips = depth > 10
        for layer in (*self.down, *self.up):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Denoise."""
        features, kept = images, {}
        for number, layer in enumerate(self.down, 1):
            features = torch.relu(layer(features))
            if self.skips and number % 2 == 0 and number < len(self.down):
                kept[len(self.down) - number] = features
        for number, layer in enumerate(self.up[:-1], 1):
            features = layer(features)
            if number in kept:
                features = features + kept.pop(number)
            features = torch.relu(features)
        noise: torch.Tensor = self.up[-1](features)
        return images + noise


def build(channels: int, size: int, depth: int) -> RedNet:  # noqa: ARG001
    """Build one."""
    return RedNet(channels, depth)
