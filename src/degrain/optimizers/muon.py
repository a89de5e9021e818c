"""Muon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from degrain.optimizers.base import BETAS, Betas, Epsilon, Momentum, Nesterov, Optimizer, Preset, Rule, WeightDecay


class Muon(Optimizer):
    """Orthogonalized momentum for weights of two or more dimensions, AdamW for the others."""

    source: ClassVar[str] = (
        'Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; Liu et al., "Muon is scalable '
        'for LLM training", arXiv 2502.16982, 2025, section 2.2'
    )
    rules: ClassVar[Mapping[Preset, Rule]] = {
        "pytorch": Rule(
            "degrain.optimizers.muon_rule:Muon",
            {"lr": 0.001, "momentum": 0.95, "nesterov": True, "weight_decay": 0.1, "betas": BETAS, "eps": 1e-8},
        ),
    }

    name: Literal["muon"]
    betas: Betas = None
    eps: Epsilon = None
    momentum: Momentum = None
    nesterov: Nesterov = None
    weight_decay: WeightDecay = None
