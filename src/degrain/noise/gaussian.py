"""Gaussian noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from degrain.noise import drawing
from degrain.noise.base import CLIP, Noise
from degrain.randomness import Draws

if TYPE_CHECKING:
    from torch import Generator, Tensor

Levels = Annotated[float, Field(gt=0, le=255)]


class GaussianNoise(Noise):
    """Independent zero-mean Gaussian noise: `noisy = clean + N(0, sigma)`."""

    kind: Literal["gaussian"] = "gaussian"
    sigma: Levels | tuple[Levels, Levels] | None = Field(
        None, description="Standard deviation, in 8-bit levels; 25 if neither it nor `variance` is given."
    )
    variance: float | None = Field(None, gt=0, le=255**2, description="Instead of `sigma`: its square.")
    clip: bool = Field(True, description=CLIP)

    def draw(self, clean: np.ndarray, draws: Draws) -> np.ndarray:
        """Return noisy patches, see `Noise`."""
        noisy, sigmas = drawing.normal(clean.shape, self._sigma, draws)
        noisy *= sigmas.astype(np.float32)
        noisy += clean
        return noisy

    def draw_on_device(self, clean: Tensor, draw: Generator) -> Tensor:
        """Return noisy patches, see `Noise`."""
        from degrain.noise import device_drawing

        strength = device_drawing.strengths(self._sigma, clean, draw)
        return device_drawing.normal(clean, draw).mul_(strength).add_(clean)

    @property
    def _sigma(self) -> drawing.Strength:
        if self.variance is not None:
            return float(self.variance**0.5)
        return 25.0 if self.sigma is None else self.sigma

    @model_validator(mode="after")
    def _has_one_strength(self) -> Self:
        if self.sigma is not None and self.variance is not None:
            raise ValueError("give sigma or variance, not both")
        return self
