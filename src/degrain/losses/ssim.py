"""SSIM as a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from degrain.losses import structural
from degrain.losses.base import Loss, precise

if TYPE_CHECKING:
    from torch import Tensor


class Ssim(Loss):
    """1 - SSIM, mean over the images, which must be as large as the window."""

    source: ClassVar[str] = (
        'Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity", '
        "IEEE TIP 13(4), 2004"
    )

    name: Literal["ssim"]
    window: structural.Window = Field(structural.WINDOW, description="Side of the window, odd, in pixels.")

    def value(self, output: Tensor, clean: Tensor) -> Tensor:
        """Return the loss, see `Loss`."""
        return 1 - structural.ssim(*precise(output, clean), self.window).mean()

    def problem(self, bounded: bool, patch_size: int) -> str | None:  # noqa: ARG002
        """Say why it cannot train a network, see `Loss`."""
        least = self.window
        return f"ssim needs a patch size of at least {least}, not {patch_size}" if patch_size < least else None
