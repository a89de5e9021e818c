"""Whether a study as a whole can run: every name known, every cell of the grid possible, before anything starts."""

from __future__ import annotations

from degrain.datasets import catalog as datasets
from degrain.errors import ModelError, ParamsError
from degrain.evaluation import baselines
from degrain.models import catalog as models
from degrain.params import Params
from degrain.training import losses, optimizers


def check(params: Params) -> None:
    """Refuse a study that cannot work.

    Raises:
        ParamsError: An unknown data set, model, optimizer, loss or baseline (with the nearest name), an option that
            an optimizer does not have, or a model that cannot take the study's patches.
    """
    datasets.spec(params.data.dataset)
    for optimizer in params.train.optimizers:
        optimizers.settings(optimizer)
    for loss in params.train.losses:
        losses.get(loss)
    baselines.check(params.evaluate.baselines)
    for model in params.train.models:
        try:
            problem = models.spec(model).problem(params.prepare.patch_size)
        except ModelError as error:
            raise ParamsError(f"train.models: {error}") from None
        if problem:
            raise ParamsError(f"prepare.patch_size: {model} {problem}")
