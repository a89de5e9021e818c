"""Huber's loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from degrain.losses.base import Loss, error

if TYPE_CHECKING:
    from torch import Tensor


class Huber(Loss):
    """Half the squared error where the error is at most delta, and a line of slope delta beyond, as in Keras."""

    source: ClassVar[str] = (
        'Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35(1), 1964'
    )

    name: Literal["huber"]
    delta: float = Field(1.0, gt=0, le=1e3, description="Where it turns from square to linear.")

    def value(self, output: Tensor, clean: Tensor) -> Tensor:
        """Return the loss, see `Loss`."""
        size = error(output, clean).abs()
        within = size.clamp(max=self.delta)
        return (within * (size - within / 2)).mean()
