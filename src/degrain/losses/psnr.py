"""PSNR as a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from degrain.losses.base import Loss, error

if TYPE_CHECKING:
    from torch import Tensor

# Added to the mean squared error: 80 dB at the most.
FLOOR = 1e-8


class Psnr(Loss):
    """Minus the peak signal-to-noise ratio in dB of data range 1, mean over the images; at least -80.

    1e-8 is added to each image's mean squared error, so that a perfect image has a finite gradient.
    """

    source: ClassVar[str] = (
        'Chen et al., "HINet: half instance normalization network for image restoration", CVPR Workshops 2021'
    )

    name: Literal["psnr"]

    def value(self, output: Tensor, clean: Tensor) -> Tensor:
        """Return the loss, see `Loss`."""
        return 10 * (error(output, clean).square().mean(dim=(1, 2, 3)) + FLOOR).log10().mean()
