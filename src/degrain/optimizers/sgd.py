"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from degrain.optimizers.base import FOREACH, Momentum, Nesterov, Optimizer, Preset, Rule


class SGD(Optimizer):
    """Steps against the gradient, with momentum if asked for."""

    source: ClassVar[str] = (
        'Robbins, Monro, "A stochastic approximation method", Annals of Mathematical Statistics 22(3), 1951'
    )
    rules: ClassVar[Mapping[Preset, Rule]] = {
        "pytorch": Rule("torch.optim:SGD", {"lr": 0.001, "momentum": 0.0, "nesterov": False}, {}, FOREACH),
        "keras": Rule("degrain.optimizers.keras_rules:SGD", {"lr": 0.01, "momentum": 0.0, "nesterov": False}),
        "tf.keras": Rule("degrain.optimizers.keras_rules:SGD", {"lr": 0.01, "momentum": 0.0, "nesterov": False}),
    }

    name: Literal["sgd"]
    momentum: Momentum = None
    nesterov: Nesterov = None
