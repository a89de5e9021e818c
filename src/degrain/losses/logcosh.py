"""The logarithm of the hyperbolic cosine."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from degrain.losses.base import Loss, error

if TYPE_CHECKING:
    from torch import Tensor


class LogCosh(Loss):
    """Mean logarithm of the error's hyperbolic cosine: about half the squared error, of large errors the absolute one.

    The same as Keras's x + softplus(-2x) - log 2, but in a form that is exact for small errors, too.
    """

    source: ClassVar[str] = "Keras 3.15, keras.losses.LogCosh"

    name: Literal["logcosh"]

    def value(self, output: Tensor, clean: Tensor) -> Tensor:
        """Return the loss, see `Loss`."""
        size = error(output, clean).abs()
        return (size + ((-2 * size).expm1() / 2).log1p()).mean()
