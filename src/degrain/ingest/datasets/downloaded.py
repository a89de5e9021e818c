"""A data set as download left it, held against its record before anything reads it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from degrain import console, parallel
from degrain.artifacts.code import Code
from degrain.artifacts.source import SOURCE, RawFile, Source
from degrain.errors import DataError
from degrain.ingest.datasets import catalog
from degrain.ingest.datasets.spec import DatasetSpec
from degrain.ingest.formats import folders
from degrain.machine import compute
from degrain.params.data import DataParams
from degrain.snapshots import Checked, Snapshot

log = logging.getLogger(__name__)

# What makes a manifest of any data set, and judges it.
JUDGES = tuple(f"degrain.ingest.datasets.{name}" for name in ("manifest", "listing", "expectations", "judgement"))
# Other files that a message names at most.
NAMED = 3


def read(folder: Path, params: DataParams) -> tuple[Source, Snapshot]:
    """Read the record of a data set, and every byte of its files.

    Args:
        folder: Of the data set.
        params: The section `data` of the study.

    Returns:
        The record, and the files as they are now.

    Raises:
        DataError: The record is missing or damaged, other files were downloaded than the study or the catalog asks for,
            or the folder does not hold what was downloaded; the text names the file and says what to run.
    """
    record = Source.of_study(folder, params)
    if record.published != catalog.spec(params.dataset).published:
        raise DataError(f"{folder} holds other files than the catalog has of {params.dataset} now; {Source.again()}")
    return record, _held(folder, record)


def check(folder: Path) -> None:
    """Refuse files that are not what was downloaded, whatever they were downloaded for.

    Args:
        folder: Of a data set, with its record.

    Raises:
        DataError: As of `read`.
    """
    _held(folder, Source.read(folder / SOURCE))


def _held(folder: Path, record: Source) -> Snapshot:
    """Hold what lies in a folder against its record."""
    _refuse_others(folder, record)
    return _checked(folder, record)


def code(dataset: DatasetSpec) -> Code:
    """Describe the code that lists, describes and judges the images of a data set."""
    return Code.of(*JUDGES, dataset.images.__module__)


def _refuse_others(folder: Path, record: Source) -> None:
    """Refuse files that were not downloaded; hidden ones and what systems put beside images are left out, and said."""
    known = {SOURCE, *(file.file for file in record.files)}
    there = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    others = sorted(path for path in there if path.as_posix() not in known)
    unknown = [path.as_posix() for path in others if not any(map(folders.is_companion, path.parts))]
    if unknown:
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        raise DataError(
            f"{folder} holds files that were not downloaded: {', '.join(unknown[:NAMED])}{more}; remove them, or "
            f"{Source.again('-f -s')}"
        )
    if others:
        log.warning("%s: left out: %d %s", folder, len(others), folders.HIDDEN)


def _checked(folder: Path, record: Source) -> Snapshot:
    """Read every file, on all cores, and hold it against its record."""
    for file in record.files:
        _check_size(folder, file)
    total, lock, done = sum(file.bytes for file in record.files), threading.Lock(), 0
    with console.transfer(f"checking {folder}", total) as show:
        show(0, total)

        def add(count: int) -> None:
            nonlocal done
            with lock:
                done += count
                show(done, total)

        def check(file: RawFile) -> Checked:
            return _check(folder, file, add)

        found = list(parallel.ordered(check, record.files, compute.threads()))
    again = Source.again("-f -s")
    return Snapshot(folder, again, {file.file: one for file, one in zip(record.files, found, strict=True)})


def _check_size(folder: Path, file: RawFile) -> None:
    path = folder / file.file
    if not path.is_file():
        raise DataError(f"{path} is {'no file' if path.exists() else 'missing'}; {Source.again('-f -s')}")
    if (size := path.stat().st_size) != file.bytes:
        raise DataError(f"{path} has {size} bytes, not the {file.bytes} that were downloaded; {Source.again('-f -s')}")


def _check(folder: Path, file: RawFile, progress: Callable[[int], None]) -> Checked:
    path = folder / file.file
    try:
        found = Checked.read(path, progress)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; {Source.again('-f -s')}") from error
    if found.sha256 != file.sha256:
        raise DataError(f"{path} is not what was downloaded: its SHA-256 is another; {Source.again('-f -s')}")
    return found
