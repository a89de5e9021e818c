"""Training losses: each the mean over all pixels and channels of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from degrain.errors import ParamsError, nearest

if TYPE_CHECKING:
    from torch import Tensor

    Loss = Callable[[Tensor, Tensor], Tensor]


def mse(output: Tensor, clean: Tensor) -> Tensor:
    """Mean squared error."""
    return (output - clean).square().mean()


def mae(output: Tensor, clean: Tensor) -> Tensor:
    """Mean absolute error."""
    return (output - clean).abs().mean()


LOSSES: dict[str, Loss] = {"mse": mse, "mae": mae}


def get(name: str) -> Loss:
    """Look a loss up: a function of (output, clean), both (N, C, H, W) in [0, 1], to a scalar tensor.

    Raises:
        ParamsError: There is none of that name.
    """
    try:
        return LOSSES[name]
    except KeyError:
        raise ParamsError(f"train.losses: unknown loss {name!r}{nearest(name, LOSSES)}") from None
