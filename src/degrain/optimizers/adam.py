"""Adam."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from degrain.optimizers.base import BETAS, FUSED, Betas, Epsilon, Optimizer, Preset, Rule


class Adam(Optimizer):
    """Decaying means of gradients and of their squares, corrected for their start at 0."""

    source: ClassVar[str] = 'Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015'
    rules: ClassVar[Mapping[Preset, Rule]] = {
        "pytorch": Rule("torch.optim:Adam", {"lr": 0.001, "betas": BETAS, "eps": 1e-8}, {}, FUSED),
        "keras": Rule("degrain.optimizers.keras_rules:Adam", {"lr": 0.001, "betas": BETAS, "eps": 1e-7}),
        "tf.keras": Rule("degrain.optimizers.keras_rules:Adam", {"lr": 0.001, "betas": BETAS, "eps": 1e-7}),
    }

    name: Literal["adam"]
    betas: Betas = None
    eps: Epsilon = None
