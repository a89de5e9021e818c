"""Writing down what the last run of a study measured."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from degrain import files
from degrain.artifacts.metrics import Metrics
from degrain.artifacts.report import ReportRecord
from degrain.artifacts.reproduction import ReproducedTrial, Reproduction, Sharpened, Versions
from degrain.artifacts.sidd_validation import BlockScores, SiddValidation
from degrain.artifacts.trial import TrialRecord
from degrain.artifacts.validation import Validation
from degrain.errors import DataError
from degrain.evaluation import results, summary
from degrain.params.study import Params
from degrain.patches.store import PatchStore, check
from degrain.report import shown
from degrain.reproductions import FIGURES
from degrain.studies import gallery
from degrain.trials import of_study, origins

# Figures that are kept with a record, by the end of their names: none that shows images of a data set.
KEPT_FIGURES = ("learning_curves.svg", "heat_map.svg")


@dataclass(frozen=True)
class Reported:
    """Where evaluate and report left what people look at.

    Attributes:
        metrics: results/metrics.json.
        page, record: results/report.html and report.json.
        figures: The folder results/figures.
        validation: data/validated/validation.json, of which the page tells.
    """

    metrics: Path
    page: Path
    record: Path
    figures: Path
    validation: Path


def record(
    params: Params,
    store: PatchStore,
    trials: Path,
    evaluated: Path,
    reported: Reported,
    folder: Path,
    blocks: Sequence[Path] = (),
) -> Path:
    """Write down what the last run of a study measured, and keep its figures.

    Args:
        params: The study.
        store: Its prepared data.
        trials: Folder with its trials.
        evaluated: What was measured of them.
        reported: The report of them, whose figures are kept.
        folder: Where records lie.
        blocks: What `degrain sidd-validation --json` has written of some of its trials.

    Returns:
        The record.

    Raises:
        DataError: The study has not run to its end, what lies there is damaged or of another one, or it has no trial
            with the weights that were measured on blocks.
    """
    check(store.folder, store.record, params)
    found = {trial.name: trial for trial in of_study.read(trials, params, store)}
    left = results.read(evaluated, found, store, params)
    measured = Metrics.of(left.ranking, summary.summarize(left.table))
    Metrics.check(reported.metrics, measured)
    validation = Validation.read(reported.validation)
    present = shown.of(params, validation, store, list(found.values()), left.ranking)
    ReportRecord.check(reported.record, present, reported.page, reported.figures)
    done = [trial for trial in found.values() if trial.is_done]
    made = Reproduction(
        schema_version=Reproduction.VERSION,
        study=params.study.name,
        date=datetime.datetime.now(datetime.UTC).date(),
        command=gallery.command(params),
        machine=origins.machine(done),
        versions=Versions.model_validate({name: origins.versions(done)[name] for name in Versions.model_fields}),
        data_sha256=store.sha256,
        trials=_trials(done, trials, measured, _on_blocks(blocks, done)),
        identity=measured.identity,
        baselines=measured.baselines,
        cameras=measured.cameras or {},
        sharpened={
            name: Sharpened(before=measured.trials[name], after=after)
            for name, after in (measured.sharpened or {}).items()
        },
    )
    with files.new_folder(folder / FIGURES / made.study) as kept_figures:
        for path in sorted(reported.figures.iterdir()):
            if path.name.endswith(KEPT_FIGURES):
                shutil.copyfile(path, kept_figures / path.name)
    made.write(folder / f"{made.study}.json")
    return folder / f"{made.study}.json"


def _trials(
    done: Sequence[TrialRecord], folder: Path, measured: Metrics, on_blocks: Mapping[str, BlockScores]
) -> list[ReproducedTrial]:
    histories = of_study.histories(folder, done)
    return [
        ReproducedTrial(
            **trial.model_dump(include=set(ReproducedTrial.model_fields) - {"val_loss"}),
            precision=trial.place.precision,
            val_loss=[round(loss, 7) for loss in histories[trial.name]["val_loss"]],
            scores=measured.trials[trial.name],
            blocks=on_blocks.get(trial.name),
        )
        for trial in done
    ]


def _on_blocks(measured: Sequence[Path], trials: Sequence[TrialRecord]) -> dict[str, BlockScores]:
    """What was measured on the validation blocks of SIDD, by the name of the trial whose weights it was measured of."""
    names = {trial.weights_sha256: trial.name for trial in trials}
    found = {}
    for path in measured:
        made = SiddValidation.read(path)
        if made.weights_sha256 not in names:
            raise DataError(f"{path} is of weights that no trial of the study has")
        found[names[made.weights_sha256]] = made.scores
    return found
