"""The trial ledger: what every trial left, under the hash of what decided it.

`.degrain/trials/` holds, for each key,

<key>/               a trial that has ended: trial.json, history.csv and, when it is done, weights.safetensors
<key>.unfinished/    one that has not: trial.json (what it is), history.csv so far, its checkpoint, failures.json
<key>.lock           held by the process that trains it
<key>.damaged/       what was not trusted

An entry of a trial that has ended appears whole or not at all, and nothing that is done is trained again.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from degrain import files
from degrain.artifacts import history
from degrain.artifacts.history import Epoch
from degrain.artifacts.trial import HISTORY, TRIAL, WEIGHTS, BegunTrial, TrialRecord, TrialSettings
from degrain.errors import DataError, OutputError
from degrain.machine import variables

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

UNFINISHED = ".unfinished"
FAILURES = "failures.json"


class Busy(Exception):  # noqa: N818  (reads as what is the case)
    """Another process is training this trial."""


class Ledger:
    """The entries of one workspace.

    Args:
        folder: Where they lie; `trials` in the folder that outlives single runs if absent.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or variables.home() / "trials"

    def find(self, key: str) -> TrialRecord | None:
        """Return the entry of a trial that has ended, or None.

        One that is damaged, foreign or of another schema version is set aside, not trusted.
        """
        folder = self.folder / key
        if not folder.exists():
            return None
        try:
            entry = _read(folder, key)
        except DataError as error:
            self._set_aside(key, error)
            return None
        os.utime(folder)
        return entry

    def _set_aside(self, key: str, reason: DataError) -> None:
        aside = self.folder / f"{key}.damaged"
        shutil.rmtree(aside, ignore_errors=True)
        with suppress(FileNotFoundError):  # another process may have set it aside
            (self.folder / key).replace(aside)
            os.utime(aside)
        log.warning("ledger entry %s is not trusted (%s); it is set aside as %s and trained again", key, reason, aside)

    @contextmanager
    def claimed(self, key: str, wait: bool = False) -> Iterator[Path]:
        """Keep other processes from training the same trial; a process that dies gives it back.

        Args:
            key: Of the trial.
            wait: Whether to wait for another process.

        Yields:
            The folder of what is not finished yet.

        Raises:
            Busy: Another process is at it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = self.folder / f"{key}.lock"
        try:
            with FileLock(lock, timeout=-1 if wait else 0):
                yield self.unfinished(key)
        except Timeout:
            raise Busy(key) from None

    def is_claimed(self, key: str) -> bool:
        """Tell whether some process is training this trial."""
        if not (self.folder / f"{key}.lock").exists():
            return False
        try:
            with self.claimed(key):
                return False
        except Busy:
            return True

    def unfinished(self, key: str) -> Path:
        """Return the folder of what a trial that has not ended has left."""
        return self.folder / f"{key}{UNFINISHED}"

    def begin(self, key: str, settings: TrialSettings) -> float:
        """Write down what this process is going to train, with an empty history.

        Returns:
            When a process began to train it first, in seconds since 1970.

        Raises:
            OutputError: The ledger cannot be written.
        """
        folder, began = self.unfinished(key), self.began(key)
        begun = BegunTrial(schema_version=BegunTrial.VERSION, key=key, pid=os.getpid(), began=began, **dict(settings))
        begun.write(folder / TRIAL)
        with files.new_file(folder / HISTORY) as partial:
            history.write(partial, [])
        return began

    def began(self, key: str) -> float:
        """Return when a process first began to train a trial that has not ended; now if none has."""
        try:
            return BegunTrial.read(self.unfinished(key) / TRIAL).began
        except DataError:
            return time.time()

    def so_far(self, key: str) -> list[Epoch]:
        """Return what each epoch left of a trial that has not ended; those that will be trained again included."""
        try:
            return history.so_far(self.unfinished(key) / HISTORY)
        except OSError:
            return []

    def add(self, key: str, epoch: Epoch) -> None:
        """Add an epoch to the history of a trial that is being trained.

        Raises:
            OutputError: The ledger cannot be written.
        """
        path = self.unfinished(key) / HISTORY
        try:
            history.add(path, epoch)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error

    def fail(self, key: str, reason: str) -> int:
        """Write down a failure.

        Returns:
            How often this trial has failed.
        """
        path = self.unfinished(key) / FAILURES
        failures = [*self.failures(key), reason]
        files.write_json(path, failures)
        return len(failures)

    def failures(self, key: str) -> list[str]:
        """Return why this trial has failed so far, each time."""
        path = self.unfinished(key) / FAILURES
        try:
            return [str(reason) for reason in files.read_json(path)]
        except (DataError, TypeError):
            return []

    def record(
        self, trial: TrialRecord, epochs: Sequence[Epoch], weights: dict[str, torch.Tensor] | None
    ) -> TrialRecord:
        """Write the entry of a trial that has ended, and forget its checkpoint.

        Args:
            trial: What decided it and what came out, without the hashes of its files.
            epochs: What each epoch left.
            weights: Tensors by name, or None when it did not get done.

        Returns:
            What was written.

        Raises:
            OutputError: The ledger cannot be written.
        """
        with files.new_folder(self.folder / trial.key) as partial:
            history.write(partial / HISTORY, epochs)
            if weights is not None:
                (partial / WEIGHTS).write_bytes(packed(weights))
            hashes = {path.name: files.sha256(path) for path in sorted(partial.iterdir())}
            entry = trial.model_copy(update={"ended": time.time(), "sha256": hashes})
            entry.write(partial / TRIAL)
            # NOTE: the checkpoint goes next, so this must be on the disk.
            for path in (*partial.iterdir(), partial):
                files.flush(path)
        files.flush(self.folder)
        self.forget_unfinished(trial.key)
        return entry

    def forget_unfinished(self, key: str) -> None:
        """Remove what a trial left while it was not finished."""
        shutil.rmtree(self.unfinished(key), ignore_errors=True)

    def remove(self, key: str, folder: Path) -> None:
        """Remove one folder of a trial.

        Raises:
            Busy: A process is training it.
        """
        with self.claimed(key):
            shutil.rmtree(folder, ignore_errors=True)
            if not any(path.is_dir() for path in self.folder.glob(f"{key}*")):
                # NOTE: a lock's file is removed while it is held, or another process could lock a file that is gone.
                (self.folder / f"{key}.lock").unlink(missing_ok=True)


def packed(weights: dict[str, torch.Tensor]) -> bytes:
    """Return what the file of a trial's weights holds."""
    from safetensors.torch import save

    content: bytes = save({name: value.detach().cpu().contiguous() for name, value in weights.items()})
    return content


def _read(folder: Path, key: str) -> TrialRecord:
    """Read an entry.

    Raises:
        DataError: It is damaged, another trial's, or of another schema version.
    """
    entry = TrialRecord.read(folder / TRIAL)
    if entry.key != key:
        raise DataError(f"{TRIAL} is that of trial {entry.key}")
    for name, sha256 in entry.sha256.items():
        if not (folder / name).is_file() or files.sha256(folder / name) != sha256:
            raise DataError(f"{name} is damaged")
    return entry
