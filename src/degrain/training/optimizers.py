"""Optimizers, with the defaults that the papers' framework gave them.

Adam: Keras, lr 0.001, eps 1e-7. Adadelta: Keras 1 and 2, lr 1.0, rho 0.95, eps 1e-7; PyTorch's own defaults differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from degrain.errors import ParamsError, nearest
from degrain.params import OptimizerParams

if TYPE_CHECKING:
    import torch

# Name -> class in torch.optim, defaults, and the options of params.yaml that it takes.
OPTIMIZERS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "adam": ("Adam", {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-7}, {"lr", "betas"}),
    "adadelta": ("Adadelta", {"lr": 1.0, "rho": 0.95, "eps": 1e-7}, {"lr", "rho"}),
}


def settings(params: OptimizerParams) -> dict[str, Any]:
    """Return an optimizer's settings, defaults filled in.

    Raises:
        ParamsError: Unknown optimizer, or an option that it does not have.
    """
    if params.name not in OPTIMIZERS:
        raise ParamsError(f"train.optimizers: unknown optimizer {params.name!r}{nearest(params.name, OPTIMIZERS)}")
    _, defaults, allowed = OPTIMIZERS[params.name]
    chosen = params.model_dump(exclude={"name", "label"}, exclude_none=True)
    for option in chosen:
        if option not in allowed:
            raise ParamsError(f"train.optimizers: {params.name} has no {option}{nearest(option, allowed)}")
    return defaults | chosen


def build(params: OptimizerParams, weights: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """Make the optimizer for a network's weights."""
    import torch

    chosen = settings(params)
    optimizer: torch.optim.Optimizer = getattr(torch.optim, OPTIMIZERS[params.name][0])(weights, **chosen)
    return optimizer


def rate(schedule: str, step: int, steps: int, warmup: int) -> float:
    """Return the learning rate of a step as a share of the set one.

    Args:
        schedule: "constant", or "cosine": falling from 1 to 0 as half a cosine over all steps
            (Loshchilov and Hutter, "SGDR", ICLR 2017, without restarts).
        step: From 0.
        steps: Of the whole trial.
        warmup: Steps over which the share first rises linearly.
    """
    share = 0.5 * (1 + math.cos(math.pi * step / steps)) if schedule == "cosine" else 1.0
    return share * min(1.0, (step + 1) / (warmup + 1))
