"""What a report is made of."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from degrain.artifacts.ranking import Ranking
from degrain.artifacts.registration import Verdict
from degrain.artifacts.report import Shown
from degrain.artifacts.scores import Conditions
from degrain.artifacts.trial import TrialRecord
from degrain.artifacts.validation import Validation
from degrain.evaluation import gate, results
from degrain.ingest.datasets import manifest
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.report import published, shown
from degrain.report.data_docs import links
from degrain.snapshots import Snapshot
from degrain.trials import of_study


@dataclass(frozen=True)
class Material:
    """Everything the report is made of.

    Attributes:
        title: Of the study.
        params: The study.
        ranking: What evaluate wrote.
        histories: For each trial, its history.
        trials: All of them, by name.
        manifest: One row per image.
        validation: What validate wrote.
        store: What prepare wrote.
        sides: One row per image that was used: path, source, side.
        near_copies: Folder with the pictures of pairs that validate wrote.
        examples: Folder with the pictures that evaluate wrote.
        gate: How the champion stands to the noisy input and the classical denoisers; register compares it with the
            registry's champion, too.
        docs: For each suite the address of its page in the Data Docs, relative to the report.
        shown: What it shows besides what it measured: the settings, by section, and the digests of its inputs.
        measured: Where the scores were measured, and with which libraries.
        date: Of the report, in UTC.
        published: A paper's own curves, see `degrain.figures.learning_curves`; may be empty.
        checked: What was held against records, and is read again while the report is made.
    """

    title: str
    params: Params
    ranking: Ranking
    histories: dict[str, pd.DataFrame]
    trials: dict[str, TrialRecord]
    manifest: pd.DataFrame
    validation: Validation
    store: PatchStore
    sides: pd.DataFrame
    near_copies: Path
    examples: Path
    gate: list[Verdict]
    docs: dict[str, str]
    shown: Shown
    measured: Conditions
    date: str
    published: dict[str, list[float]]
    checked: tuple[Snapshot, ...] = ()


def gather(
    params: Params, validated: Path, prepared: Path, trials: Path, evaluated: Path, data_docs: Path, report: Path
) -> Material:
    """Read everything that the stages before have left.

    Args:
        params: The study.
        validated, prepared, trials, evaluated, data_docs: What each of them left.
        report: Where the report is to be, for links to the Data Docs.

    Raises:
        DataError: Something is missing, damaged, or was made of something else; the text names the stage to run.
    """
    known, validation = manifest.read(validated, params)
    store = PatchStore.open(prepared, params)
    store.check_manifest(validation.manifest_sha256)
    found = {trial.name: trial for trial in of_study.read(trials, params, store)}
    left = results.read(evaluated, found, store, params)
    examples = results.examples(evaluated, left.ranking)
    pairs = manifest.pictures(validated, validation)
    return Material(
        title=params.study.title,
        params=params,
        ranking=left.ranking,
        histories=of_study.histories(trials, found.values()),
        trials=found,
        manifest=known,
        validation=validation,
        store=store,
        sides=store.images(),
        near_copies=pairs.folder,
        examples=examples.folder,
        gate=gate.of_trial(left.ranking.champion, left.table, left.ranking, params.register_.gate),
        docs=links(data_docs, validation, report),
        shown=shown.of(params, validation, store, list(found.values()), left.ranking),
        measured=left.scores.conditions,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        published=published.read(params.report.published),
        checked=(examples, pairs, store.files),
    )
