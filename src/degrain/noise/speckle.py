"""Speckle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from degrain.noise import drawing
from degrain.noise.base import CLIP, Factor, Noise
from degrain.randomness import Draws

if TYPE_CHECKING:
    from torch import Generator, Tensor


class SpeckleNoise(Noise):
    """Multiplicative Gaussian noise: `noisy = clean * (1 + N(0, sigma))`."""

    kind: Literal["speckle"]
    sigma: Factor | tuple[Factor, Factor] = Field(0.2, description="Standard deviation of the factor.")
    clip: bool = Field(True, description=CLIP)

    def draw(self, clean: np.ndarray, draws: Draws) -> np.ndarray:
        """Return noisy patches, see `Noise`."""
        noisy, sigmas = drawing.normal(clean.shape, self.sigma, draws)
        noisy *= sigmas.astype(np.float32)
        noisy += np.float32(1)
        noisy *= clean
        return noisy

    def draw_on_device(self, clean: Tensor, draw: Generator) -> Tensor:
        """Return noisy patches, see `Noise`."""
        from degrain.noise import device_drawing

        strength = device_drawing.strengths(self.sigma, clean, draw)
        return device_drawing.normal(clean, draw).mul_(strength).add_(1).mul_(clean)
