"""Running all trials of one model: what the ledger has is reused, one bad cell never takes the others with it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from degrain import console, files
from degrain.artifacts.trial import DIVERGED, DONE, FAILED, TRIAL
from degrain.errors import Diverged, Stopped, TrainingError
from degrain.machine import compute, description
from degrain.patches.store import PatchStore
from degrain.training import loop, precision
from degrain.training.checkpoints import Checkpoints
from degrain.training.distributed import ALONE, Group
from degrain.training.state import Epoch, State
from degrain.training.trial import Place, Trial
from degrain.trials import processes
from degrain.trials.board import Board, ended
from degrain.trials.ledger import Busy, Ledger

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A trial that is to be trained.

    Attributes:
        trial: What to train.
        key: Its key in the ledger.
        store: What to train on.
        device: Where to compute.
        ledger: Where it is remembered.
    """

    trial: Trial
    key: str
    store: PatchStore
    device: torch.device
    ledger: Ledger


def run(
    trials: Sequence[Trial],
    store: PatchStore,
    device: torch.device,
    ledger: Ledger,
    target: Path,
    in_process: bool = False,
) -> list[dict[str, Any]]:
    """Train what the ledger does not hold yet, then lay all trials out for the next stage.

    Each trial has a process of its own. On the CPU several run side by side, as many as the cores allow: small networks
    gain more from that than from several threads (docs/performance.md). The weights are the same bits either way.

    Args:
        trials: The trials of one model.
        store: What to train on.
        device: Where to compute.
        ledger: Where trials are remembered.
        target: Folder with one folder per trial: trial.json, history.csv and, if it is done, the weights.
        in_process: Train one trial after another in this process, see `fill_here`.

    Returns:
        The trial.json of every trial.

    Raises:
        OutputError: The ledger or the target cannot be written.
        Stopped: It was asked to stop; what has ended and the checkpoints of what has not are in the ledger.
    """
    (fill_here if in_process else fill)(trials, store, device, ledger)
    keys = {trial.name: key_of(trial, store, device) for trial in trials}
    return lay_out(trials, keys, ledger, target)


def fill(trials: Sequence[Trial], store: PatchStore, device: torch.device, ledger: Ledger) -> None:
    """Train what the ledger does not hold yet, each trial in a process of its own.

    Args:
        trials, store, device, ledger: As for `run`.

    Raises:
        As `run`.
    """
    keys = {trial.name: key_of(trial, store, device) for trial in trials}
    waiting = [trial for trial in trials if not _reused(trial.name, keys[trial.name], ledger)]
    jobs = {trial.name: Job(trial, keys[trial.name], store, device, ledger) for trial in waiting}
    with console.bars() as bars, processes.stoppable() as stop:
        board = Board(bars, waiting)

        def failed(name: str, reason: str, trace: str) -> bool:
            """Try again, or give up."""
            log.debug("%s", trace)
            job = jobs[name]
            key = job.key
            try:
                with ledger.claimed(key):
                    if ledger.find(key):  # its process has died after its work was done
                        board.show(name, files.read_json(ledger.folder / key / TRIAL))
                        return False
                    failures = ledger.fail(key, reason)
                    again = failures <= job.trial.params.retries
                    board.failed(name, reason, again)
                    if not again:
                        outcome = {"state": FAILED, "reason": f"given up after {failures} failures, the last: {reason}"}
                        ended(name, _record(job, None, outcome))
                    return again
            except Busy:
                return True

        # NOTE: again, should somebody have stopped a worker, or have removed an entry meanwhile.
        while left := {name: (job,) for name, job in jobs.items() if ledger.find(keys[name]) is None}:
            processes.run(train, left, _side_by_side(trials, device), board.show, failed, stop)
            stop.check()


def fill_here(trials: Sequence[Trial], store: PatchStore, device: torch.device, ledger: Ledger) -> None:
    """Train trials one after another in this process, for a debugger or a profiler.

    An error is not caught, and counts as no failure; a trial goes on from its checkpoint when it is asked for again.

    Args:
        trials, store, device, ledger: As for `run`.

    Raises:
        TrainingError: Another process is training one of them.
        Stopped: It was asked to stop.
        Exception: Whatever training raises.
    """
    with console.bars() as bars, processes.stoppable() as stop:
        board = Board(bars, trials)
        for trial in trials:
            key = key_of(trial, store, device)
            if not _reused(trial.name, key, ledger):
                try:
                    train(Job(trial, key, store, device, ledger), partial(board.show, trial.name), stop)
                except Busy:
                    raise TrainingError(f"another process is training {trial.name}") from None
                except Stopped:
                    stop.check()
                    raise


def run_together(
    trials: Sequence[Trial], store: PatchStore, device: torch.device, ledger: Ledger, target: Path, group: Group
) -> list[dict[str, Any]]:
    """Train the grid under torchrun: one trial after another, each by all of the processes that torchrun started.

    An error of one process ends them all; run the same command again to go on from the checkpoint.

    Args:
        trials, store, device, ledger, target: As for `run`; the ranks see the same files.
        group: Of the processes.

    Returns:
        The trial.json of every trial.

    Raises:
        As `run`, and ParamsError: The group cannot train this network.
    """
    keys = {trial.name: key_of(trial, store, device, group) for trial in trials}
    first = group.rank == 0
    with console.bars() as bars, processes.stoppable() as stop:
        board = Board(bars, trials)
        for trial in trials:
            key = keys[trial.name]
            with ledger.claimed(key, wait=True) if first else nullcontext():
                (found,) = group.tell(first and _reused(trial.name, key, ledger))
                if found:
                    continue
                work = _train if first else _assist
                try:
                    work(Job(trial, key, store, device, ledger), partial(board.show, trial.name), stop, group)
                except Stopped:
                    stop.check()
                    raise
    return lay_out(trials, keys, ledger, target) if first else []


def _assist(job: Job, _tell: Callable[[Any], None], stopping: Callable[[], bool], group: Group) -> None:
    """What ranks other than the first do of `train`: all but keeping the ledger."""
    params = job.trial.params
    checkpoints = Checkpoints(job.ledger.unfinished(job.key), job.key, params.checkpoint_seconds)
    with suppress(Diverged):
        loop.train(job.trial, job.store, job.device, checkpoints=checkpoints, stopping=stopping, group=group)


def key_of(trial: Trial, store: PatchStore, device: torch.device, group: Group = ALONE) -> str:
    """Return the key of a trial that is computed here."""
    arithmetic = precision.resolve(trial.params.precision, device)
    return trial.key(store, Place(device.type, arithmetic, group.world, description.kind(device)))


def train(job: Job, tell: Callable[[Any], None], stopping: Callable[[], bool]) -> None:
    """Train one trial, from its checkpoint on if there is one, and enter it in the ledger.

    Args:
        job: Which.
        tell: Called with each epoch and, at the end, with what is recorded of the trial.
        stopping: Asked after every step whether to stop.

    Raises:
        OutputError: The ledger cannot be written.
        Busy: Another process is training it.
        Stopped: It was asked to stop.
    """
    with job.ledger.claimed(job.key):
        if entry := job.ledger.find(job.key):
            job.ledger.forget_unfinished(job.key)
            tell(files.read_json(entry / TRIAL))
        else:
            _train(job, tell, stopping, ALONE)


def _train(job: Job, tell: Callable[[Any], None], stopping: Callable[[], bool], group: Group) -> None:
    """Do so with the trial claimed."""
    params = job.trial.params
    job.ledger.begin(job.key, job.trial.describe(job.store))
    history: list[Epoch] = []

    def after_epoch(epoch: Epoch) -> None:
        history.append(epoch)
        tell(epoch)

    state, outcome = None, {"state": DONE, "reason": ""}
    try:
        state = loop.train(
            job.trial,
            job.store,
            job.device,
            checkpoints=Checkpoints(job.ledger.unfinished(job.key), job.key, params.checkpoint_seconds),
            after_epoch=after_epoch,
            stopping=stopping,
            group=group,
        )
    except Diverged as error:
        outcome = {"state": DIVERGED, "reason": str(error)}
    tell(_record(job, state, outcome, history))


def lay_out(trials: Sequence[Trial], keys: dict[str, str], ledger: Ledger, target: Path) -> list[dict[str, Any]]:
    """Copy trials out of the ledger.

    Args:
        trials: Which.
        keys: Of each, by its name.
        ledger: Where they are.
        target: Folder with one folder per trial; what stood there is replaced.

    Returns:
        The trial.json of every trial.
    """
    recorded = []
    with FileLock(ledger.folder / "layout.lock"), files.new_folder(target) as folder:
        for trial in trials:
            shutil.copytree(ledger.folder / keys[trial.name], folder / trial.name)
            # NOTE: a trial may have been trained under other names, which are not part of its key.
            names = {"name": trial.name, "optimizer": trial.optimizer.title, "loss": trial.loss.title}
            recorded.append(files.read_json(folder / trial.name / TRIAL) | names)
            del recorded[-1]["digest"]
            files.write_json(folder / trial.name / TRIAL, recorded[-1])
    return recorded


def _reused(name: str, key: str, ledger: Ledger) -> bool:
    entry = ledger.find(key)
    if entry is None:
        return False
    recorded = files.read_json(entry / TRIAL)
    if recorded["state"] == DONE:
        log.info("%-28s already trained, taken from the ledger", name)
    else:
        end = recorded["state"], recorded["reason"]
        log.warning("%-28s %s before, not tried again (degrain trials retry): %s", name, *end)
    return True


def _side_by_side(trials: Sequence[Trial], device: torch.device) -> int:
    """How many trials run at a time: as many as the cores allow, or one where all share one accelerator."""
    return max(1, compute.threads() // trials[0].params.threads) if device.type == "cpu" else 1


def _record(job: Job, state: State | None, outcome: dict[str, str], history: Sequence[Epoch] = ()) -> dict[str, Any]:
    """Enter a trial that has ended; return what was recorded."""
    kept = None
    if state:
        kept = state.history[state.best_epoch - 1 if job.trial.params.keep == "best" else -1]
    described = job.trial.describe(job.store) | {
        **outcome,
        "parameters": sum(weight.numel() for weight in state.network.parameters()) if state else None,
        "epochs_done": len(history),
        "epoch": kept.epoch if kept else None,
        "train_loss": kept.train_loss if kept else None,
        "val_loss": kept.val_loss if kept else None,
        "val_psnr": kept.val_psnr if kept else None,
        "parts": state.parts if state else None,
        "seconds": round(state.seconds, 2) if state else None,
        "peak_memory_mb": compute.peak_memory_mb(),
        "failures": job.ledger.failures(job.key),
        "device": job.device.type,
        "precision": precision.resolve(job.trial.params.precision, job.device),
        "torch": torch.__version__,
    }
    job.ledger.record(job.key, described, history, state.finish().state_dict() if state else None)
    return described
