"""Stage report: everything the stages before left -> one self-contained HTML file."""

from __future__ import annotations

import datetime
import logging

import pandas as pd

from degrain import environment, files
from degrain.datasets import manifest
from degrain.images.store import IMAGES, STORE
from degrain.params import Params
from degrain.report import html
from degrain.stages import DATA_DOCS, EVALUATED, MANIFEST, PREPARED, REPORT, TRIALS, VALIDATION
from degrain.trials.records import read_histories, read_trials

log = logging.getLogger(__name__)


def run(params: Params) -> None:
    """Write the report."""
    trials = {trial["name"]: trial for trial in read_trials(TRIALS, params.train.models)}
    material = html.Material(
        title=params.study.title,
        params=params.model_dump(mode="json", by_alias=True),
        ranking=files.read_json(EVALUATED / "ranking.json"),
        histories=read_histories(TRIALS, trials.values()),
        trials=trials,
        manifest=manifest.read(MANIFEST),
        validation=files.read_json(VALIDATION),
        store=files.read_json(PREPARED / STORE),
        sides=pd.read_parquet(PREPARED / IMAGES),
        examples=EVALUATED / "examples",
        docs={
            page.parts[-4]: page.relative_to(REPORT.parent).as_posix()
            for page in sorted(DATA_DOCS.glob("validations/*/*/*/*.html"))
        },
        machine=environment.describe_machine(),
        versions=environment.versions(),
        made={
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "commit": environment.git_commit(),
        },
    )
    with files.new_file(REPORT) as partial:
        partial.write_text(html.render(material), encoding="utf-8")
    log.info("%s, %.1f MB", REPORT, REPORT.stat().st_size / 1e6)
