"""Gaussian noise as tutorials add it: a factor times N(0, 1), in units of white."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from degrain.noise import drawing
from degrain.noise.base import CLIP, Factor, Noise
from degrain.randomness import Draws

if TYPE_CHECKING:
    from torch import Generator, Tensor


class CoefficientNoise(Noise):
    """A multiple of Gaussian noise in units of white: `noisy = clean + mean + factor * N(0, 1)`, white = 1."""

    source: ClassVar[str] = 'Chollet, "Building autoencoders in Keras", blog.keras.io, 2016'

    kind: Literal["coefficient"]
    factor: Factor | tuple[Factor, Factor] = Field(0.5, description="Standard deviation; white is 1.")
    mean: float = Field(
        0.0, ge=-1, le=1, description="Mean of the noise; 0.5 with factor 0.5 is the N(0.5, 0.5) variant."
    )
    clip: bool = Field(True, description=CLIP)

    def draw(self, clean: np.ndarray, draws: Draws) -> np.ndarray:
        """Return noisy patches, see `Noise`."""
        noisy, factors = drawing.normal(clean.shape, self.factor, draws)
        noisy *= (255 * factors).astype(np.float32)
        noisy += clean
        noisy += np.float32(255) * np.float32(self.mean)
        return noisy

    def draw_on_device(self, clean: Tensor, draw: Generator) -> Tensor:
        """Return noisy patches, see `Noise`."""
        from degrain.noise import device_drawing

        strength = 255 * device_drawing.strengths(self.factor, clean, draw)
        return device_drawing.normal(clean, draw).mul_(strength).add_(clean).add_(255 * self.mean)
