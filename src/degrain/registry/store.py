"""MLflow's SQLite file, made and migrated beside its place: a kill or a full disk leaves what was there, or nothing.

MLflow makes its tables in some sixty steps, none of which it can repeat.
"""

from __future__ import annotations

import importlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from degrain import files
from degrain.errors import RegistryError
from degrain.machine import variables

log = logging.getLogger(__name__)

# Tables that hold something once anything has been published.
_FILLED = ("runs", "registered_models", "logged_models")
# What SQLite calls a file that is damaged, and one that is none of its own.
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
WAY_OUT = "restore a backup of it, or move it away and register the last study again: dvc repro -f -s register"

_MIGRATED = "MLflow's store %s was migrated; restart what has it open, such as mlflow ui"
_MADE_ANEW = (
    "MLflow's store %s was empty, and is made anew with nothing in it; restore a backup of it, or register the last "
    "study again: dvc repro -f -s register"
)


def make_whole(file: Path) -> None:
    """Make a store that is not there; migrate one of an older MLflow.

    Nobody else may do so at the same time. Who has an older store open, such as `mlflow ui`, must be restarted.

    Args:
        file: The SQLite file.

    Raises:
        RegistryError: It is half-made, of a newer MLflow, damaged, or cannot be made or migrated.
        OutputError: Its folder cannot be written.
    """
    file = file.resolve()
    with _errors_of(file):
        if not file.exists():
            with files.new_file(file, replace=False) as partial:
                _migrate(partial)
        elif _revision(file) != _newest():
            told = _MADE_ANEW if _is_blank(file) else _MIGRATED
            with replaced(file) as copy:
                _migrate(copy)
            log.warning(told, file)


def separate(file: Path) -> None:
    """Give a store that has several names, as `cp -al` makes them, bytes of its own.

    Nobody else may do so at the same time. Who has it open, such as `mlflow ui`, must be restarted.

    Args:
        file: The SQLite file; need not exist.

    Raises:
        RegistryError: It is damaged, or somebody is writing to it for a minute.
        OutputError: Its folder cannot be written.
    """
    file = file.resolve()
    if not file.exists() or file.stat().st_nlink == 1 or not os.access(file.parent, os.W_OK):
        return
    with _errors_of(file), replaced(file):
        pass
    log.warning(
        "MLflow's store %s was shared by hard links and is now a file of its own; restart what has it open", file
    )


@contextmanager
def replaced(file: Path) -> Iterator[Path]:
    """Copy a store, and put the copy in its place after the block; nobody can write to the store meanwhile.

    Args:
        file: The SQLite file, no link.

    Yields:
        Path of the copy.

    Raises:
        sqlite3.Error: It is damaged, or somebody is writing to it for a minute.
        OutputError: Its folder cannot be written.
    """
    with closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as connection, files.new_file(file) as copy:
        # NOTE: what a write-ahead log beside it holds would be applied to the copy.
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("BEGIN IMMEDIATE")
        # NOTE: SQLite copies nothing from a connection that may write.
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        yield copy
    _forget(file)


@contextmanager
def _errors_of(file: Path) -> Iterator[None]:
    """Say in one line why a store cannot be used.

    Raises:
        RegistryError: SQLite, SQLAlchemy, Alembic or MLflow has raised something.
    """
    from alembic.util.exc import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (sqlite3.Error, SQLAlchemyError, CommandError, MlflowException) as error:
        cause = getattr(error, "orig", None) or error
        raise RegistryError(f"MLflow's store {file}: {_explained(file, cause)}") from error


def _explained(file: Path, cause: BaseException) -> str:
    reason = str(cause).splitlines()[0][:300]
    if is_damage(cause):
        return f"{reason}; {WAY_OUT}"
    # NOTE: a full disk, a lock or damage has another number, and says nothing about what the store holds.
    if isinstance(cause, sqlite3.Error) and getattr(cause, "sqlite_errorcode", 0) != sqlite3.SQLITE_ERROR:
        return reason
    try:
        empty, revision = file.exists() and _is_empty(file), file.exists() and _revision(file)
    except sqlite3.Error:
        return reason
    if "Can't locate revision" in reason:
        return f"it was made by a newer MLflow (its tables are those of {revision}); install that one"
    if empty:
        return f"it is half-made, and nothing is published in it: remove it, and it is made anew ({reason})"
    return reason


def is_damage(cause: BaseException) -> bool:
    """Tell whether SQLite has refused a file for what it holds."""
    # NOTE: the lowest byte is the kind of error, the others say more of it.
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF in DAMAGED


def _is_empty(file: Path) -> bool:
    """Tell whether nothing has ever been published in a store."""
    with closing(sqlite3.connect(file, timeout=60)) as connection:
        there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        held = (
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            for table in _FILLED
            if table in there
        )
        return bool(there) and not any(held)


def _is_blank(file: Path) -> bool:
    """Tell whether a store has no tables at all, as a file that was emptied."""
    with closing(sqlite3.connect(file, timeout=60)) as connection:
        return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


def _revision(file: Path) -> str | None:
    """The version of a store's tables; None where it has none."""
    with closing(sqlite3.connect(file, timeout=60)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(row[0]) if row else None


def _newest() -> str:
    """The version of the tables of the MLflow that is installed."""
    return str(_tools()._get_latest_schema_revision())


def _tools() -> Any:
    """MLflow's own, untyped, behind `mlflow db upgrade`."""
    return importlib.import_module("mlflow.store.db.utils")


def _migrate(file: Path) -> None:
    """Bring a store's tables to the present version, from nothing or from an older one."""
    utils = _tools()
    engine = utils.create_sqlalchemy_engine(variables.sqlite_uri(file))
    try:
        if utils._is_empty_database(engine):
            utils._initialize_tables(engine)
        else:
            utils._upgrade_db(engine)
    finally:
        engine.dispose()


def _forget(file: Path) -> None:
    """Have MLflow's stores of this process open a file anew; they keep what they have opened."""
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Models
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Runs

    for kind in (Runs, Models):
        for uri, engine in kind._engine_map.items():
            held = variables.sqlite_file(uri)
            if held and held.resolve() == file:
                engine.dispose()
