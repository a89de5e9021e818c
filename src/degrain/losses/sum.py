"""A weighted sum of losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from degrain.losses.base import Loss
from degrain.losses.catalog import Single

if TYPE_CHECKING:
    from torch import Tensor

Term = Annotated[Single, Field(discriminator="name")]


class Sum(Loss):
    """A weighted sum of other losses."""

    name: Literal["sum"]
    terms: list[Term] = Field(min_length=1, description="The losses that are added up, each a mapping with its weight.")

    def value(self, output: Tensor, clean: Tensor) -> Tensor:
        """Return the loss, see `Loss`."""
        first, *others = self.terms
        total = _weighted(first, output, clean)
        for term in others:
            total = total + _weighted(term, output, clean)
        return total

    def problem(self, bounded: bool, patch_size: int) -> str | None:
        """Say why it cannot train a network, see `Loss`."""
        return next(filter(None, (term.problem(bounded, patch_size) for term in self.terms)), None)

    def settings(self) -> dict[str, Any]:
        """Return everything that decides its value, see `Loss`."""
        return {"name": self.name, "terms": [term.settings() | {"weight": term.weight} for term in self.terms]}

    @property
    def title(self) -> str:
        """The name in trials and tables."""
        return self.label or "-".join(term.name for term in self.terms)

    @property
    def modules(self) -> set[str]:
        """Names of the modules that decide its value."""
        return super().modules.union(*(term.modules for term in self.terms))

    @model_validator(mode="after")
    def _labels_itself_alone(self) -> Self:
        for term in self.terms:
            if term.label:
                raise ValueError(f"{term.name}: a term of a sum has no label")
        return self


def _weighted(term: Loss, output: Tensor, clean: Tensor) -> Tensor:
    value = term.value(output, clean)
    return value if term.weight == 1 else term.weight * value
