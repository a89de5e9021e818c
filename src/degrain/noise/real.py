"""Real noise."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from degrain.noise.base import Noise
from degrain.randomness import Draws


class RealNoise(Noise):
    """The noisy images of a data set of pairs, as they were taken."""

    paired: ClassVar[bool] = True

    kind: Literal["real"]

    def draw(self, clean: np.ndarray, draws: Draws) -> np.ndarray:  # noqa: ARG002
        """Raise TypeError: there is nothing to draw."""
        raise TypeError("real noise cannot be drawn")
