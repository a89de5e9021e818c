"""Charbonnier's loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from degrain.losses.base import Loss, error

if TYPE_CHECKING:
    from torch import Tensor


class Charbonnier(Loss):
    """Mean of sqrt(error**2 + eps**2): the absolute error with a rounded tip; eps, not 0, at its least."""

    source: ClassVar[str] = (
        'Charbonnier et al., "Two deterministic half-quadratic regularization algorithms for computed imaging", ICIP '
        '1994; as a loss of networks: Lai et al., "Deep Laplacian pyramid networks", CVPR 2017, with eps 0.001'
    )

    name: Literal["charbonnier"]
    eps: float = Field(1e-3, gt=0, le=1e3, description="Width of the rounded tip.")

    def value(self, output: Tensor, clean: Tensor) -> Tensor:
        """Return the loss, see `Loss`."""
        return (error(output, clean).square() + self.eps**2).sqrt().mean()
