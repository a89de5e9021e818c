"""The gradient of one batch: in parts where it must be, so that a batch that does not fit gives the same result."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from degrain.training.distributed import Group
from degrain.training.state import State

if TYPE_CHECKING:
    from degrain.training.objectives import Objective

log = logging.getLogger(__name__)


def backward(
    network: nn.Module,
    objective: Objective,
    cast: torch.autocast,
    batch: tuple[Tensor, Tensor],
    patches: int,
    parts: int,
    group: Group,
) -> Tensor:
    """Add the gradient of a batch's loss to the weights' gradients.

    Args:
        network: From noisy to denoised, as wrapped by the group.
        objective: A mean over patches.
        cast: Context of the forward pass.
        batch: Noisy and clean, this rank's share, float32 (N, C, H, W).
        patches: In the whole batch, over all ranks.
        parts: How many are computed one after another; each needs memory for its own patches only.
        group: Who shares the batch.

    Returns:
        What this share adds to the mean loss of the batch, float32 scalar.
    """

    def run(images: Tensor) -> Tensor:
        with cast:
            output: Tensor = network(images)
        return output.float()

    noisy, clean = batch
    total = torch.zeros((), device=clean.device)
    pairs = list(zip(noisy.tensor_split(parts), clean.tensor_split(parts), strict=True))
    for place, (some_noisy, some_clean) in enumerate(pairs, 1):
        with nullcontext() if place == len(pairs) else group.alone(network):
            part = objective(run, some_noisy, some_clean) * (len(some_clean) / patches)
            # NOTE: the group averages gradients, and the ranks' shares are to be added up.
            (part * group.world).backward()  # type: ignore[no-untyped-call]
        total += part.detach()
    return total


def fitting(state: State, most: int, compute: Callable[[int], Tensor]) -> Tensor:
    """Compute a gradient in as few parts as memory allows; remember in the state how many that are.

    Args:
        state: Of the trial.
        most: Parts that cannot be parted further: patches in the batch.
        compute: Adds the gradient, in the number of parts it is given.

    Returns:
        What `compute` returns.

    Raises:
        RuntimeError, MemoryError: Out of memory with one patch at a time, or with batch normalisation, whose
            statistics are those of the whole batch.
    """
    while True:
        try:
            return compute(min(state.parts, most))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or state.parts >= most or _normalizes_batches(state.network):
                raise
        state.optimizer.zero_grad(set_to_none=True)
        state.parts = min(2 * state.parts, most)
        log.warning("out of memory: batches of %d patches are computed in %d parts from here on", most, state.parts)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory ran out, on the device or in this process."""
    words = ("can't allocate memory", "not enough memory", "out of memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(word in str(error) for word in words)


def _normalizes_batches(network: nn.Module) -> bool:
    return any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in network.modules())
