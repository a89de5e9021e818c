"""Training one trial and entering it in the ledger: with what it imports, this decides what a trial leaves.

All of it is in the trials' keys; what is only said of trials, and in which order they run, is in `degrain.trials.grid`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch

from degrain import __version__
from degrain.artifacts.history import Epoch
from degrain.artifacts.trial import DIVERGED, DONE, Origin, Place, TrialRecord
from degrain.artifacts.trial import State as End
from degrain.errors import Diverged
from degrain.machine import compute, description, precision
from degrain.networks import identity
from degrain.patches.store import PatchStore
from degrain.provenance import digests
from degrain.training import loop
from degrain.training.checkpoints import Checkpoints
from degrain.training.distributed import ALONE, Group
from degrain.training.state import State
from degrain.training.trial import Trial
from degrain.trials.ledger import Ledger

Tell = Callable[[Epoch | TrialRecord], None]


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


@dataclass(frozen=True)
class Outcome:
    """How a trial ended, and why it did not get done."""

    state: End
    reason: str = ""


def key_of(trial: Trial, store: PatchStore, device: torch.device, group: Group = ALONE) -> str:
    """Return the key of a trial that is computed here."""
    return trial.key(store, place_of(trial, device, group))


def place_of(trial: Trial, device: torch.device, group: Group = ALONE) -> Place:
    """Return what of this place decides a trial's bits."""
    arithmetic = precision.resolve(trial.params.precision, device)
    return Place(device=device.type, precision=arithmetic, world=group.world, machine=description.kind(device))


def origin_here() -> Origin:
    """Return where a trial comes from that begins now and here."""
    return Origin(commit=description.git_commit(), degrain=__version__, machine=description.describe_machine())


def train(job: Job, tell: Tell, stopping: Callable[[], bool]) -> None:
    """Train one trial, from its checkpoint on if there is one, and enter it in the ledger.

    Args:
        job: Which.
        tell: Called with each epoch and, at the end, with what is recorded of the trial.
        stopping: Asked after every step whether to stop.

    Raises:
        OutputError: The ledger cannot be written.
        DataError: The store has changed since it was opened.
        Busy: Another process is training it.
        Stopped: It was asked to stop.
    """
    with job.ledger.claimed(job.key):
        if entry := job.ledger.find(job.key):
            job.ledger.forget_unfinished(job.key)
            tell(entry)
        else:
            train_claimed(job, tell, stopping, ALONE)


def train_claimed(job: Job, tell: Tell, stopping: Callable[[], bool], group: Group) -> None:
    """Train one trial that this process has claimed, and enter it in the ledger; see `train`."""
    params, origin = job.trial.params, origin_here()
    began = job.ledger.begin(job.key, job.trial.settings(job.store))
    history: list[Epoch] = []

    def after_epoch(epoch: Epoch) -> None:
        history.append(epoch)
        job.ledger.add(job.key, epoch)
        tell(epoch)

    state, outcome = None, Outcome(DONE)
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
        outcome = Outcome(DIVERGED, str(error))
    tell(enter(job, state, outcome, began, history, group, origin))


def assist(job: Job, _tell: Tell, stopping: Callable[[], bool], group: Group) -> None:
    """What ranks other than the first do of `train`: all but keeping the ledger."""
    params = job.trial.params
    checkpoints = Checkpoints(job.ledger.unfinished(job.key), job.key, params.checkpoint_seconds)
    with suppress(Diverged):
        loop.train(job.trial, job.store, job.device, checkpoints=checkpoints, stopping=stopping, group=group)


def enter(
    job: Job,
    state: State | None,
    outcome: Outcome,
    began: float,
    history: Sequence[Epoch] = (),
    group: Group = ALONE,
    origin: Origin | None = None,
) -> TrialRecord:
    """Enter a trial that has ended; return what was recorded.

    Raises:
        DataError: The store has changed since it was opened: what came out is not that of its digest.
        OutputError: The ledger cannot be written.
    """
    job.store.require_unchanged()
    kept = None
    if state:
        kept = state.history[state.best_epoch - 1 if job.trial.params.keep == "best" else -1]
    record = TrialRecord(
        schema_version=TrialRecord.VERSION,
        **dict(job.trial.settings(job.store)),
        key=job.key,
        place=place_of(job.trial, job.device, group),
        origin=origin or origin_here(),
        network_sha256=identity.digest(job.trial.model),
        versions=digests.versions(job.trial.code(job.store.noise)),
        state=outcome.state,
        reason=outcome.reason,
        failures=job.ledger.failures(job.key),
        parameters=sum(weight.numel() for weight in state.network.parameters()) if state else None,
        epochs_done=len(history),
        epoch=kept.epoch if kept else None,
        train_loss=kept.train_loss if kept else None,
        val_loss=kept.val_loss if kept else None,
        val_psnr=kept.val_psnr if kept else None,
        parts=state.parts if state else None,
        seconds=round(state.seconds, 2) if state else None,
        peak_memory_mb=compute.peak_memory_mb(),
        began=began,
        ended=0.0,
        sha256={},
    )
    return job.ledger.record(record, history, state.finish().state_dict() if state else None)
