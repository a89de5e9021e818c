"""Mean squared error."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from degrain.losses.base import Loss, error

if TYPE_CHECKING:
    from torch import Tensor


class Mse(Loss):
    """Mean squared error."""

    of_means: ClassVar[bool] = True

    name: Literal["mse"]

    def value(self, output: Tensor, clean: Tensor) -> Tensor:
        """Return the loss, see `Loss`."""
        return error(output, clean).square().mean()
