"""Noise of images that have no clean version."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from degrain.noise.base import Noise
from degrain.randomness import Draws

if TYPE_CHECKING:
    from torch import Generator, Tensor


class UnknownNoise(Noise):
    """The images of the data set are the noisy ones, no clean ones exist, and nothing is added; see docs/only-noisy.md.

    Training, scores and classical denoisers take the pixels between for the truth. That needs noise of mean 0 that
    is independent from pixel to pixel, whatever its strength and however that depends on the brightness.
    """

    source: ClassVar[str] = (
        'Huang, Li, Jia, Lu, Liu, "Neighbor2Neighbor: self-supervised denoising from single noisy images", CVPR 2021'
    )
    stand_in: ClassVar[str] = (
        "No clean image was seen. Scores are of images of every second pixel against a stand-in for the truth: what "
        "the noisy pixels between them interpolate. They rank methods, and are lower than against the truth."
    )

    kind: Literal["unknown"]
    max_correlation: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Refuse images whose noise has a larger correlation between pixels of a row or a column, as "
        "demosaicing, resizing, blurring, sharpening and JPEG make it: the network would learn to keep it.",
    )

    def draw(self, clean: np.ndarray, draws: Draws) -> np.ndarray:  # noqa: ARG002
        """Return the patches as they are, see `Noise`."""
        return clean.copy()

    def draw_on_device(self, clean: Tensor, draw: Generator) -> Tensor:  # noqa: ARG002
        """Return the patches as they are, see `Noise`."""
        return clean.clone()
