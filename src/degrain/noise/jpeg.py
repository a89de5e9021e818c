"""What JPEG loses."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from degrain.noise import augmentation
from degrain.noise.base import Noise
from degrain.randomness import Draws

Quality = Annotated[int, Field(ge=1, le=100)]


class JpegNoise(Noise):
    """albumentations' ImageCompression: what JPEG loses."""

    source: ClassVar[str] = "albumentations 2.0.8"
    channels: ClassVar[tuple[int, ...]] = (1, 3)

    kind: Literal["jpeg"]
    quality: Quality | tuple[Quality, Quality] = Field((10, 50), description="JPEG quality.")

    def draw(self, clean: np.ndarray, draws: Draws) -> np.ndarray:
        """Return noisy patches, see `Noise`."""
        least, most = self.quality if isinstance(self.quality, tuple) else (self.quality, self.quality)
        return augmentation.jpeg(clean, (least, most), draws)
