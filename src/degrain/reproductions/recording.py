"""Writing down what the last run of a study measured."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from degrain import files
from degrain.artifacts.trial import TrialRecord
from degrain.errors import DataError
from degrain.machine import description
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.reproductions import FIGURES
from degrain.studies import gallery
from degrain.trials import of_study

# Figures that are kept with a record, by the end of their names: none that shows images of a data set.
KEPT_FIGURES = ("learning_curves.svg", "heat_map.svg")


def record(
    params: Params,
    store: PatchStore,
    trials: Path,
    metrics: Path,
    figures: Path,
    folder: Path,
    blocks: Sequence[Path] = (),
) -> Path:
    """Write down what the last run of a study measured, and keep its figures.

    Args:
        params: The study.
        store: Its prepared data.
        trials: Folder with its trials.
        metrics: Its numbers, results/metrics.json.
        figures: Folder with its figures, results/figures.
        folder: Where records lie.
        blocks: What `degrain sidd-validation --json` has written of some of its trials.

    Returns:
        The record.

    Raises:
        DataError: The study has not run to its end, what lies there is of another one, or it has no trial with the
            weights that were measured on blocks.
    """
    for needed in (metrics, figures):
        if not needed.exists():
            raise DataError(f"{needed} is missing: run dvc repro first")
    found = [trial for trial in of_study.read(trials, params, store) if trial.is_done]
    numbers = files.read_json(metrics)
    if set(numbers["trials"]) != {trial.name for trial in found}:
        raise DataError(f"{metrics} is of other trials than those in {trials}: run dvc repro first")
    on_blocks = _on_blocks(blocks, found)
    histories = of_study.histories(trials, found)
    kept = {"name", "model", "optimizer", "loss", "seed", "epochs_done", "seconds", "parameters"}
    rows = [
        trial.model_dump(include=kept)
        | {"precision": trial.place.precision}
        | {"val_loss": [round(loss, 7) for loss in histories[trial.name]["val_loss"]]}
        | numbers["trials"][trial.name]
        | ({"blocks": on_blocks[trial.name]} if trial.name in on_blocks else {})
        for trial in found
    ]
    content = {
        "study": params.study.name,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": gallery.command(params),
        "machine": description.describe_machine(),
        "versions": {"torch": found[0].versions["torch"], "degrain": description.versions()["degrain"]},
        "data_sha256": store.sha256,
        "trials": rows,
        "identity": numbers["identity"],
        "baselines": numbers["baselines"],
        "cameras": numbers.get("cameras", {}),
        "sharpened": {
            trial: [numbers["trials"][trial], sharp] for trial, sharp in numbers.get("sharpened", {}).items()
        },
    }
    with files.new_folder(folder / FIGURES / params.study.name) as kept_figures:
        for path in sorted(figures.iterdir()):
            if path.name.endswith(KEPT_FIGURES):
                shutil.copyfile(path, kept_figures / path.name)
    files.write_json(folder / f"{params.study.name}.json", content)
    return folder / f"{params.study.name}.json"


def _on_blocks(measured: Sequence[Path], trials: Sequence[TrialRecord]) -> dict[str, Any]:
    """What was measured on the validation blocks of SIDD, by the name of the trial whose weights it was measured of."""
    names = {trial.weights_sha256: trial.name for trial in trials}
    found = {}
    for path in measured:
        if not path.is_file():
            raise DataError(f"{path} is missing; to make it: degrain sidd-validation --json {path}")
        content = files.read_json(path)
        if not isinstance(content, dict) or not {"weights", "blocks", "denoised"} <= set(content):
            raise DataError(f"{path} is not what degrain sidd-validation --json writes")
        if content["weights"] not in names:
            raise DataError(f"{path} is of weights that no trial of the study has")
        found[names[content["weights"]]] = content
    return found
