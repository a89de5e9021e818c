"""RMSprop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from degrain.optimizers.base import FOREACH, Epsilon, Momentum, Optimizer, Preset, Rule


class RMSprop(Optimizer):
    """A rate for each weight that falls with the decaying mean of its squared gradients."""

    source: ClassVar[str] = 'Tieleman, Hinton, "Lecture 6.5: rmsprop", Coursera, 2012'
    rules: ClassVar[Mapping[Preset, Rule]] = {
        "pytorch": Rule(
            "torch.optim:RMSprop",
            {"lr": 0.01, "rho": 0.99, "eps": 1e-8, "momentum": 0.0},
            {},
            FOREACH,
            {"rho": "alpha"},
        ),
        "keras": Rule("torch.optim:RMSprop", {"lr": 0.001, "rho": 0.9, "eps": 1e-7}, {}, FOREACH, {"rho": "alpha"}),
        "tf.keras": Rule(
            "degrain.optimizers.keras_rules:RMSprop", {"lr": 0.001, "rho": 0.9, "eps": 1e-7, "momentum": 0.0}
        ),
    }

    name: Literal["rmsprop"]
    rho: float | None = Field(
        None, gt=0, lt=1, description="Decay rate of the mean square of gradients (PyTorch's `alpha`)."
    )
    eps: Epsilon = None
    momentum: Momentum = None
