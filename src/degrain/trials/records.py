"""What a trial leaves on the disk, and reading it again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from degrain import files
from degrain.errors import DataError

TRIAL = "trial.json"
HISTORY = "history.csv"
WEIGHTS = "weights.safetensors"
CHECKPOINT = "checkpoint.json"

# How a trial can have ended. Only `done` leaves weights.
DONE, DIVERGED, FAILED = "done", "diverged", "failed"


def read_trials(folder: Path, models: list[str], data: str | None = None) -> list[dict[str, Any]]:
    """Read the trial.json of every trial of the study, in the order of the study's models.

    Args:
        folder: With a folder for each model, and in it one for each trial.
        models: The study's.
        data: Digest of the data that they must have been trained on.

    Raises:
        DataError: A model has no trials here, or one was trained on other data.
    """
    trials = []
    for model in models:
        found = sorted((folder / model).glob(f"*/{TRIAL}"))
        if not found:
            raise DataError(f"{folder / model} holds no trials; run: dvc repro train@{model}")
        trials += [files.read_json(path) for path in found]
    if data and (other := [trial["name"] for trial in trials if trial.get("data_sha256") != data]):
        raise DataError(f"{other[0]} in {folder} was trained on other data than what is prepared; run: dvc repro")
    return trials


def read_histories(folder: Path, trials: Iterable[dict[str, Any]]) -> dict[str, pd.DataFrame]:
    """Read the history of each trial, by its name."""
    return {trial["name"]: pd.read_csv(folder / trial["model"] / trial["name"] / HISTORY) for trial in trials}
