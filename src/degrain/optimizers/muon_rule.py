"""Muon for matrices, AdamW for everything else, with one learning rate for both.

Sources: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024 (the rule); Liu et al., "Muon is
scalable for LLM training", 2025, arXiv 2502.16982, section 2.2 (weight decay, and the factor with which Muon's steps
are as large as AdamW's); torch.optim.Muon, which takes two-dimensional weights only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

# Jordan's quintic a x + b x^3 + c x^5: five rounds bring singular values to about 1 (0.7 to 1.2).
QUINTIC = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """m = momentum m + (1 - momentum) g; w -= lr weight_decay w + lr 0.2 sqrt(max(rows, columns)) orthogonal(m).

    With Nesterov's momentum (1 - momentum) g + momentum m stands in m's place. A weight of two or more dimensions is a
    matrix of shape[0] rows, so a convolution's row holds one output channel; the others (biases, normalization) are
    AdamW's. Both have the same learning rate and weight decay.
    """

    def __init__(
        self,
        weights: Iterable[Tensor],
        lr: float,
        momentum: float,
        nesterov: bool,
        weight_decay: float,
        betas: tuple[float, float],
        eps: float,
    ) -> None:
        weights = list(weights)
        others = [{"params": [weight for weight in weights if weight.ndim < 2]}]
        self._adamw = torch.optim.AdamW(others, lr, betas, eps, weight_decay, fused=True)
        matrices: dict[str, Any] = {"params": [weight for weight in weights if weight.ndim >= 2]}
        matrices |= {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
        super().__init__([matrices, *self._adamw.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:  # noqa: ARG002
        """Update the weights; there is no closure."""
        matrices, others = self.param_groups
        for weight in matrices["params"]:
            if weight.grad is not None:
                self._update(matrices, weight, weight.grad)
        # NOTE: loading a state replaces both, so that AdamW is given them anew.
        self._adamw.state, self._adamw.param_groups = self.state, [others]
        self._adamw.step()

    def _update(self, group: dict[str, Any], weight: Tensor, grad: Tensor) -> None:
        if not self.state[weight]:
            self.state[weight] = {"mean": torch.zeros_like(weight)}
        mean, momentum = self.state[weight]["mean"], group["momentum"]
        mean.lerp_(grad, 1 - momentum)
        matrix = (grad.lerp(mean, momentum) if group["nesterov"] else mean).flatten(1)
        step = orthogonal(matrix).reshape(weight.shape)
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.add_(step, alpha=-group["lr"] * 0.2 * math.sqrt(max(matrix.shape)))


def orthogonal(matrix: Tensor, rounds: int = 5) -> Tensor:
    """Bring all singular values to about 1, by Newton and Schulz's iteration.

    It computes in the matrix's own type: the bfloat16 of torch.optim.Muon puts the result 1-2 % off and is fifteen
    times slower on a CPU without units for it.

    Args:
        matrix: (rows, columns), float.
        rounds: Of the iteration.

    Returns:
        The same shape.
    """
    a, b, c = QUINTIC
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp(min=1e-7)
    for _ in range(rounds):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T
