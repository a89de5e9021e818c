"""Keras's update rules, where torch.optim's classes take another path.

g is the gradient, lr the learning rate, t the step from 1. Sources: keras/optimizers.py of Keras 2.2 ("keras"),
keras/src/optimizers/ of Keras 3.15 ("tf.keras").
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


class Adam(torch.optim.Adam):
    """Adam and AdamW with "epsilon hat" (Kingma and Ba, ICLR 2015, before section 2.1).

    w -= lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps): PyTorch adds its epsilon after the correction of v, so that
    Keras's is PyTorch's with eps / sqrt(1 - b2^t). Weight decay is AdamW's: w -= lr weight_decay w, before the step.
    """

    def __init__(
        self, weights: Iterable[Tensor], lr: float, betas: tuple[float, float], eps: float, weight_decay: float = 0.0
    ) -> None:
        super().__init__(weights, lr, betas, eps, weight_decay, fused=True, decoupled_weight_decay=True)
        for group in self.param_groups:
            group.update(epsilon_hat=eps, steps=0)

    def step(self, closure: Any = None) -> Any:
        """Update the weights; there is no closure."""
        for group in self.param_groups:
            group["steps"] += 1
            group["eps"] = group["epsilon_hat"] / math.sqrt(1 - group["betas"][1] ** group["steps"])
        super().step(closure)


class Adagrad(torch.optim.Adagrad):
    """Adagrad of Keras 3: w -= lr g / sqrt(a + eps), with a the sum of all g^2 and the initial value.

    Epsilon under the root is one more part of the initial value.
    """

    def __init__(self, weights: Iterable[Tensor], lr: float, eps: float, initial_accumulator_value: float) -> None:
        start = initial_accumulator_value + eps
        super().__init__(weights, lr, initial_accumulator_value=start, eps=0.0, fused=True)


class _KerasRule(torch.optim.Optimizer):
    """What the rules below share: state that starts at 0, and one update for all weights of a group at once."""

    slots: tuple[str, ...] = ()

    def __init__(self, weights: Iterable[Tensor], **settings: Any) -> None:
        super().__init__(weights, settings | {"steps": 0})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:  # noqa: ARG002
        """Update the weights; there is no closure."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            for weight in weights:
                if not self.state[weight]:
                    self.state[weight] = {slot: torch.zeros_like(weight) for slot in self.slots}
            group["steps"] += 1
            state = {slot: [self.state[weight][slot] for weight in weights] for slot in self.slots}
            self.update(group, weights, [weight.grad for weight in weights], **state)

    def update(self, group: dict[str, Any], weights: list[Tensor], grads: list[Tensor], **state: list[Tensor]) -> None:
        """Make one step, in place."""
        raise NotImplementedError


class Adamax(_KerasRule):
    """m = b1 m + (1 - b1) g; u = max(b2 u, |g|); w -= lr / (1 - b1^t) m / (u + eps).

    PyTorch has u = max(b2 u, |g| + eps) and no epsilon below, so that its epsilon fades.
    """

    slots = ("mean", "norm")

    def update(self, group: dict[str, Any], weights: list[Tensor], grads: list[Tensor], **state: list[Tensor]) -> None:
        """Make one step, in place."""
        beta1, beta2 = group["betas"]
        torch._foreach_lerp_(state["mean"], grads, 1 - beta1)
        torch._foreach_mul_(state["norm"], beta2)
        torch._foreach_maximum_(state["norm"], torch._foreach_abs(grads))
        divisors = torch._foreach_add(state["norm"], group["eps"])
        torch._foreach_addcdiv_(weights, state["mean"], divisors, -group["lr"] / (1 - beta1 ** group["steps"]))


class RMSprop(_KerasRule):
    """s = rho s + (1 - rho) g^2; v = momentum v + lr g / sqrt(s + eps); w -= v, as in Keras 3 and tf.keras since 2.11.

    Keras 2, tf.keras before, and PyTorch add epsilon to the root; PyTorch applies lr to v as a whole.
    """

    slots = ("square", "velocity")

    def update(self, group: dict[str, Any], weights: list[Tensor], grads: list[Tensor], **state: list[Tensor]) -> None:
        """Make one step, in place."""
        torch._foreach_mul_(state["square"], group["rho"])
        torch._foreach_addcmul_(state["square"], grads, grads, 1 - group["rho"])
        roots = torch._foreach_add(state["square"], group["eps"])
        torch._foreach_sqrt_(roots)
        torch._foreach_mul_(state["velocity"], group["momentum"])
        torch._foreach_addcdiv_(state["velocity"], grads, roots, group["lr"])
        torch._foreach_sub_(weights, state["velocity"])


class SGD(_KerasRule):
    """v = momentum v - lr g; w += v, or w += momentum v - lr g with Nesterov's momentum.

    With a constant learning rate this is PyTorch's path; with a schedule the velocity keeps the rates it was made with.
    """

    slots = ("velocity",)

    def update(self, group: dict[str, Any], weights: list[Tensor], grads: list[Tensor], **state: list[Tensor]) -> None:
        """Make one step, in place."""
        torch._foreach_mul_(state["velocity"], group["momentum"])
        torch._foreach_add_(state["velocity"], grads, alpha=-group["lr"])
        if group["nesterov"]:
            torch._foreach_add_(weights, state["velocity"], alpha=group["momentum"])
            torch._foreach_add_(weights, grads, alpha=-group["lr"])
        else:
            torch._foreach_add_(weights, state["velocity"])
