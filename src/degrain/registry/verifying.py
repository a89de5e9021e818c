"""Whether registry, journal, runs, ledger, DVC and git still say the same; nothing is changed.

Each check is a function that returns what it looked at and what does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from degrain.errors import RegistryError
from degrain.machine import variables
from degrain.registry import (
    aliases,
    registered,
    tracking,
    verifying_data,
    verifying_journal,
    verifying_ledger,
    verifying_runs,
)
from degrain.registry.checks import Check, Finding

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True)
class Left:
    """What the project's own study has left, by path in the project.

    Attributes:
        prepared: The patch store.
        registration: The record of the last registration.
        promotions: The copy of the journal.
    """

    prepared: Path
    registration: Path
    promotions: Path


def verify(name: str, project: Path, left: Left | None) -> list[Check]:
    """Hold everything that is known of a registered model against each other.

    Args:
        name: Of the registered model.
        project: The project's folder.
        left: What its study has left; None where the model is that of another study.

    Raises:
        RegistryError: There is no registry, it does not answer, or it has no such model.
        DataError: dvc.lock or dvc.yaml cannot be read.
        OutputError: git or DVC does not work here.
    """
    store = variables.sqlite_file(variables.tracking_uri())
    if store and not store.exists():
        raise RegistryError(f"there is no registry, {store} is missing: {aliases.HOW_TO_REGISTER}")
    with tracking.connect() as client:
        _require_model(client, name)
        versions = sorted(client.search_model_versions(f"name = '{name}'"), key=lambda one: int(one.version))
        champion = aliases.current(client, name)
        whole, carried = verifying_runs.origins(client, versions)
        checks = [
            *_of_runs(client, name, versions, champion, left.registration if left else None),
            whole,
            *verifying_journal.agree(client, name, versions, champion, left.promotions if left else None),
        ]
    checks.append(verifying_ledger.whole(versions))
    checks += verifying_data.cached(project)
    if left:
        made_of = carried.get(str(champion.version), {}) if champion else {}
        checks.append(verifying_data.champion_data(project, made_of, left.prepared))
    checks.append(verifying_data.pushed(project))
    code = {str(one.version): registered.code(one, carried.get(str(one.version), {})) for one in versions}
    return [*checks, *verifying_data.commits(project, versions, code, champion)]


def _require_model(client: MlflowClient, name: str) -> None:
    """Refuse a name that the registry does not have.

    Raises:
        RegistryError: It has none of that name.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise RegistryError(
            f"the registry has no model {name!r}: {aliases.HOW_TO_REGISTER}; or name another with --name"
        ) from None


def _of_runs(
    client: MlflowClient,
    name: str,
    versions: Sequence[ModelVersion],
    champion: ModelVersion | None,
    registration: Path | None,
) -> Iterator[Check]:
    """Checks that need the runs; where their experiment was deleted, and they with it, that is all there is to say."""
    experiment = client.get_experiment_by_name(name)
    if experiment is not None and experiment.lifecycle_stage != "active":
        todo = f"{tracking.restore_experiment(experiment.experiment_id)}; then verify again"
        yield Check("the experiment is there", 1, (Finding(f"the experiment {name} was deleted, with its runs", todo),))
        return
    yield verifying_runs.of_versions(client, versions)
    yield verifying_runs.champion(client, champion)
    yield verifying_runs.last_registration(client, name, versions, registration)
    yield verifying_runs.doubled(client, name, experiment, registration)
