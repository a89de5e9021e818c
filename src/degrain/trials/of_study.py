"""The trials that a study asks for, and those that lie on the disk: they must be the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from degrain.errors import DataError
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.training.trial import expand
from degrain.trials.records import read_trials


def read(folder: Path, params: Params, store: PatchStore) -> list[dict[str, Any]]:
    """Read the trial.json of every trial of a study.

    Args:
        folder: With a folder for each model, and in it one for each trial.
        params: The study.
        store: The data that it trains on.

    Raises:
        DataError: One is missing, is of other settings or other data than the study's, or is not the study's at all.
    """
    wanted = {
        trial.name: json.loads(json.dumps(trial.describe(store)))
        for model in params.train.models
        for trial in expand(params.train, model)
    }
    found = read_trials(folder, params.train.models)
    for trial in found:
        asked = wanted.pop(trial["name"], None)
        if asked is None:
            raise DataError(f"{trial['name']} in {folder} is no trial of {params.study.name}; run: dvc repro")
        if other := sorted(key for key, value in asked.items() if trial.get(key) != value):
            raise DataError(
                f"{trial['name']} in {folder} was trained with another {' and '.join(other)} than {params.study.name} "
                "asks for; run: dvc repro"
            )
    if wanted:
        raise DataError(f"{folder} lacks {', '.join(wanted)}; run: dvc repro")
    return found
