"""The versions of a registered model, and which of them holds an alias."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from degrain.registry import tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

# The version that others use, the one that was it before, and the last one that the gate has refused.
CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"
# What to do where nothing holds it. DVC takes a study for registered even after the registry was lost.
HOW_TO_REGISTER = "run dvc repro, or, where the study has been run, dvc repro -f -s register"


def current(client: MlflowClient, name: str, alias: str = CHAMPION) -> ModelVersion | None:
    """Return the version that holds an alias, or None."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def number(version: ModelVersion | None) -> str | None:
    """Return the number of a version as text, which MLflow gives as text or not; None of none."""
    return None if version is None else str(version.version)


def versions_of(client: MlflowClient, name: str, weights: str) -> list[ModelVersion]:
    """Return the registered versions with these weights (their SHA-256), the newest first."""
    found = [one for one in client.search_model_versions(f"name = '{name}'") if tags.has_weights(one, weights)]
    return sorted(found, key=lambda version: -int(version.version))


def register(
    client: MlflowClient,
    name: str,
    source: str,
    run: str,
    tagged: Mapping[str, str],
    description: str = "",
    about: str = "",
) -> ModelVersion:
    """Register a model version, creating the registered model when it is the first.

    Args:
        client: The connection.
        name: Of the registered model.
        source: Address of its files.
        run: Id of the run that made it.
        tagged: Its tags.
        description: In Markdown.
        about: Description of the registered model, which it gets when it is created.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description=about or None)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.create_model_version(name, source, run, tags=dict(tagged), description=description)
