"""Muon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from degrain.optimizers.base import BETAS, Betas, Optimizer, Preset, Rule


class Muon(Optimizer):
    """Orthogonal steps for matrices, AdamW for everything else, see `degrain.optimizers.muon_rule`."""

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
    betas: Betas | None = Field(None, description="Decay rates of the mean and of the mean square of gradients.")
    eps: float | None = Field(None, ge=0, description="What keeps a division from being one by zero.")
    momentum: float | None = Field(None, ge=0, lt=1, description="Share of the last step in the next.")
    nesterov: bool | None = Field(None, description="Nesterov's momentum.")
    weight_decay: float | None = Field(None, ge=0, description="Decoupled weight decay.")
