"""Adagrad."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from degrain.optimizers.base import FUSED, Epsilon, Optimizer, Preset, Rule


class Adagrad(Optimizer):
    """A rate for each weight that falls with the sum of its squared gradients."""

    source: ClassVar[str] = (
        'Duchi, Hazan, Singer, "Adaptive subgradient methods for online learning and stochastic optimization", '
        "JMLR 12, 2011"
    )
    rules: ClassVar[Mapping[Preset, Rule]] = {
        "pytorch": Rule("torch.optim:Adagrad", {"lr": 0.01, "eps": 1e-10}, {}, FUSED),
        "keras": Rule("torch.optim:Adagrad", {"lr": 0.01, "eps": 1e-7}, {}, FUSED),
        "tf.keras": Rule(
            "degrain.optimizers.keras_rules:Adagrad", {"lr": 0.001, "eps": 1e-7}, {"initial_accumulator_value": 0.1}
        ),
    }

    name: Literal["adagrad"]
    eps: Epsilon = None
