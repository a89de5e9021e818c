"""PSNR as a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from degrain.losses.base import Loss, error

if TYPE_CHECKING:
    from torch import Tensor


class Psnr(Loss):
    """Minus the peak signal-to-noise ratio in dB of data range 1, mean over the images.

    A decibel counts the same in each image, however noisy it was; a mean of errors is that of the noisiest.
    """

    source: ClassVar[str] = (
        'Chen et al., "HINet: half instance normalization network for image restoration", CVPR Workshops 2021'
    )

    name: Literal["psnr"]
    most: float = Field(
        80.0,
        gt=0,
        le=200,
        description="The most that an image can have, in dB: 10^(-most/10) is added to its mean squared error, so that "
        "a perfect image has a finite gradient. What is far better already counts less.",
    )

    def value(self, output: Tensor, clean: Tensor) -> Tensor:
        """Return the loss, see `Loss`."""
        floor = 10 ** (-self.most / 10)
        return 10 * (error(output, clean).square().mean(dim=(1, 2, 3)) + floor).log10().mean()
