"""The journal of promotions: which version held the champion's alias since when, who moved it, and why.

MLflow forgets where an alias was. So each move is a tag of the registered model, under a number of its own;
results/promotions.jsonl is a copy of them.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from degrain import files
from degrain.artifacts.base import explain
from degrain.artifacts.registration import Promotion
from degrain.errors import RegistryError
from degrain.registry import tags, turns

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

PREFIX = "degrain.promotion."
_NUMBERED = re.compile(rf"{re.escape(PREFIX)}(\d{{6}})")
# The longest reason, in characters: an entry is a tag, and PostgreSQL takes 5,000.
REASON = 2000


def read(client: MlflowClient, model: str) -> list[Promotion]:
    """Return the promotions of a registered model, oldest first.

    Raises:
        RegistryError: One was changed into something else.
    """
    return read_all(client, model)[0]


def read_all(client: MlflowClient, model: str) -> tuple[list[Promotion], Promotion | None]:
    """Return the promotions, oldest first, and the one that was begun and not marked as done, if there is one.

    Raises:
        RegistryError: One was changed into something else.
    """
    entries = [entry for _, entry in _entries(client, model)]
    return [entry for entry in entries if entry.done], next((entry for entry in entries if not entry.done), None)


def begin(client: MlflowClient, version: ModelVersion, before: str | None, reason: str) -> None:
    """Write down that the champion's alias is about to move; `settle` says that it has.

    Args:
        client: The connection; the turn is ours, see `degrain.registry.turns`, and what was begun before is settled.
        version: What gets it.
        before: Number of the version that has it, if one has.
        reason: Why; cut off where the registry takes no more.
    """
    entries = _entries(client, version.name)
    # One that was begun and broken off has not happened, and its number is free.
    number = entries[-1][0] + entries[-1][1].done if entries else 1
    entry = Promotion(
        at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        who=turns.who(),
        model=version.name,
        before=before,
        version=str(version.version),
        weights_sha256=tags.weights(version),
        data_sha256=version.tags.get(tags.DATA, ""),
        scores=tags.scores(version),
        reason=tags.cut(reason, REASON),
        done=False,
    )
    _write(client, number, entry)


def settle(client: MlflowClient, model: str, holder: str | None) -> Promotion | None:
    """Mark what was begun as done if the alias has moved.

    Args:
        client: The connection; the turn is ours.
        model: The registered model's name.
        holder: Number of the version that has the alias, if one has.

    Returns:
        What was marked, if something was.
    """
    entries = _entries(client, model)
    if not entries or entries[-1][1].done or entries[-1][1].version != holder:
        return None
    number, entry = entries[-1]
    _write(client, number, entry.model_copy(update={"done": True}))
    return entry


def copy(entries: Sequence[Promotion], path: Path) -> None:
    """Write the journal into a file, a line of JSON for each promotion, oldest first.

    Raises:
        OutputError: It cannot be written.
    """
    with files.new_file(path) as partial:
        partial.write_text("".join(f"{entry.model_dump_json()}\n" for entry in entries), encoding="utf-8")


def _write(client: MlflowClient, number: int, entry: Promotion) -> None:
    client.set_registered_model_tag(entry.model, f"{PREFIX}{number:06}", entry.model_dump_json())


def _entries(client: MlflowClient, model: str) -> list[tuple[int, Promotion]]:
    """All entries, by number.

    Raises:
        RegistryError: One was changed into something else.
    """
    written = client.get_registered_model(model).tags
    numbered = {name: _NUMBERED.fullmatch(name) for name in written}
    return sorted((int(match[1]), _entry(model, name, str(written[name]))) for name, match in numbered.items() if match)


def _entry(model: str, tag: str, text: str) -> Promotion:
    try:
        return Promotion.model_validate(files.parse_json(text))
    except ValidationError as error:
        reason = explain(error)
    except ValueError as error:
        reason = f"it is no JSON: {error}"
    raise RegistryError(f"the tag {tag} of {model} is no promotion ({reason}); mend or remove it")
