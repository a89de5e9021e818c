"""Binary cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from degrain.declaration import HOW
from degrain.losses.base import KERAS_EPSILON, Loss, precise

if TYPE_CHECKING:
    from torch import Tensor


class Bce(Loss):
    """Binary cross-entropy, as Keras computes it from probabilities.

    Its least value is not 0 but the mean binary entropy of the clean images' pixels, ln 2 where they are grey: values
    are not comparable between data sets. Where the output leaves [1e-7, 1 - 1e-7] it is clipped, and has no gradient.
    """

    source: ClassVar[str] = "Keras 3.15, keras.losses.BinaryCrossentropy"

    name: Literal["bce"]
    clip: bool = Field(
        False,
        description="Clip the output of an unbounded network to (0, 1), as Keras does.",
        json_schema_extra=HOW,  # it always clips; this says that an unbounded output may be
    )

    def value(self, output: Tensor, clean: Tensor) -> Tensor:
        """Return the loss, see `Loss`."""
        output, clean = precise(output, clean)
        output = output.clamp(KERAS_EPSILON, 1 - KERAS_EPSILON)
        return -(clean * output.log() + (1 - clean) * (1 - output).log()).mean()

    def problem(self, bounded: bool, patch_size: int) -> str | None:  # noqa: ARG002
        """Say why it cannot train a network, see `Loss`."""
        if bounded or self.clip:
            return None
        return (
            "bce takes logarithms of the output, which this network does not keep within 0 and 1; set `clip: true`, "
            "which clips it as Keras does, or take a network that ends in a sigmoid"
        )
