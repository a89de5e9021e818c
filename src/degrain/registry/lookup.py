"""Who the champion is, asked of the store itself: importing MLflow takes longer than denoising a photograph.

Nothing here is believed by itself: `degrain.registry.kept` believes it where it has given what MLflow gives, and holds
the model against the tags.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from degrain.errors import Unreachable
from degrain.machine import variables
from degrain.registry import aliases

# Seconds that a server has for its answer, and that somebody may be writing to a SQLite file.
ANSWER_TIME = 5.0
# What stands for the version of the tables where a server answers.
SERVER = "REST 2.0"
# How MLflow marks a version that was deleted.
_DELETED = "Deleted_Internal"
_HOLDER = """
SELECT held.workspace, held.version FROM registered_model_aliases AS held
JOIN model_versions AS one ON (one.workspace, one.name, one.version) = (held.workspace, held.name, held.version)
WHERE held.name = ? AND held.alias = ? AND one.current_stage != ?
"""
_TAGS = "SELECT key, value FROM model_version_tags WHERE workspace = ? AND name = ? AND version = ?"


@dataclass(frozen=True)
class Holder:
    """The version that has the champion's alias.

    Attributes:
        name: Of the registered model.
        version: Its number.
        tags: Its tags.
        tables: Which version of MLflow's tables it was read from, or `SERVER`.
    """

    name: str
    version: str
    tags: Mapping[str, str]
    tables: str


def champion(name: str, uri: str) -> Holder | None:
    """Ask which version of a registered model is the champion now.

    Args:
        name: Of the registered model.
        uri: Of the tracking server, see `degrain.machine.variables.tracking_uri`.

    Returns:
        The version; None where only MLflow can tell: there is no champion, the store is of another kind, is being
        written to, has tables of another shape, or wants a password.

    Raises:
        Unreachable: The server does not answer, or has an error of its own.
    """
    if file := variables.sqlite_file(uri):
        return _in_file(file, name)
    return _at_server(uri, name) if uri.startswith(("http://", "https://")) else None


def _in_file(file: Path, name: str) -> Holder | None:
    try:
        # NOTE: read-only, so that nothing is made where there is no store.
        uri = f"file:{quote(os.fsencode(file.absolute()))}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=ANSWER_TIME, isolation_level=None)) as connection:
            connection.execute("BEGIN")  # one state of the file for all that follows
            ((tables,),) = connection.execute("SELECT version_num FROM alembic_version").fetchall()
            ((workspace, version),) = connection.execute(_HOLDER, (name, aliases.CHAMPION, _DELETED)).fetchall()
            tagged = connection.execute(_TAGS, (workspace, name, version)).fetchall()
    except (sqlite3.Error, ValueError):
        return None
    return Holder(name, str(version), {str(key): str(value) for key, value in tagged}, str(tables))


def _at_server(uri: str, name: str) -> Holder | None:
    import httpx

    address = f"{uri.rstrip('/')}/api/2.0/mlflow/registered-models/alias"
    asked = {"name": name, "alias": aliases.CHAMPION}
    try:
        answer = httpx.get(address, params=asked, timeout=ANSWER_TIME, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or f"no answer within {ANSWER_TIME:g} s"
        raise Unreachable(f"MLflow at {uri} does not answer: {reason}") from error
    if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise Unreachable(f"MLflow at {uri} does not answer: HTTP {answer.status_code}")
    if answer.status_code != httpx.codes.OK:
        return None
    try:
        return _of_answer(answer.json(), name)
    except (ValueError, TypeError, KeyError):
        return None


def _of_answer(content: Any, name: str) -> Holder | None:
    """Read the answer of a server.

    Raises:
        TypeError: It is of another shape.
        KeyError: The same.
    """
    found = content["model_version"]
    if found["name"] != name:
        return None
    tagged = {str(tag["key"]): str(tag["value"]) for tag in found.get("tags", [])}
    return Holder(name, str(found["version"]), tagged, SERVER)
