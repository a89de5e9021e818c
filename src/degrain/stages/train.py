"""Stage train@model: patch store -> weights, history and trial.json of each trial of one model."""

from __future__ import annotations

from degrain import environment
from degrain.images.store import PatchStore
from degrain.params import Params
from degrain.stages import PREPARED, TRIALS
from degrain.training import grid, trial
from degrain.training.ledger import Ledger


def run(params: Params, model: str) -> None:
    """Train the study's grid for one model."""
    store = PatchStore.open(PREPARED)
    trials = trial.expand(params.train, model)
    device = environment.prepare_torch(params.train.device)
    grid.run(trials, store, device, Ledger(), TRIALS / model)
