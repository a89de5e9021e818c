"""Stage download: the data set's name -> data/raw/<dataset>/, exactly as published, with source.json."""

from __future__ import annotations

import logging

from degrain import files
from degrain.artifacts.source import SOURCE, AskedFiles, Source
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
            fetched = dataset.download(folder, params.data)
        else:
            fetched = fetch(name, dataset.files, folder, variables.downloads(), CHECKSUMS, variables.mirror())
            if dataset.unpack is not None:
                fetched = dataset.unpack(folder, fetched)
        record = Source(
            schema_version=Source.VERSION,
            asked=AskedFiles.of(params.data),
            published=dataset.published,
            title=dataset.title,
            origin=dataset.origin,
            licence=dataset.licence,
            citation=dataset.citation,
            files=fetched,
        )
        record.write(folder / SOURCE)
    log.info("%s: %s -> %s", name, dataset.title, RAW / name)
