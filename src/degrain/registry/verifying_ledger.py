"""Whether the ledger is whole, and holds the weights that are registered under its keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from degrain import console, files
from degrain.artifacts.trial import TRIAL, TrialRecord
from degrain.errors import DataError, VersionMismatch
from degrain.registry import tags
from degrain.registry.checks import Check, Finding
from degrain.trials.ledger import Ledger

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


def whole(versions: Sequence[ModelVersion]) -> Check:
    """Entries of the ledger are whole, and have the weights that are registered under their keys."""
    ledger = Ledger()
    known = {str(version.tags.get(tags.KEY)): version for version in versions}
    folders = sorted(path for path in ledger.folder.glob("*") if path.is_dir() and not path.suffix)
    found, older = [], 0
    with console.progress("trials", len(folders)) as advance:
        for folder in folders:
            advance()
            try:
                entry = TrialRecord.read(folder / TRIAL)
            except VersionMismatch:
                older += 1
                continue
            except DataError as error:
                found.append(Finding(str(error), f"remove {folder}; the trial is trained again when it is asked for"))
                continue
            found += _entry_problems(folder, entry, known.get(entry.key))
    told = f", {older} of another version of degrain left out" if older else ""
    return Check(f"ledger entries are whole and agree with registered versions{told}", len(folders), tuple(found))


def _entry_problems(folder: Path, entry: TrialRecord, version: ModelVersion | None) -> Iterator[Finding]:
    again = f"remove {folder}; the trial is trained again when it is asked for"
    if entry.key != folder.name:
        yield Finding(f"the ledger holds trial {entry.key} as {folder.name}", again)
    for name, sha256 in entry.sha256.items():
        if not (folder / name).is_file() or files.sha256(folder / name) != sha256:
            yield Finding(f"{name} of {entry.name} in the ledger ({folder.name}) is missing or was changed", again)
    if version is not None and not tags.has_weights(version, str(entry.weights_sha256)):
        yield Finding(
            f"{entry.name} has other weights in the ledger than {tags.what(version)}, under the same key {entry.key}",
            f"find out which can be trained again: degrain rebuild models:/{version.name}/{version.version}",
        )
