"""Masking noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from degrain.noise import drawing
from degrain.noise.base import Noise, Share
from degrain.randomness import Draws

if TYPE_CHECKING:
    from torch import Generator, Tensor


class MaskingNoise(Noise):
    """Pixels set to black, all channels of a pixel together."""

    source: ClassVar[str] = (
        'Vincent, Larochelle, Bengio, Manzagol, "Extracting and composing robust features with denoising '
        'autoencoders", ICML 2008'
    )

    kind: Literal["masking"]
    share: Share | tuple[Share, Share] = Field((0.3, 0.5), description="Probability of each pixel to become black.")

    def draw(self, clean: np.ndarray, draws: Draws) -> np.ndarray:
        """Return noisy patches, see `Noise`."""
        chance, shares = drawing.even((*clean.shape[:3], 1), self.share, draws)
        noisy: np.ndarray = clean * (chance >= shares.astype(np.float32))
        return noisy

    def draw_on_device(self, clean: Tensor, draw: Generator) -> Tensor:
        """Return noisy patches, see `Noise`."""
        from degrain.noise import device_drawing

        share = device_drawing.strengths(self.share, clean, draw)
        return clean * (device_drawing.even(clean[..., :1], draw) >= share)
