"""Stage report: everything the stages before left -> figures, and one self-contained HTML file."""

from __future__ import annotations

import datetime
import json
import logging
from pathlib import Path

import pandas as pd

from degrain import files
from degrain.errors import DataError
from degrain.evaluation import results
from degrain.ingest.datasets import manifest
from degrain.machine import description, variables
from degrain.params.study import Params
from degrain.patches.store import IMAGES, STORE, PatchStore
from degrain.report import gallery, html
from degrain.report.material import Material
from degrain.stages import DATA_DOCS, EVALUATED, FIGURES, PREPARED, REPORT, TRIALS, VALIDATED
from degrain.trials import of_study
from degrain.trials.records import read_histories

log = logging.getLogger(__name__)


def run(params: Params) -> None:
    """Draw the figures and write the report."""
    store = PatchStore.open(PREPARED)
    store.check(params.prepare)
    trials = {trial["name"]: trial for trial in of_study.read(TRIALS, params, store)}
    known, validation = manifest.read(VALIDATED)
    _, ranked = results.read(EVALUATED, trials, store)
    material = Material(
        title=params.study.title,
        params=params.model_dump(mode="json", by_alias=True),
        ranking=ranked,
        histories=read_histories(TRIALS, trials.values()),
        trials=trials,
        manifest=known,
        validation=validation.model_dump(),
        store=files.read_json(PREPARED / STORE),
        sides=pd.read_parquet(PREPARED / IMAGES),
        examples=EVALUATED / "examples",
        docs={
            page.parts[-4]: page.relative_to(REPORT.parent).as_posix()
            for page in sorted(DATA_DOCS.glob("validations/*/*/*/*.html"))
        },
        machine=description.describe_machine(),
        versions=description.versions(),
        made={
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "commit": description.git_commit(),
        },
        published=published(params.report.published),
    )
    drawn = gallery.draw(material)
    with files.new_folder(FIGURES) as folder:
        for name, picture in drawn.items():
            (folder / name).write_bytes(picture)
    with files.new_file(REPORT) as partial:
        partial.write_text(html.render(material, drawn), encoding="utf-8")
    log.info("%s, %.1f MB", REPORT, REPORT.stat().st_size / 1e6)


def published(name: str) -> dict[str, list[float]]:
    """Read a paper's curves.

    Args:
        name: A file of the mirror, JSON: {"Adam MSE": {"val": [loss after each epoch]}}; "" is none.

    Returns:
        By optimizer and loss in lower case, the validation loss after each epoch; empty where no mirror has the file.

    Raises:
        DataError: The file holds something else.
    """
    if not name:
        return {}
    mirror = variables.mirror()
    path = Path(mirror or "") / name
    if not mirror or not path.is_file():
        log.info("%s is in no mirror (DEGRAIN_MIRROR): the published curves are left out", name)
        return {}
    try:
        curves = json.loads(path.read_text(encoding="utf-8"))
        return {pair.lower(): [float(value) for value in curve["val"]] for pair, curve in curves.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} holds no curves by optimizer and loss: {error}") from error
