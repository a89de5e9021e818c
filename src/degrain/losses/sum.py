"""A weighted sum of losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from degrain.losses.base import Loss

if TYPE_CHECKING:
    from torch import Tensor

    # Any loss but a sum: the catalog knows them all, and puts their union in here.
    Term = Loss


class Sum(Loss):
    """A weighted sum of other losses."""

    name: Literal["sum"]
    terms: list[Term] = Field(min_length=1, description="The losses that are added up, each a mapping with its weight.")

    def value(self, output: Tensor, clean: Tensor) -> Tensor:
        """Return the loss, see `Loss`."""
        first, *others = (term.weight * term.value(output, clean) for term in self.terms)
        return sum(others, start=first)

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
