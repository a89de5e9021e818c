"""Stage download: the data set's name -> data/raw/<dataset>/, exactly as published, with source.json."""

from __future__ import annotations

import logging

from degrain.datasets import catalog
from degrain.params import Params
from degrain.stages import RAW

log = logging.getLogger(__name__)


def run(params: Params) -> None:
    """Fetch the study's data set."""
    name = params.data.dataset
    dataset = catalog.spec(name)
    dataset.download(RAW / name)
    log.info("%s: %s -> %s", name, dataset.title, RAW / name)
