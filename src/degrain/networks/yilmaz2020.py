"""The autoencoders of D. Yilmaz, "Image denoising using autoencoders", Ozyegin CS402, 2020.

As many 3x3 convolutions of 64 channels as transposed ones, all of stride 1 and none pooled. Only AEv2_0 survives, with
eight of each and additive skips; the variants without skips and with fewer layers stand for the report's comparison.
"""

from __future__ import annotations

import torch
from torch import nn

from degrain.networks.convolutions import ConvTranspose2d

WIDTH = 64


class Autoencoder(nn.Module):
    """Convolutions, then transposed convolutions, each with ReLU; the last has a sigmoid.

    Takes (N, channels, H, W), returns the same shape in (0, 1).

    Args:
        channels: 1 for gray or 3 for color.
        depth: Convolutions, and transposed convolutions: 8 and 3 channels give 520,515 parameters.
        skips: Whether the output of every other convolution is added to that of its mirror image, after ReLU.
    """

    def __init__(self, channels: int, depth: int = 8, skips: bool = True) -> None:
        super().__init__()
        inputs = [channels, *[WIDTH] * (depth - 1)]
        self.down = nn.ModuleList(nn.Conv2d(count, WIDTH, 3, padding=1) for count in inputs)
        self.up = nn.ModuleList(ConvTranspose2d(WIDTH, count, 3, padding=1) for count in reversed(inputs))
        self.skips = skips
        for layer in (*self.down, *self.up):
            nn.init.xavier_normal_(layer.weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Denoise."""
        features, kept = images, []
        for place, layer in enumerate(self.down):
            features = torch.relu(layer(features))
            if self.skips and place % 2 == 0:
                kept.append(features)
        for place, layer in enumerate(self.up[:-1]):
            features = torch.relu(layer(features))
            if self.skips and place % 2 == 0:
                features = features + kept.pop()
        outputs: torch.Tensor = torch.sigmoid(self.up[-1](features))
        return outputs


def build(channels: int, size: int, depth: int = 8, skips: bool = True) -> Autoencoder:  # noqa: ARG001
    """Build one: AEv2_0 unless told otherwise."""
    return Autoencoder(channels, depth, skips)
