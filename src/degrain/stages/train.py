"""Stage train@model: patch store -> weights, history and trial.json of each trial of one model."""

from __future__ import annotations

import shutil

from degrain import environment
from degrain.images.store import PatchStore
from degrain.params import Params
from degrain.stages import PREPARED, TRIALS
from degrain.training import trial
from degrain.trials import processes


def run(params: Params, model: str) -> None:
    """Train the study's grid for one model."""
    trials = trial.expand(params.train, model)
    store = PatchStore.open(PREPARED)
    processes.prepare()
    # NOTE: PyTorch is imported here while the workers' server imports it too.
    from degrain.trials import grid
    from degrain.trials.ledger import Ledger

    device = environment.prepare_torch(params.train.device, params.train.threads)
    grid.run(trials, store, device, Ledger(), TRIALS / model)
    # NOTE: what a model left that is no longer in the study would count as changed data for the next stage.
    for folder in TRIALS.iterdir():
        if folder.is_dir() and folder.name not in params.train.models and not folder.name.endswith(".partial"):
            shutil.rmtree(folder, ignore_errors=True)
