"""Adamax."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from degrain.optimizers.base import BETAS, FOREACH, Betas, Epsilon, Optimizer, Preset, Rule


class Adamax(Optimizer):
    """Adam with a decaying maximum in place of the mean square."""

    source: ClassVar[str] = 'Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015, section 7.1'
    rules: ClassVar[Mapping[Preset, Rule]] = {
        "pytorch": Rule("torch.optim:Adamax", {"lr": 0.002, "betas": BETAS, "eps": 1e-8}, {}, FOREACH),
        "keras": Rule("degrain.optimizers.keras_rules:Adamax", {"lr": 0.002, "betas": BETAS, "eps": 1e-7}),
        "tf.keras": Rule("degrain.optimizers.keras_rules:Adamax", {"lr": 0.001, "betas": BETAS, "eps": 1e-7}),
    }

    name: Literal["adamax"]
    betas: Betas = None
    eps: Epsilon = None
