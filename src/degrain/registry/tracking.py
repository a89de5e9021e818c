"""The connection to MLflow: a SQLite file by default, a server when MLFLOW_TRACKING_URI names one."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from degrain.errors import RegistryError
from degrain.machine import variables
from degrain.registry import relocation

if TYPE_CHECKING:
    from mlflow import MlflowClient


# Seconds that a server has for its first answer.
ANSWER_TIME = 5.0


@contextmanager
def connect() -> Iterator[MlflowClient]:
    """Open the tracking server and registry.

    Raises:
        RegistryError: It does not answer, or refuses what is asked for inside the block.
    """
    variables.switch_off_telemetry()
    uri = variables.tracking_uri()
    if uri.startswith(("http://", "https://")):
        _check_server(uri)
        variables.limit_mlflow_retries()
    if file := variables.sqlite_file(uri):
        file.parent.mkdir(parents=True, exist_ok=True)
    # Only the project's own store: another one may belong to several projects, whose artifacts lie elsewhere.
    relocation.relocate(variables.tracking_database(), variables.artifact_root().resolve())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NOTE: MLflow warns of its own dependencies' deprecations.
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        # NOTE: they set their level when they are imported.
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            yield MlflowClient(tracking_uri=uri, registry_uri=uri)
        except (MlflowException, SQLAlchemyError) as error:
            reason = str(error).splitlines()[0][:300]
            raise RegistryError(f"MLflow at {uri}: {reason}") from error


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
    """Return the id of an experiment, creating it when it is not there; safe when another process does the same."""
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
    return str(found.experiment_id)
