"""AdamW."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from degrain.optimizers.base import BETAS, FUSED, Betas, Epsilon, Optimizer, Preset, Rule, WeightDecay


class AdamW(Optimizer):
    """Adam with decoupled weight decay."""

    source: ClassVar[str] = 'Loshchilov, Hutter, "Decoupled weight decay regularization", ICLR 2019'
    rules: ClassVar[Mapping[Preset, Rule]] = {
        "pytorch": Rule(
            "torch.optim:AdamW", {"lr": 0.001, "betas": BETAS, "eps": 1e-8, "weight_decay": 0.01}, {}, FUSED
        ),
        "tf.keras": Rule(
            "degrain.optimizers.keras_rules:Adam", {"lr": 0.001, "betas": BETAS, "eps": 1e-7, "weight_decay": 0.004}
        ),
    }

    name: Literal["adamw"]
    betas: Betas = None
    eps: Epsilon = None
    weight_decay: WeightDecay = None
