"""What a kind of noise declares: its parameters, what images it accepts, and how it is drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from degrain.declaration import Section
from degrain.randomness import Draws

if TYPE_CHECKING:
    from torch import Generator, Tensor

Factor = Annotated[float, Field(gt=0, le=10)]
Share = Annotated[float, Field(gt=0, le=1)]

CLIP = "Clip the noisy image to black and white and round it to the store's depth, as an image file holds it."


class Noise(Section, ABC):
    """What all kinds of noise have in common.

    A strength may be one number or a range `[least, most]`: each patch then draws its own, evenly, and the model is
    blind to it.

    Attributes:
        kind: Its name in params.yaml.
        source: Who described it first, or whose code draws it; empty where there is nothing to cite.
        channels: What numbers of channels an image may have; empty if any.
        paired: Whether the noisy images come with the data set; then nothing is drawn.
        stand_in: Where the images of the data set are the noisy ones, and there are no others: what scores are measured
            against, in sentences; else empty.
    """

    source: ClassVar[str] = ""
    channels: ClassVar[tuple[int, ...]] = ()
    paired: ClassVar[bool] = False
    stand_in: ClassVar[str] = ""

    kind: str

    @abstractmethod
    def draw(self, clean: np.ndarray, draws: Draws) -> np.ndarray:
        """Return noisy patches, not clipped.

        Args:
            clean: float32 (N, height, width, channels), in 8-bit levels (white = 255), read-only.
            draws: One generator for each patch.

        Returns:
            float32 of the same shape.
        """

    def draw_8_bits(self, clean: np.ndarray, draws: Draws) -> np.ndarray:  # noqa: ARG002
        """Return noisy patches of 8 bits, clipped and rounded: the distribution of `draw`, other numbers.

        Args:
            clean: uint8 (N, height, width, channels), read-only.
            draws: One generator for each patch.

        Returns:
            uint8 of the same shape.

        Raises:
            TypeError: This kind is drawn by `draw` alone, see `in_8_bits`.
        """
        raise TypeError(f"{self.kind} noise is not drawn in 8 bits")

    def draw_on_device(self, clean: Tensor, draw: Generator) -> Tensor:  # noqa: ARG002
        """Return noisy patches, not clipped: the distribution of `draw`, other numbers.

        Args:
            clean: float32 (N, height, width, channels), in 8-bit levels.
            draw: Where the noise of all of them comes from; of the same device.

        Returns:
            float32 of the same shape, on the same device.

        Raises:
            TypeError: This kind is drawn on the host only, see `on_device`.
        """
        raise TypeError(f"{self.kind} noise is not drawn on a device")

    @property
    def in_8_bits(self) -> bool:
        """Whether `draw_8_bits` draws it for 8-bit images; never if the result is not clipped, and so has no 8 bits."""
        return self.clipped and type(self).draw_8_bits is not Noise.draw_8_bits

    @property
    def on_device(self) -> bool:
        """Whether `draw_on_device` can draw it."""
        return type(self).draw_on_device is not Noise.draw_on_device

    @property
    def clipped(self) -> bool:
        """Whether noisy images are clipped and rounded."""
        return bool(getattr(self, "clip", True))

    @property
    def on_srgb(self) -> bool:
        """Whether it takes the images for sRGB, and not for linear light."""
        return False

    @property
    def modules(self) -> set[str]:
        """Names of the modules that decide it."""
        return {type(self).__module__}

    def accepts(self, channels: int) -> bool:
        """Tell whether images of so many channels may have this noise."""
        return not self.channels or channels in self.channels

    @model_validator(mode="after")
    def _ranges_rise(self) -> Self:
        for name, value in self:
            if isinstance(value, tuple) and len(value) == 2 and value[0] > value[1]:
                raise ValueError(f"{name}: a range is [least, most], not {list(value)}")
        return self
