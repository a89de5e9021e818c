"""Salt-and-pepper noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from degrain.noise import drawing
from degrain.noise.base import Noise, Share
from degrain.randomness import Draws

if TYPE_CHECKING:
    from torch import Generator, Tensor


class SaltAndPepperNoise(Noise):
    """Values set to black or to white, each half of the time."""

    kind: Literal["salt_and_pepper"]
    share: Share | tuple[Share, Share] = Field(0.05, description="Probability of each value to be replaced.")

    def draw(self, clean: np.ndarray, draws: Draws) -> np.ndarray:
        """Return noisy patches, see `Noise`."""
        chance, shares = drawing.even(clean.shape, self.share, draws)
        black, replaced = (chance < share.astype(np.float32) for share in (shares / 2, shares))
        return np.where(black, np.float32(0), np.where(replaced, np.float32(255), clean))

    def draw_on_device(self, clean: Tensor, draw: Generator) -> Tensor:
        """Return noisy patches, see `Noise`."""
        import torch

        from degrain.noise import device_drawing

        share = device_drawing.strengths(self.share, clean, draw)
        chance = device_drawing.even(clean, draw)
        return torch.where(chance < share / 2, 0.0, torch.where(chance < share, 255.0, clean))
