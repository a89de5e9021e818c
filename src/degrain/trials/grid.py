"""Running all trials of one model: what the ledger has is reused, one bad cell never takes the others with it."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress

from degrain import console, environment, files
from degrain.errors import Diverged
from degrain.images.store import PatchStore
from degrain.training import loop
from degrain.trials import processes
from degrain.trials.ledger import Ledger
from degrain.trials.records import TRIAL
from degrain.training.trial import Trial

log = logging.getLogger(__name__)


def run(trials: Sequence[Trial], store: PatchStore, device: torch.device, ledger: Ledger, target: Path) -> None:
    """Train what the ledger does not hold yet, then lay all trials out for the next stage.

    On the CPU trials run side by side, one process each, as many as the cores allow: small networks gain more from
    that than from several threads (docs/performance.md). The weights are the same bits either way.

    Args:
        trials: The trials of one model.
        store: What to train on.
        device: Where to compute.
        ledger: Where ended trials are remembered.
        target: Folder with one folder per trial: trial.json, history.csv and, unless it diverged, the weights.

    Raises:
        OutputError: The ledger or the target cannot be written.
        TrainingError: A process was killed from outside; what had ended is in the ledger.
    """
    keys = {trial.name: trial.key(store, device.type) for trial in trials}
    waiting = []
    for trial in trials:
        if ledger.find(keys[trial.name]):
            log.info("%-28s already trained, taken from the ledger", trial.name)
        else:
            waiting.append(trial)
    jobs = {trial.name: (trial, keys[trial.name], store, device, ledger) for trial in waiting}
    with console.bars() as bars:
        board = _Board(bars, waiting)
        workers = min(len(jobs), environment.threads() // trials[0].params.threads)
        if device.type == "cpu" and workers > 1:
            processes.run(train, jobs, workers, board.show)
        else:
            for name, job in jobs.items():
                train(*job, partial(board.show, name))
    with files.new_folder(target) as folder:
        for trial in trials:
            entry = ledger.folder / keys[trial.name]
            shutil.copytree(entry, folder / trial.name)
            # NOTE: a trial may have been trained under another name, as when the study had a single seed.
            recorded = files.read_json(entry / TRIAL)
            files.write_json(folder / trial.name / TRIAL, recorded | {"name": trial.name})


def train(
    trial: Trial,
    key: str,
    store: PatchStore,
    device: torch.device,
    ledger: Ledger,
    tell: Callable[[loop.Epoch | Mapping[str, Any]], None],
) -> None:
    """Train one trial and enter it in the ledger.

    Args:
        trial: What to train.
        key: Its key in the ledger.
        store: What to train on.
        device: Where to compute.
        ledger: Where it is remembered.
        tell: Called with each epoch and, at the end, with what is recorded of the trial.

    Raises:
        OutputError: The ledger cannot be written.
    """
    environment.prepare_torch(device.type, trial.params.threads)
    history: list[loop.Epoch] = []

    def after_epoch(epoch: loop.Epoch) -> None:
        history.append(epoch)
        tell(epoch)

    started = time.perf_counter()
    state, reason, network = "done", "", None
    try:
        network = loop.train(trial, store, device, after_epoch)
    except Diverged as error:
        state, reason = "diverged", str(error)
    described = trial.describe(store) | {
        "state": state,
        "reason": reason,
        "parameters": sum(weight.numel() for weight in network.parameters()) if network else None,
        "train_loss": history[-1].train_loss if history else None,
        "val_loss": history[-1].val_loss if history else None,
        "val_psnr": history[-1].val_psnr if history else None,
        "seconds": round(time.perf_counter() - started, 2),
        "device": device.type,
        "torch": torch.__version__,
    }
    ledger.record(key, described, history, network)
    tell(described)


class _Board:
    """What a person sees of a running grid: a bar for the trials, and one for each that is being trained."""

    def __init__(self, bars: Progress, trials: Sequence[Trial]) -> None:
        self._bars = bars
        self._epochs = {trial.name: trial.params.epochs for trial in trials}
        self._total = bars.add_task("trials", total=len(trials), note="")
        self._tasks: dict[str, Any] = {}

    def show(self, name: str, event: loop.Epoch | Mapping[str, Any]) -> None:
        """Show an epoch, or the end, of a trial."""
        if isinstance(event, loop.Epoch):
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(name, total=self._epochs[name], note="")
            note = f"loss {event.train_loss:.5f}  PSNR {event.val_psnr:.2f} dB  {event.images_per_second:.0f} images/s"
            self._bars.update(self._tasks[name], completed=event.epoch, note=note)
            return
        if name in self._tasks:
            self._bars.remove_task(self._tasks.pop(name))
        self._bars.advance(self._total)
        if event["state"] == "diverged":
            log.warning("%-28s diverged: %s", name, event["reason"])
        else:
            result = (event["val_psnr"], event["loss"], event["val_loss"], event["seconds"])
            log.info("%-28s val PSNR %.2f dB, %s %.5f, %.1f s", name, *result)
