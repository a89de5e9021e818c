"""Stage train@model: patch store -> weights, history and trial.json of each trial of one model."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path

from degrain import files
from degrain.machine import compute, variables
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.stages import PREPARED, TRIALS
from degrain.training import trial
from degrain.trials import mirroring, processes

log = logging.getLogger(__name__)


def run(params: Params, model: str, only: str = "", in_process: bool = False) -> None:
    """Train the study's grid for one model.

    Args:
        params: The study.
        model: Which.
        only: Name of the one trial to train, which is then entered in the ledger and not laid out; all if empty.
        in_process: Train one trial after another in this process.
    """
    files.require_writable(TRIALS / model)
    trials = trial.chosen(trial.expand(params.train, model), only)
    store = PatchStore.open(PREPARED, params)
    alone = compute.world() == 1
    if alone and not in_process:
        processes.prepare()
    # NOTE: PyTorch is imported here while the workers' server imports it too.
    from degrain.studies import network_probes
    from degrain.training import distributed
    from degrain.trials import grid
    from degrain.trials.ledger import Ledger
    from degrain.trials.work import key_of

    device = compute.prepare_torch(params.train.device, params.train.threads, params.train.deterministic)
    network_probes.check_device_noise(store.noise, [store.channels])
    network_probes.check_networks([model], store.channels, store.patch_size)
    network_probes.check_cells(params.train.cells, store.channels, store.patch_size)
    network_probes.check_trials(trials[:1], store.channels, store.patch_size)
    if not (alone or only):
        with distributed.joined() as group:
            asked = mirroring.asked(trials, lambda trial: key_of(trial, store, device, group))
            with mirroring.mirrored(params, asked) if group.rank == 0 else nullcontext():
                recorded = grid.run_together(trials, store, device, Ledger(), TRIALS / model, group)
    else:
        with mirroring.mirrored(params, mirroring.asked(trials, lambda trial: key_of(trial, store, device))):
            if only:
                (grid.fill_here if in_process else grid.fill)(trials, store, device, Ledger())
                # NOTE: a rebuild's ledger is removed with its worktree, and nothing takes the trial from it.
                if variables.project().resolve() == Path.cwd():
                    log.info("%s is in the ledger, from which dvc repro train@%s takes it", only, model)
                return
            recorded = grid.run(trials, store, device, Ledger(), TRIALS / model, in_process)
    grid.remove_others(TRIALS, params.train.models)
    grid.sum_up(recorded, params.train.on_failure)
