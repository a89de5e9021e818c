"""Reading what trials have left for the next stages."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from degrain import files
from degrain.artifacts.trial import HISTORY, TRIAL, TrialRecord
from degrain.errors import DataError


def read_trials(folder: Path, models: list[str], data: str | None = None) -> list[dict[str, Any]]:
    """Read the trial.json of every trial of the study, in the order of the study's models.

    Args:
        folder: With a folder for each model, and in it one for each trial.
        models: The study's.
        data: Digest of the data that they must have been trained on.

    Raises:
        DataError: A model has no trials here, one is damaged, or was trained on other data.
    """
    trials = []
    for model in models:
        found = sorted((folder / model).glob(f"*/{TRIAL}"))
        if not found:
            raise DataError(f"{folder / model} holds no trials; run: dvc repro train@{model}")
        trials += [TrialRecord.read(path).model_dump() for path in found]
    if data and (other := [trial["name"] for trial in trials if trial["data_sha256"] != data]):
        raise DataError(f"{other[0]} in {folder} was trained on other data than what is prepared; run: dvc repro")
    return trials


def read_histories(folder: Path, trials: Iterable[dict[str, Any]]) -> dict[str, pd.DataFrame]:
    """Read the history of each trial, by its name.

    Raises:
        DataError: One is missing or damaged.
    """
    return {trial["name"]: _history(folder / trial["model"] / trial["name"] / HISTORY, trial) for trial in trials}


def _history(path: Path, trial: dict[str, Any]) -> pd.DataFrame:
    if not path.exists() or files.sha256(path) != trial["sha256"].get(HISTORY):
        raise DataError(f"{path} is missing or damaged; run: dvc repro -f train@{trial['model']}")
    return pd.read_csv(path)
