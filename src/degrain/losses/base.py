"""What a training loss declares: its options, which networks it can train, and its value.

Losses are means over the images of a batch, computed in float32 whatever the network computes in. All images of a batch
weigh the same, so that the losses of its parts, weighted by their sizes, add up to that of the batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from degrain.declaration import Label, Section, deciding

if TYPE_CHECKING:
    from torch import Tensor

# Keras's `epsilon()`: how near to 0 and 1 a logarithm, and to 0 a divisor, may come.
KERAS_EPSILON = 1e-7


class Loss(Section, ABC):
    """What all losses have in common.

    Attributes:
        name: Its name in params.yaml.
        source: Who described it first, or whose code computes the same; empty where there is nothing to cite.
        of_means: Whether noise of mean 0 in the clean images moves its minimum nowhere, so that they may be noisy.
    """

    source: ClassVar[str] = ""
    of_means: ClassVar[bool] = False

    name: str
    label: Label = Field("", description="Name in trials and tables, when one loss is listed twice in a grid.")
    weight: float = Field(1.0, gt=0, le=1e9, description="What a term of a `sum` is multiplied by; only there.")

    @abstractmethod
    def value(self, output: Tensor, clean: Tensor) -> Tensor:
        """Return the loss, a scalar.

        Args:
            output: (N, C, H, W), of any range and floating type; float64 is not rounded.
            clean: (N, C, H, W), in [0, 1].
        """

    def problem(self, bounded: bool, patch_size: int) -> str | None:  # noqa: ARG002
        """Say why it cannot train a network, or None when it can.

        Args:
            bounded: Whether the network's output lies in [0, 1] by construction.
            patch_size: Side of the training patches, in pixels.
        """
        return None

    def settings(self) -> dict[str, Any]:
        """Return its name and the options that decide its value, ready for JSON."""
        return {
            "name": self.name,
            **self.model_dump(mode="json", include=deciding(type(self)) - {"name", "label", "weight"}),
        }

    @property
    def title(self) -> str:
        """The name in trials and tables."""
        return self.label or self.name

    @property
    def modules(self) -> set[str]:
        """Names of the modules that decide its value."""
        return {type(self).__module__}


def has_no_label(term: Loss) -> Loss:
    """Return a term of a sum, which goes without a name of its own.

    Raises:
        ValueError: It has one.
    """
    if term.label:
        raise ValueError("label is not for the terms of a sum")
    return term


def has_no_weight(loss: Loss) -> Loss:
    """Return a loss that is no term of a sum.

    Raises:
        ValueError: It has a weight.
    """
    if loss.weight != 1:
        raise ValueError("weight is only for the terms of a sum")
    return loss


def error(output: Tensor, clean: Tensor) -> Tensor:
    """Return output minus clean, see `precise`."""
    output, clean = precise(output, clean)
    return output - clean


def precise(output: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
    """Return both in float32, or in float64 if the output is."""
    import torch

    dtype = torch.promote_types(output.dtype, torch.float32)
    return output.to(dtype), clean.to(dtype)
