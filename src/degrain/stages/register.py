"""Stage register: trials and ranking -> a packaged model, MLflow runs, a registered version, the champion's alias."""

from __future__ import annotations

import logging
from pathlib import Path

from degrain import extras, files
from degrain.artifacts.metrics import Metrics
from degrain.artifacts.report import ReportRecord
from degrain.artifacts.source import Source
from degrain.artifacts.validation import VALIDATION, Validation
from degrain.evaluation import gate, results, summary
from degrain.packaging import package
from degrain.packaging.card import Facts
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.registry import decision, origin, publishing, registering, tags
from degrain.report import shown
from degrain.snapshots import Snapshot
from degrain.stages import (
    CHAMPION,
    EVALUATED,
    FIGURES,
    METRICS,
    PARAMS,
    PREPARED,
    PROMOTIONS,
    RAW,
    REGISTRATION,
    REPORT,
    REPORT_RECORD,
    RESULTS,
    TRIALS,
    VALIDATED,
)
from degrain.studies import outlook
from degrain.trials import of_study

log = logging.getLogger(__name__)


def run(params: Params) -> None:
    """Package the best trial, publish every trial, then promote the best one if it passes the gate."""
    extras.require("mlflow", "onnxruntime")
    store = PatchStore.open(PREPARED, params)
    validation = Validation.read(VALIDATED / VALIDATION)
    store.check_manifest(validation.manifest_sha256)
    trials = {trial.name: trial for trial in of_study.read(TRIALS, params, store)}
    published = Snapshot.take(RESULTS, "run: dvc repro register", _published())
    left = results.read(EVALUATED, trials, store, params)
    means = summary.summarize(left.table)
    Metrics.check(METRICS, Metrics.of(left.ranking, means))
    present = shown.of(params, validation, store, list(trials.values()), left.ranking)
    ReportRecord.check(REPORT_RECORD, present, REPORT, FIGURES)
    pictures = results.examples(EVALUATED, left.ranking)
    source = Source.of_study(RAW / params.data.dataset, params.data)
    grid = publishing.Grid(
        study=params.study.name,
        title=params.study.title,
        trials=trials,
        histories=of_study.histories(TRIALS, trials.values()),
        scores={name: means[name] for name in trials if name in means},
        ranking=left.ranking,
        tags={tags.DATA: store.sha256},
        artifacts=(METRICS, REPORT),
        figures=FIGURES,
        pictures=pictures.folder / "patches",
        dataset=params.data.dataset,
        prepared=PREPARED,
        counts=store.counts,
        made_of=origin.of_study(params, PARAMS, Path("dvc.lock"), source),
        checked=(published, pictures, store.files),
    )
    best = trials[left.ranking.champion]
    of_study.check_weights(TRIALS, [best])
    facts = Facts(
        study=params.study.title,
        trial=best,
        scores=means[best.name],
        identity=left.ranking.identity,
        baselines=left.ranking.baseline_scores,
        verdicts=gate.of_trial(best.name, left.table, left.ranking, params.register_.gate),
        source=source,
        shrink=store.record.params.shrink,
    )
    package.write(CHAMPION, best.folder(TRIALS), facts, pictures.folder / "photographs")
    made = registering.register(grid, params, store, CHAMPION, left, PROMOTIONS)
    made.write(REGISTRATION)
    for line in decision.comparisons(made):
        log.info("%s", line)
    log.log(logging.WARNING if made.refused or made.unusable else logging.INFO, "%s", decision.conclusion(made))
    if not made.is_champion and made.before is None:
        log.warning("%s: %s", best.name, outlook.advice(grid.histories[best.name], params))


def _published() -> list[Path]:
    """What is there of the results that are published; what is not is refused by name when its record is read."""
    return [path for path in (METRICS, REPORT, *files.tree(FIGURES)) if path.is_file()]
