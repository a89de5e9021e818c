"""A network in training, with all that must be saved so that it goes on with the same bits."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from degrain.artifacts.checkpoint import Facts
from degrain.artifacts.history import Epoch
from degrain.training.trial import Trial


@dataclass
class State:
    """How far a trial has come.

    Attributes:
        network: In training.
        optimizer: Of its weights.
        averaged: Its exponentially averaged weights, if the trial has them.
        parts: In how many parts the gradient of a step is computed.
        steps: Optimizer steps that the trial is to have.
        step: Optimizer steps done.
        loss_sum: Of the patches of the epoch so far.
        history: What each whole epoch left.
        best: The weights with the best validation PSNR, if the trial keeps those.
        earlier: Seconds spent on it in runs that were stopped.
        since: When this run began, by time.perf_counter.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    averaged: AveragedModel | None
    parts: int
    steps: int = 0
    step: int = 0
    loss_sum: float = 0.0
    history: list[Epoch] = field(default_factory=list)
    best: dict[str, torch.Tensor] | None = None
    earlier: float = 0.0
    since: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Time spent on it, in this run and those that were stopped."""
        return self.earlier + time.perf_counter() - self.since

    @classmethod
    def begin(cls, trial: Trial, network: nn.Module) -> State:
        """Return the state before the first step."""
        params = trial.params
        averaged = None
        if params.ema is not None:
            averaged = AveragedModel(network, multi_avg_fn=_averaging(params.ema), use_buffers=True)
        optimizer = trial.optimizer.build(network)
        if constrain := getattr(network, "constrain", None):
            optimizer.register_step_post_hook(lambda *_: constrain())
        return cls(network, optimizer, averaged, params.accumulate)

    @property
    def validated(self) -> nn.Module:
        """The network whose weights are validated and kept: the averaged one, if there is one."""
        if self.averaged is None:
            return self.network
        module: nn.Module = self.averaged.module
        return module

    @property
    def best_epoch(self) -> int:
        """The epoch with the best validation PSNR, from 1; the first of several, 0 before any."""
        return max(self.history, key=lambda epoch: epoch.val_psnr).epoch if self.history else 0

    def enter(self, epoch: Epoch, keep: str) -> None:
        """End an epoch; where the best weights are kept, copy them when they are the best so far."""
        self.history.append(epoch)
        self.loss_sum = 0.0
        if keep == "best" and self.best_epoch == epoch.epoch:
            self.best = {name: value.clone() for name, value in self.validated.state_dict().items()}

    def stalled(self, patience: int) -> bool:
        """Tell whether so many epochs have brought no better validation PSNR; never for 0."""
        return bool(patience) and len(self.history) - self.best_epoch >= patience

    def finish(self) -> nn.Module:
        """Return the network with the weights that the trial leaves."""
        network = self.validated
        if self.best is not None:
            network.load_state_dict(self.best)
        return network

    def parted(self) -> tuple[dict[str, torch.Tensor], Facts]:
        """Return the state as named tensors and as facts that JSON can hold, exactly."""
        tensors: dict[str, torch.Tensor] = {}
        facts = Facts(
            network=_part("network", self.network.state_dict(), tensors),
            optimizer=_part("optimizer", self.optimizer.state_dict(), tensors),
            averaged=_part("averaged", self.averaged.state_dict() if self.averaged else None, tensors),
            best=_part("best", self.best, tensors),
            parts=self.parts,
            steps=self.steps,
            step=self.step,
            loss_sum=self.loss_sum,
            history=self.history,
            seconds=self.seconds,
        )
        return tensors, facts

    def restore(self, tensors: dict[str, torch.Tensor], facts: Facts) -> None:
        """Go back to a state that `parted` returned.

        Raises:
            KeyError, RuntimeError, ValueError: It belongs to another network or optimizer.
        """
        self.network.load_state_dict(_join(facts.network, tensors))
        self.optimizer.load_state_dict(_join(facts.optimizer, tensors))
        if self.averaged:
            self.averaged.load_state_dict(_join(facts.averaged, tensors))
        device = next(self.network.parameters()).device
        best = _join(facts.best, tensors)
        self.best = {name: value.to(device) for name, value in best.items()} if best else None
        self.parts, self.step, self.loss_sum = facts.parts, facts.step, facts.loss_sum
        self.history = list(facts.history)
        self.earlier = facts.seconds


def _averaging(decay: float) -> Any:
    return get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]


def _part(path: str, value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Move the tensors of nested dictionaries and lists into one flat dictionary, and leave their names."""
    if isinstance(value, torch.Tensor):
        tensors[path] = value
        return {"tensor": path}
    if isinstance(value, dict):
        # NOTE: PyTorch numbers parameters, and JSON's keys are text.
        return {"items": [[key, _part(f"{path}.{key}", inner, tensors)] for key, inner in value.items()]}
    if isinstance(value, list | tuple):
        parts = [_part(f"{path}.{place}", inner, tensors) for place, inner in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": parts}
    return value


def _join(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Undo `_part`."""
    if not isinstance(value, dict):
        return copy.copy(value)
    if "tensor" in value:
        return tensors[value["tensor"]]
    if "items" in value:
        return {key: _join(inner, tensors) for key, inner in value["items"]}
    ((kind, inner),) = value.items()
    parts = [_join(part, tensors) for part in inner]
    return tuple(parts) if kind == "tuple" else parts
