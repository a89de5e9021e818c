"""ISO noise."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from degrain.noise import augmentation
from degrain.noise.base import Noise
from degrain.randomness import Draws

Shift = Annotated[float, Field(ge=0, le=1)]
Strength = Annotated[float, Field(ge=0, le=10)]


class IsoNoise(Noise):
    """albumentations' ISONoise: shifts of hue and luminance, as of a camera at high ISO. Color images only."""

    source: ClassVar[str] = "albumentations 2.0.8"
    channels: ClassVar[tuple[int, ...]] = (3,)

    kind: Literal["iso"]
    color_shift: Annotated[
        tuple[Shift, Shift], Field(description="Least and most shift of hue, as a share of the circle.")
    ] = (
        0.01,
        0.05,
    )
    intensity: Annotated[tuple[Strength, Strength], Field(description="Least and most strength.")] = (0.1, 0.5)

    def draw(self, clean: np.ndarray, draws: Draws) -> np.ndarray:
        """Return noisy patches, see `Noise`."""
        return augmentation.iso_noise(clean, self.color_shift, self.intensity, draws)
