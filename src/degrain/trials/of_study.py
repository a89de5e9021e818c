"""The trials that a study asks for, and those that lie on the disk: they must be the same."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from degrain import files
from degrain.artifacts import history
from degrain.artifacts.trial import TRIAL, WEIGHTS, TrialRecord
from degrain.errors import DataError
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.training.trial import expand

if TYPE_CHECKING:
    import pandas as pd


def read(folder: Path, params: Params, store: PatchStore) -> list[TrialRecord]:
    """Read the trials of a study.

    Args:
        folder: With a folder for each model, and in it one for each trial.
        params: The study.
        store: The data that it trains on.

    Raises:
        DataError: One is missing or damaged, is of other settings, other data or other code than the study's, or is
            not the study's at all.
    """
    asked = {trial.name: trial for model in params.train.models for trial in expand(params.train, model)}
    found = read_all(folder, params.train.models)
    for trial in found:
        wanted = asked.pop(trial.name, None)
        if wanted is None:
            raise DataError(
                f"{trial.name} in {folder} is no trial of {params.study.name}; run: dvc repro train@{trial.model}"
            )
        if other := trial.differences(wanted.settings(store)):
            raise DataError(
                f"{trial.name} in {folder} was trained with another {' and '.join(other)} than {params.study.name} "
                f"asks for; run: dvc repro train@{trial.model}"
            )
        if trial.is_outdated:
            raise DataError(
                f"{trial.name} in {folder} was trained with other code of {trial.model} than there is now; "
                f"run: dvc repro train@{trial.model}"
            )
        if trial.key != wanted.key(store, trial.place, trial.versions):
            raise DataError(
                f"{trial.name} in {folder} was trained by other code than there is now; "
                f"run: dvc repro train@{trial.model}"
            )
    if asked:
        models = {trial.model: f"train@{trial.model}" for trial in asked.values()}
        raise DataError(f"{folder} lacks {', '.join(asked)}; run: dvc repro {' '.join(models.values())}")
    return found


def read_all(folder: Path, models: Iterable[str]) -> list[TrialRecord]:
    """Read every trial of some models, in the models' order.

    Raises:
        DataError: A model has no trials here, or one is damaged or in the folder of another.
    """
    trials = []
    for model in models:
        found = sorted((folder / model).glob(f"*/{TRIAL}"))
        if not found:
            raise DataError(f"{folder / model} holds no trials; run: dvc repro train@{model}")
        trials += [TrialRecord.of_folder(path.parent) for path in found]
    return trials


def check_weights(folder: Path, trials: Iterable[TrialRecord]) -> None:
    """Refuse damaged weights before anything is measured; they are looked at again when they are loaded.

    Raises:
        DataError: The weights of one are missing or damaged.
    """
    for trial in trials:
        path = trial.folder(folder) / WEIGHTS
        if not path.is_file() or files.sha256(path) != trial.weights_sha256:
            raise DataError(f"{path} is missing or damaged; run: dvc repro -f -s train@{trial.model}")


def histories(folder: Path, trials: Iterable[TrialRecord]) -> dict[str, pd.DataFrame]:
    """Read the history of each trial, by its name.

    Raises:
        DataError: One is missing or damaged.
    """
    return {trial.name: history.read(trial.folder(folder), trial) for trial in trials}
