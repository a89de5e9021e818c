"""What train leaves of each epoch of a trial: history.csv, to which a line is added after each epoch.

Of a trial that has ended it is whole, and trial.json has its digest.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from degrain import files
from degrain.artifacts.trial import HISTORY, TrialRecord
from degrain.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Epoch:
    """What one epoch left: a row of history.csv.

    Attributes:
        epoch: From 1.
        train_loss: Mean over the epoch's patches, while it ran.
        val_loss: The same loss on the validation split, after the epoch.
        val_psnr: Mean PSNR of the validation patches, in dB, by the metric protocol.
        rate: Learning rate of its last step, of the first parameter group.
        images_per_second: Training speed, validation not counted; of what was trained in this run.
        cpu: Cores that the process kept busy meanwhile, on average.
        memory_mb: The most memory that the process has had so far, in MB.
        gpu_memory_mb: The most memory of the GPU that it has had so far, in MB; 0 on the CPU.
        ended: When it ended, in seconds since 1970.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_psnr: float
    rate: float
    images_per_second: float
    cpu: float
    memory_mb: float
    gpu_memory_mb: float
    ended: float


COLUMNS = tuple(field.name for field in fields(Epoch))
# The columns that say how fast it went; all others are the same each time.
PACE = ("images_per_second", "cpu", "memory_mb", "gpu_memory_mb", "ended")
# The columns that are curves over the epochs.
CURVES = COLUMNS[1:-1]


def write(path: Path, history: Iterable[Epoch]) -> None:
    """Write the epochs of a trial, exactly."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(map(astuple, history))


def add(path: Path, epoch: Epoch) -> None:
    """Add an epoch to a history that is not whole yet.

    Raises:
        OSError: It cannot be written.
    """
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(astuple(epoch))


def so_far(path: Path) -> list[Epoch]:
    """Read a history to which lines are being added; a line that is not whole yet, or no number, ends it.

    Raises:
        OSError: It cannot be read, or is not there.
    """
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        _, *lines = [line for line in file if line.endswith("\n")] or [""]
    epochs: list[Epoch] = []
    with suppress(TypeError, ValueError, OverflowError, csv.Error):
        for row in csv.reader(lines):
            number, *values = map(float, row)
            epochs.append(Epoch(int(number), *values))
    return epochs


def read(folder: Path, trial: TrialRecord) -> pd.DataFrame:
    """Read the history of a trial.

    Args:
        folder: Of the trial.
        trial: Its trial.json, which names the history that belongs to it.

    Returns:
        One row per epoch, with the columns of `Epoch`.

    Raises:
        DataError: It is missing, damaged, or another trial's.
    """
    import pandas as pd

    path = folder / HISTORY
    again = f"run: dvc repro -f -s train@{trial.model}"
    content = files.verified(path, trial.sha256.get(HISTORY))
    if content is None:
        raise DataError(f"{path} is missing or damaged; {again}")
    header, *rows = csv.reader(io.TextIOWrapper(content, encoding="utf-8", newline=""))
    if tuple(header) != COLUMNS:
        raise DataError(f"{path} has the columns {', '.join(header)}, not {', '.join(COLUMNS)}; {again}")
    return pd.DataFrame([[float(value) for value in row] for row in rows], columns=COLUMNS).astype({"epoch": int})
