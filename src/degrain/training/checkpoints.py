"""Checkpoints of one trial: written so that a kill at any moment leaves a whole one, read only if nothing has changed.

A checkpoint is `<step>.safetensors` and, written after it, `checkpoint.json`, which names it, has its hash, and holds
the rest. Both are flushed to the disk and moved into place. The one before is removed last.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from degrain import files
from degrain.artifacts.checkpoint import CheckpointRecord
from degrain.artifacts.trial import CHECKPOINT
from degrain.errors import DataError, OutputError
from degrain.training.state import State

log = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of one trial.

    Args:
        folder: Where they lie; nothing else with their names does.
        key: The trial's key: the fingerprint of its settings, data and code.
        seconds: Time between two; 0 is after every step.
    """

    def __init__(self, folder: Path, key: str, seconds: float) -> None:
        self._folder, self._key, self._seconds = folder, key, seconds
        self._written = time.monotonic()

    def due(self) -> bool:
        """Tell whether it is time to write one."""
        return time.monotonic() - self._written >= self._seconds

    def save(self, state: State) -> None:
        """Write a checkpoint.

        Raises:
            OutputError: The folder cannot be written; the checkpoint before is still whole.
        """
        tensors, facts = state.parted()
        whole = save({name: value.detach().cpu().contiguous() for name, value in tensors.items()})
        name = f"{state.step:09d}.safetensors"
        with files.new_file(self._folder / name) as partial:
            partial.write_bytes(whole)
        record = CheckpointRecord(
            schema_version=CheckpointRecord.VERSION,
            key=self._key,
            file=name,
            sha256=hashlib.sha256(whole).hexdigest(),
            **dict(facts),
        )
        record.write(self._folder / CHECKPOINT)
        for old in self._folder.glob("*.safetensors"):
            if old.name != name:
                with suppress(OSError):  # NOTE: what cannot be removed is in nobody's way.
                    old.unlink()
        self._written = time.monotonic()

    def load(self, state: State) -> bool:
        """Bring a state to where the checkpoint was written.

        One that is damaged, foreign or cannot be read is set aside, and training starts anew.

        Args:
            state: Of the same trial, before its first step.

        Returns:
            Whether there was one.

        Raises:
            OutputError: It cannot be set aside.
        """
        if not os.path.lexists(self._folder / CHECKPOINT):
            return False
        try:
            record = read(self._folder, self._key)
            tensors = _tensors(self._folder, record)
        except (DataError, OSError, SafetensorError) as error:
            aside = self._set_aside()
            log.warning("the checkpoint of trial %s is not trusted (%s); it is now in %s", self._key, error, aside)
            return False
        # NOTE: what fails here has changed a part of the state, from which training must not start anew.
        state.restore(tensors, record)
        return True

    def _set_aside(self) -> Path:
        aside = self._folder / "damaged"
        try:
            aside.mkdir(exist_ok=True)
            for path in [self._folder / CHECKPOINT, *self._folder.glob("*.safetensors")]:
                if (aside / path.name).is_dir() or path.is_dir():
                    _remove(aside / path.name)
                with suppress(FileNotFoundError):
                    path.replace(aside / path.name)
        except OSError as error:
            raise OutputError(f"cannot write {aside}: {error.strerror or error}") from error
        return aside


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read(folder: Path, key: str) -> CheckpointRecord:
    """Return what checkpoint.json of a trial holds.

    Raises:
        DataError: It is missing, damaged, or belongs to another trial.
    """
    record = CheckpointRecord.read(folder / CHECKPOINT)
    if record.key != key:
        raise DataError(f"it belongs to trial {record.key}")
    return record


def _tensors(folder: Path, record: CheckpointRecord) -> dict[str, torch.Tensor]:
    whole = files.contents(folder / record.file)
    if hashlib.sha256(whole).hexdigest() != record.sha256:
        raise DataError("its tensors have another hash")
    tensors: dict[str, torch.Tensor] = load(whole)
    return tensors
