"""The connection to MLflow: a SQLite file by default, a server when MLFLOW_TRACKING_URI names one."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from degrain import files
from degrain.errors import Deleted, OutputError, RegistryError, Unauthenticated
from degrain.machine import variables
from degrain.registry import relocation, store

if TYPE_CHECKING:
    from mlflow import MlflowClient


# Before a command of MLflow that a person is told.
ON_THE_SERVER = "MLFLOW_TRACKING_URI=$(degrain tracking-uri)"
# What a person without an account that the server accepts is told to do; MLflow's client reads these.
LOG_IN = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to a user and a password that it accepts"
# What MLflow calls the answer 401.
NOT_LET_IN = ("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED")
# Seconds that a server has for its first answer.
ANSWER_TIME = 5.0


@contextmanager
def connect() -> Iterator[MlflowClient]:
    """Open the tracking server and registry.

    Raises:
        RegistryError: It does not answer, or refuses what is asked for inside the block.
        Unauthenticated: It asks for a user and a password, or does not accept those that are set.
        OutputError: The folder of a SQLite file cannot be written.
    """
    variables.switch_off_telemetry()
    variables.quiet_mlflow()
    uri = variables.tracking_uri()
    if uri.startswith(("http://", "https://")):
        _check_server(uri)
        variables.limit_mlflow_retries()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NOTE: MLflow warns of its own dependencies' deprecations.
        with _one_line(uri):
            yield _open(uri)


@contextmanager
def _one_line(uri: str) -> Iterator[None]:
    """Turn what MLflow raises into one line.

    Raises:
        RegistryError: It has raised something.
        Unauthenticated: That is that it asks for a user and a password, or does not accept those that are set.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    # NOTE: they set their level when they are imported.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        if isinstance(error, MlflowException) and error.error_code in NOT_LET_IN:
            raise Unauthenticated(f"MLflow at {uri} asks for an account: {LOG_IN}") from error
        reason = str(error).splitlines()[0][:300]
        cause = getattr(error, "orig", None) or error.__cause__ or error
        todo = f"; {store.WAY_OUT}" if store.is_damage(cause) else ""
        raise RegistryError(f"MLflow at {uri}: {reason}{todo}") from error


def _open(uri: str) -> MlflowClient:
    """Make a client; of a SQLite file it makes or migrates the tables first, one process at a time."""
    from mlflow import MlflowClient

    file = variables.sqlite_file(uri)
    with alone(file.with_name(f"{file.name}.lock")) if file else nullcontext():
        if file:
            store.make_whole(file)
        # Only the project's own store: another one may belong to several projects, whose artifacts lie elsewhere.
        store.separate(variables.tracking_database())
        relocation.relocate(variables.tracking_database(), variables.artifact_root().resolve())
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        if file:
            client.search_experiments(max_results=1)
            client.search_registered_models(max_results=1)
    return client


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Wait until no other process holds a lock, and hold it.

    A lock file that is shared with a hard-linked copy of the project is replaced by one of its own.

    Args:
        lock: A file, which is made and stays; in a folder that cannot be written there is nothing to wait for.

    Raises:
        OutputError: It cannot be made.
    """
    held = FileLock(lock)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        while os.access(lock.parent, os.W_OK):
            before = files.inodes([lock])
            held.acquire()
            # NOTE: only who holds the shared file replaces it, and who waited for that one takes the new one.
            if not files.separate(lock) and before.keys() <= files.inodes([lock]).keys():
                break
            held.release()
    except OSError as error:
        raise OutputError(f"cannot write {lock}: {error.strerror or error}") from error
    try:
        yield
    finally:
        held.release()


def _check_server(uri: str) -> None:
    """Ask a server once whether it is there.

    Raises:
        RegistryError: It refuses, does not answer in time, or answers with an error of its own.
    """
    import httpx

    try:
        answer = httpx.get(f"{uri.rstrip('/')}/health", timeout=ANSWER_TIME, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or f"no answer within {ANSWER_TIME:g} s"
        raise RegistryError(f"MLflow at {uri} does not answer: {reason}") from error
    if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise RegistryError(f"MLflow at {uri} does not answer: HTTP {answer.status_code}")


def experiment(client: MlflowClient, name: str) -> str:
    """Return the id of an experiment, creating it when it is not there; safe when another process does the same.

    Raises:
        Deleted: It was deleted.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        local = variables.tracking_uri().startswith("sqlite:")
        root = variables.artifact_root().resolve().as_uri() if local else None
        try:
            return str(client.create_experiment(name, artifact_location=root and f"{root}/{name}"))
        except MlflowException:
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise Deleted(f"the experiment {name} was deleted in MLflow; {restore_experiment(found.experiment_id)}")
    return str(found.experiment_id)


def restore_experiment(experiment: str) -> str:
    """Return what restores a deleted experiment with its runs."""
    return f"restore it: {ON_THE_SERVER} mlflow experiments restore --experiment-id {experiment}"
