"""Nadam."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from degrain.optimizers.base import BETAS, FOREACH, Betas, Epsilon, Optimizer, Preset, Rule


class Nadam(Optimizer):
    """Adam with Nesterov's momentum."""

    source: ClassVar[str] = 'Dozat, "Incorporating Nesterov momentum into Adam", ICLR Workshop 2016'
    # Keras 3 lets Nadam's momentum rise by 0.96^t, where Dozat, Keras 2 and PyTorch have 0.96^(0.004 t).
    rules: ClassVar[Mapping[Preset, Rule]] = {
        "pytorch": Rule(
            "torch.optim:NAdam", {"lr": 0.002, "betas": BETAS, "eps": 1e-8}, {"momentum_decay": 0.004}, FOREACH
        ),
        "keras": Rule(
            "torch.optim:NAdam", {"lr": 0.002, "betas": BETAS, "eps": 1e-7}, {"momentum_decay": 0.004}, FOREACH
        ),
        "tf.keras": Rule(
            "torch.optim:NAdam", {"lr": 0.001, "betas": BETAS, "eps": 1e-7}, {"momentum_decay": 1.0}, FOREACH
        ),
    }

    name: Literal["nadam"]
    betas: Betas = None
    eps: Epsilon = None
