"""A data set as download left it, held against its record before anything reads it."""

from __future__ import annotations

from pathlib import Path

from degrain.artifacts.source import Source
from degrain.errors import DataError
from degrain.ingest.datasets import catalog
from degrain.params.data import DataParams


def read(folder: Path, params: DataParams) -> Source:
    """Read the record of a data set.

    Args:
        folder: Of the data set.
        params: The section `data` of the study.

    Raises:
        DataError: The record is missing or damaged, or other files were downloaded than the study or the catalog asks
            for; the text says what to run.
    """
    record = Source.of_study(folder, params)
    if record.published != catalog.spec(params.dataset).published:
        raise DataError(f"{folder} holds other files than the catalog has of {params.dataset} now; {Source.again()}")
    return record
