"""MS-SSIM as a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from degrain.losses import structural
from degrain.losses.base import Loss, precise

if TYPE_CHECKING:
    from torch import Tensor


class MsSsim(Loss):
    """1 - MS-SSIM, mean over the images, which must be at least 161x161 for a window of 11."""

    source: ClassVar[str] = (
        'Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment", Asilomar 2003'
    )

    name: Literal["ms-ssim"]
    window: structural.Window = Field(structural.WINDOW, description="Side of the window, odd, in pixels.")

    def value(self, output: Tensor, clean: Tensor) -> Tensor:
        """Return the loss, see `Loss`."""
        return 1 - structural.ms_ssim(*precise(output, clean), self.window).mean()

    def problem(self, bounded: bool, patch_size: int) -> str | None:  # noqa: ARG002
        """Say why it cannot train a network, see `Loss`."""
        least = structural.ms_ssim_side(self.window)
        return f"ms-ssim needs a patch size of at least {least}, not {patch_size}" if patch_size < least else None
