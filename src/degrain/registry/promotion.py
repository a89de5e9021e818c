"""The champion's alias, and the record of who held it."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from degrain import files
from degrain.artifacts.base import explain
from degrain.artifacts.registration import Promotion, PromotionLine
from degrain.errors import DataError, OutputError
from degrain.machine import variables
from degrain.registry import tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

ALIAS = "champion"


def current(client: MlflowClient, name: str) -> ModelVersion | None:
    """Return the version that holds the champion's alias, or None."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, ALIAS)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def versions_of(client: MlflowClient, name: str, weights: str) -> list[ModelVersion]:
    """Return the registered versions with these weights (their SHA-256), the newest first."""
    found = [one for one in client.search_model_versions(f"name = '{name}'") if tags.has_weights(one, weights)]
    return sorted(found, key=lambda version: -int(version.version))


def register(client: MlflowClient, name: str, source: str, run: str, tagged: Mapping[str, str]) -> ModelVersion:
    """Register a model version, creating the registered model when it is the first."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.create_model_version(name, source, run, tags=dict(tagged))


def promote(client: MlflowClient, name: str, version: str, record: Promotion) -> None:
    """Move the alias to a version and append that to the promotion record, which MLflow does not keep.

    Raises:
        OutputError: The record cannot be written.
    """
    client.set_registered_model_alias(name, ALIAS, version)
    _append(name, version, record)


def remember(name: str, version: str, record: Promotion) -> None:
    """Append to the promotion record that a version holds the alias, unless its last line for this model says so.

    A version of another registry, or of one that was begun anew, may have the same number.

    Raises:
        DataError: The record is damaged.
        OutputError: The record cannot be read or written.
    """
    try:
        last = _last(_text(journal()), name)
    except OSError as error:
        raise OutputError(f"cannot read {journal()}: {error.strerror}") from error
    if not last or _identity(last.version, last) != _identity(version, record):
        _append(name, version, record)


def _identity(version: str, record: Promotion) -> tuple[str, str, str]:
    return str(version), record.weights_sha256, record.tracking_uri


def _append(name: str, version: str, record: Promotion) -> None:
    """Append a line to the promotion record.

    Raises:
        DataError: The record is damaged.
        OutputError: The record cannot be written.
    """
    path = journal()
    try:
        text = _text(path)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        line = PromotionLine(at=now, model=name, version=str(version), **dict(record))
        torn = _lines(text)[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            # A line that a killed process left half-written is removed, not continued.
            file.truncate(len(text.removesuffix(torn).encode()))
            file.write(("" if torn or not text or text.endswith("\n") else "\n") + line.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def journal() -> Path:
    """Return the promotion record: a line of JSON for each time that a version got the alias."""
    return variables.home() / "promotions.jsonl"


def check_journal() -> None:
    """Refuse a promotion record that is damaged, before anything is promoted.

    Raises:
        DataError: It is damaged.
        OutputError: It cannot be read.
    """
    path = journal()
    try:
        _lines(_text(path))
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}") from error


def _text(path: Path) -> str:
    try:
        return files.contents(path).decode() if path.exists() else ""
    except UnicodeDecodeError as error:
        raise _damaged(f"it is no text in UTF-8: {error}") from error


def _last(text: str, name: str) -> PromotionLine | None:
    """The last line of a model."""
    return next((line for line in reversed(_lines(text)[0]) if line.model == name), None)


def _lines(text: str) -> tuple[list[PromotionLine], str]:
    """Read the promotion record.

    Returns:
        Its lines, and what a killed process has left of one at the end.

    Raises:
        DataError: A line is no entry.
    """
    *whole, rest = text.split("\n")
    found = [_line(line, number) for number, line in enumerate(whole, 1) if line]
    if rest.startswith("{") and not _is_json(rest):
        return found, rest
    return [*found, *([_line(rest, len(whole) + 1)] if rest else [])], ""


def _line(line: str, number: int) -> PromotionLine:
    try:
        return PromotionLine.model_validate(files.parse_json(line))
    except ValidationError as error:
        raise _damaged(f"line {number} is no promotion: {explain(error)}") from None
    except ValueError as error:
        raise _damaged(f"line {number} is no JSON: {error}") from None


def _is_json(line: str) -> bool:
    try:
        files.parse_json(line)
    except ValueError:
        return False
    return True


def _damaged(reason: str) -> DataError:
    return DataError(f"{journal()} is damaged ({reason}); mend it, or move it away: a new one is begun")
