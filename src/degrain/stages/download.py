"""Stage download: the data set's name -> data/raw/<dataset>/, exactly as published, with source.json."""

from __future__ import annotations

import logging

from degrain import files
from degrain.ingest.datasets import catalog
from degrain.ingest.fetching.fetch import fetch
from degrain.machine import variables
from degrain.params.study import Params
from degrain.stages import CHECKSUMS, RAW

log = logging.getLogger(__name__)


def run(params: Params) -> None:
    """Fetch the study's data set."""
    name = params.data.dataset
    dataset = catalog.spec(name)
    with files.new_folder(RAW / name) as folder:
        if dataset.download is not None:
            records = dataset.download(folder, params.data)
        else:
            records = fetch(name, dataset.files, folder, variables.downloads(), CHECKSUMS, variables.mirror())
        files.write_json(
            folder / "source.json",
            {
                "dataset": name,
                "title": dataset.title,
                "origin": dataset.origin,
                "licence": dataset.licence,
                "citation": dataset.citation,
                "files": records,
            },
        )
    log.info("%s: %s -> %s", name, dataset.title, RAW / name)
