"""Learning rates over the steps of a trial."""

from __future__ import annotations

import math

from degrain.params.train import TrainParams


def share(params: TrainParams, step: int, steps: int, steps_per_epoch: int) -> float:
    """Return the learning rate of a step as a share of the set one.

    "constant" is 1; "step" is multiplied by `step_factor` after every `step_epochs` epochs, or after each number of
    epochs of that list; "cosine" falls from 1 to 0 as half a cosine over all steps (Loshchilov and Hutter, "SGDR",
    ICLR 2017, without restarts). During the first `warmup_steps` each is multiplied by a factor that rises linearly
    to 1.

    Args:
        params: The section `train`.
        step: From 0.
        steps: Of the whole trial.
        steps_per_epoch: Of one epoch.

    Returns:
        Above 0, at most 1.
    """
    return _course(params, step, steps, steps_per_epoch) * min(1.0, (step + 1) / (params.warmup_steps + 1))


def _course(params: TrainParams, step: int, steps: int, steps_per_epoch: int) -> float:
    if params.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * step / steps))
    if params.schedule == "step":
        return float(params.step_factor ** _falls(params.step_epochs, step // steps_per_epoch))
    return 1.0


def _falls(step_epochs: int | list[int], epochs: int) -> int:
    """How often the rate has stepped after so many epochs."""
    if isinstance(step_epochs, int):
        return epochs // step_epochs
    return sum(place <= epochs for place in step_epochs)
