"""Mean absolute percentage error."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from degrain.losses.base import KERAS_EPSILON, Loss, precise

if TYPE_CHECKING:
    from torch import Tensor


class Mape(Loss):
    """Mean absolute error in percent of the clean pixel, taken as at least 1e-7, as in Keras.

    A black clean pixel thus weighs 10 million times a white one.
    """

    source: ClassVar[str] = "Keras 3.15, keras.losses.MeanAbsolutePercentageError"

    name: Literal["mape"]

    def value(self, output: Tensor, clean: Tensor) -> Tensor:
        """Return the loss, see `Loss`."""
        output, clean = precise(output, clean)
        return 100 * ((output - clean) / clean.abs().clamp(min=KERAS_EPSILON)).abs().mean()
