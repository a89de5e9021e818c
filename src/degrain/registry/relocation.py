"""A local MLflow store that was moved or copied with its project: its artifacts lie beside it.

MLflow writes the absolute address of every artifact folder into its database.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from degrain.errors import RegistryError

log = logging.getLogger(__name__)

# Where the database holds addresses of artifacts: table and column.
ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)
# What our own addresses go on with behind the folder that outlives runs.
OURS = "/mlflow/artifacts"


def relocate(database: Path, root: Path) -> None:
    """Let a local store's addresses point to the artifacts beside it; say so where any did not.

    Only addresses of artifacts that degrain keeps itself are changed, those of a server or of another store are not.

    Args:
        database: MLflow's SQLite file; need not exist.
        root: Absolute path of the folder of artifacts that belongs to it.

    Raises:
        RegistryError: The database is damaged or cannot be written.
    """
    if not database.exists():
        return
    try:
        with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
            _keep_default_here(connection, root.as_uri())
            if not _elsewhere(connection, root.as_uri()):
                return
            # NOTE: under the lock for writing, so that of two processes one finds nothing left to do.
            connection.execute("BEGIN IMMEDIATE")
            moved = sum(_move(connection, old, root.as_uri()) for old in _elsewhere(connection, root.as_uri()))
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        moved_here = "; the project was moved or copied, and the addresses in it must be changed once"
        read_only = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY  # its variants lie above
        why = f"{error}{moved_here if read_only else ''}"
        raise RegistryError(f"MLflow's store {database}: {why}") from error
    if moved:
        log.warning("the project was moved or copied: %d addresses in its MLflow store now point to %s", moved, root)


def _keep_default_here(connection: sqlite3.Connection, here: str) -> None:
    """Give the experiment that MLflow makes by itself, in the folder where it is first started, a place beside ours."""
    if not _columns(connection, "runs"):
        return
    unused = (
        "name = 'Default' AND artifact_location LIKE '%/mlruns/0' "
        "AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.experiment_id = experiments.experiment_id)"
    )
    # NOTE: looked for first, since whoever writes must be allowed to, and waits for others.
    if connection.execute(f"SELECT 1 FROM experiments WHERE {unused}").fetchone():  # noqa: S608
        connection.execute(f"UPDATE experiments SET artifact_location = ? WHERE {unused}", (f"{here}/Default",))  # noqa: S608


def _elsewhere(connection: sqlite3.Connection, here: str) -> set[str]:
    """The folders of artifacts in the database, as addresses, without this one."""
    if not _columns(connection, "experiments"):
        return set()
    known = connection.execute("SELECT name, artifact_location FROM experiments WHERE artifact_location IS NOT NULL")
    roots = {location.removesuffix(f"/{name}") for name, location in known if location.endswith(f"/{name}")}
    return {root for root in roots if root.startswith("file:") and root.endswith(OURS) and root != here}


def _move(connection: sqlite3.Connection, old: str, new: str) -> int:
    moved = 0
    for table, column in _present(connection):
        moved += connection.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608
            (new, len(old) + 1, len(old) + 1, f"{old}/"),
        ).rowcount
    return moved


def _present(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    for table, column in ADDRESSES:
        if column in _columns(connection, table):
            yield table, column


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
