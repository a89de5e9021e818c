"""The ledger for people: what there is of each trial, and cleaning up."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from degrain import files
from degrain.artifacts.checkpoint import CheckpointRecord
from degrain.artifacts.trial import CHECKPOINT, DIVERGED, FAILED, TRIAL, BegunTrial, TrialRecord
from degrain.errors import DataError, ParamsError, VersionMismatch, nearest
from degrain.trials.ledger import UNFINISHED, Busy, Ledger

DAY = 86_400  # seconds


@dataclass(frozen=True)
class Row:
    """One trial of the ledger.

    Attributes:
        folder: Its name in the ledger.
        key: What it begins with.
        name: Model, optimizer, loss and seed.
        state: running, stopped (it goes on when it is asked for again), done, diverged, failed, damaged, or outdated
            (written by another version of degrain, and not used any more).
        epochs_done: Whole epochs.
        epochs: That it is to have.
        val_psnr: Of the epoch that is kept, or the last one so far, in dB.
        seconds: Spent on it so far.
        seconds_left: Of a trial that has not ended, by its speed so far; None before its first checkpoint.
        reason: Why it did not get done, or the last failure.
        idle_days: Since it was trained or taken from the ledger last.
    """

    folder: str
    key: str
    name: str
    state: str
    epochs_done: int
    epochs: int
    val_psnr: float | None
    seconds: float | None
    seconds_left: float | None
    reason: str
    idle_days: float


def rows(ledger: Ledger) -> list[Row]:
    """Return all trials of a ledger, those that have not ended first, then by name."""
    found = [_row(ledger, path) for path in _folders(ledger)]
    return sorted(found, key=lambda row: (row.state != "running", row.state != "stopped", row.name, row.key))


def as_json(listed: list[Row]) -> list[dict[str, Any]]:
    """Return rows as JSON can hold them."""
    return [asdict(row) for row in listed]


def clean(ledger: Ledger, days: float, dry: bool) -> list[Row]:
    """Remove the trials that nothing has used for so many days; running ones stay.

    Args:
        ledger: Which.
        days: Of not having been trained or taken from the ledger.
        dry: Only tell which they are.

    Returns:
        What was, or would be, removed.
    """
    old = [row for row in rows(ledger) if row.idle_days >= days and row.state != "running"]
    return [row for row in old if dry or _remove(ledger, row)]


def retry(ledger: Ledger, names: Collection[str]) -> list[Row]:
    """Forget that trials failed or diverged, so that they are tried again when they are asked for.

    Args:
        ledger: Which.
        names: Of the trials; all that failed if empty.

    Returns:
        What was forgotten.

    Raises:
        ParamsError: There is no such trial that did not get done.
    """
    bad = [row for row in rows(ledger) if row.state in (FAILED, DIVERGED)]
    for name in names:
        if name not in {row.name for row in bad}:
            raise ParamsError(f"no trial {name!r} failed or diverged{nearest(name, [row.name for row in bad])}")
    chosen = [row for row in bad if (row.name in names if names else row.state == FAILED)]
    return [row for row in chosen if _remove(ledger, row)]


def _folders(ledger: Ledger) -> Iterator[Path]:
    for path in sorted(ledger.folder.glob("*")):
        if path.is_dir() and not path.name.endswith(".partial"):
            yield path


def _remove(ledger: Ledger, row: Row) -> bool:
    try:
        ledger.remove(row.key, ledger.folder / row.folder)
    except Busy:
        return False
    return True


def _row(ledger: Ledger, path: Path) -> Row:
    key = path.name.split(".")[0]
    idle = (time.time() - path.stat().st_mtime) / DAY
    try:
        if path.name.endswith(UNFINISHED):
            return _unfinished(ledger, path, BegunTrial.read(path / TRIAL), idle)
        trial = TrialRecord.read(path / TRIAL)
    except VersionMismatch:
        reason = "written by another version of degrain; to remove it: degrain trials clean"
        return Row(path.name, key, _name(path / TRIAL), "outdated", 0, 0, None, None, None, reason, idle)
    except DataError:
        return Row(path.name, key, "?", "damaged", 0, 0, None, None, None, "its trial.json cannot be read", idle)
    if trial.key != key:
        reason = f"its trial.json is that of trial {trial.key}"
        return Row(path.name, key, "?", "damaged", 0, 0, None, None, None, reason, idle)
    state = "damaged" if path.suffix else trial.state
    told = trial.epochs_done, trial.epochs, trial.val_psnr, trial.seconds, None, trial.reason
    return Row(path.name, key, trial.name, state, *told, idle)


def _name(path: Path) -> str:
    """The name in a trial.json whose other fields may mean something else."""
    name = files.read_json(path).get("name")
    return name if isinstance(name, str) else "?"


def _unfinished(ledger: Ledger, path: Path, trial: BegunTrial, idle: float) -> Row:
    key = path.name.split(".")[0]
    state = "running" if ledger.is_claimed(key) else "stopped"
    reason = (ledger.failures(key) or [""])[-1]
    try:
        checkpoint = CheckpointRecord.read(path / CHECKPOINT)
    except DataError:
        return Row(path.name, key, trial.name, state, 0, trial.epochs, None, None, None, reason, idle)
    history, spent = checkpoint.history, checkpoint.seconds
    left = spent * (checkpoint.steps / checkpoint.step - 1)
    psnr = history[-1].val_psnr if history else None
    return Row(path.name, key, trial.name, state, len(history), trial.epochs, psnr, spent, left, reason, idle)
