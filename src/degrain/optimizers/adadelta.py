"""Adadelta."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from degrain.optimizers.base import FOREACH, Epsilon, Optimizer, Preset, Rule


class Adadelta(Optimizer):
    """Steps in the weights' own units, by decaying means of squares."""

    source: ClassVar[str] = 'Zeiler, "ADADELTA: an adaptive learning rate method", arXiv 1212.5701, 2012'
    rules: ClassVar[Mapping[Preset, Rule]] = {
        "pytorch": Rule("torch.optim:Adadelta", {"lr": 1.0, "rho": 0.9, "eps": 1e-6}, {}, FOREACH),
        "keras": Rule("torch.optim:Adadelta", {"lr": 1.0, "rho": 0.95, "eps": 1e-7}, {}, FOREACH),
        "tf.keras": Rule("torch.optim:Adadelta", {"lr": 0.001, "rho": 0.95, "eps": 1e-7}, {}, FOREACH),
    }

    name: Literal["adadelta"]
    rho: float | None = Field(None, gt=0, lt=1, description="Decay rate of the mean square of gradients.")
    eps: Epsilon = None
