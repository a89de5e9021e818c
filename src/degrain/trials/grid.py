"""Running all trials of one model: what the ledger has is reused, one bad cell never takes the others with it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import torch
from filelock import FileLock

from degrain import console, files
from degrain.artifacts.trial import FAILED, TRIAL, TrialRecord
from degrain.errors import Stopped, TrainingError
from degrain.machine import compute
from degrain.patches.store import PatchStore
from degrain.training.distributed import Group
from degrain.training.trial import Trial
from degrain.trials import processes
from degrain.trials.board import Board, ended
from degrain.trials.ledger import Busy, Ledger
from degrain.trials.work import Job, Outcome, assist, enter, key_of, train, train_claimed

log = logging.getLogger(__name__)


def run(
    trials: Sequence[Trial],
    store: PatchStore,
    device: torch.device,
    ledger: Ledger,
    target: Path,
    in_process: bool = False,
) -> list[TrialRecord]:
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
        What is recorded of every trial.

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
                    if entry := ledger.find(key):  # its process has died after its work was done
                        board.show(name, entry)
                        return False
                    failures = ledger.fail(key, reason)
                    again = failures <= job.trial.params.retries
                    board.failed(name, reason, again)
                    if not again:
                        end = Outcome(FAILED, f"given up after {failures} failures, the last: {reason}")
                        ended(name, enter(job, None, end, ledger.began(key), ledger.so_far(key)))
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
) -> list[TrialRecord]:
    """Train the grid under torchrun: one trial after another, each by all of the processes that torchrun started.

    An error of one process ends them all; run the same command again to go on from the checkpoint.

    Args:
        trials, store, device, ledger, target: As for `run`; the ranks see the same files.
        group: Of the processes.

    Returns:
        What is recorded of every trial.

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
                work = train_claimed if first else assist
                try:
                    work(Job(trial, key, store, device, ledger), partial(board.show, trial.name), stop, group)
                except Stopped:
                    stop.check()
                    raise
    return lay_out(trials, keys, ledger, target) if first else []


def lay_out(trials: Sequence[Trial], keys: dict[str, str], ledger: Ledger, target: Path) -> list[TrialRecord]:
    """Copy trials out of the ledger.

    Args:
        trials: Which.
        keys: Of each, by its name.
        ledger: Where they are.
        target: Folder with one folder per trial; what stood there is replaced.

    Returns:
        What is recorded of every trial.
    """
    recorded = []
    with FileLock(ledger.folder / "layout.lock"), files.new_folder(target) as folder:
        for trial in trials:
            shutil.copytree(ledger.folder / keys[trial.name], folder / trial.name)
            # NOTE: a trial may have been trained under other names, which are not part of its key.
            entry = TrialRecord.read(folder / trial.name / TRIAL)
            recorded.append(entry.named(trial.name, trial.optimizer.title, trial.loss.title))
            recorded[-1].write(folder / trial.name / TRIAL)
    return recorded


def remove_others(folder: Path, models: Collection[str]) -> None:
    """Remove the trials of other models, which would count as changed data for the next stage.

    Args:
        folder: With a folder for each model.
        models: The study's.
    """
    for other in folder.glob("*"):
        if other.is_dir() and other.name not in models and not other.name.endswith(".partial"):
            shutil.rmtree(other, ignore_errors=True)


def sum_up(recorded: Sequence[TrialRecord], on_failure: str) -> None:
    """Say how many trials ended well.

    Raises:
        TrainingError: One failed, and the study asks to stop then.
    """
    failed = [trial.name for trial in recorded if trial.state == FAILED]
    bad = [f"{trial.name} {trial.state}" for trial in recorded if not trial.is_done]
    if bad:
        log.warning("%d of %d trials are done; %s", len(recorded) - len(bad), len(recorded), ", ".join(bad))
    if failed and on_failure == "stop":
        raise TrainingError(
            f"{len(failed)} of {len(recorded)} trials failed: {', '.join(failed)}; see degrain trials; "
            "train.on_failure: report would go on without them"
        )


def _reused(name: str, key: str, ledger: Ledger) -> bool:
    entry = ledger.find(key)
    if entry is None:
        return False
    if entry.is_done:
        log.info("%-28s already trained, taken from the ledger", name)
    else:
        end = entry.state, entry.reason
        log.warning("%-28s %s before, not tried again (degrain trials retry): %s", name, *end)
    return True


def _side_by_side(trials: Sequence[Trial], device: torch.device) -> int:
    """How many trials run at a time: as many as the cores allow, or one where all share one accelerator."""
    return max(1, compute.threads() // trials[0].params.threads) if device.type == "cpu" else 1
