"""No noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from degrain.noise.base import Noise
from degrain.randomness import Draws

if TYPE_CHECKING:
    from torch import Generator, Tensor


class NoNoise(Noise):
    """None: the noisy image is the clean one, so that a network is asked only how much of an image it can pass on."""

    kind: Literal["none"]

    def draw(self, clean: np.ndarray, draws: Draws) -> np.ndarray:  # noqa: ARG002
        """Return noisy patches, see `Noise`."""
        return clean.copy()

    def draw_on_device(self, clean: Tensor, draw: Generator) -> Tensor:  # noqa: ARG002
        """Return noisy patches, see `Noise`."""
        return clean.clone()
