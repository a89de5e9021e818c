"""From what a user calls a model to a folder that holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from degrain import files
from degrain.artifacts.trial import TRIAL, WEIGHTS, TrialRecord
from degrain.errors import ModelError, RegistryError, nearest
from degrain.registry import promotion, tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


@contextmanager
def folder_of(reference: str, trials: Path) -> Iterator[Path]:
    """Find a trained model.

    Args:
        reference: A folder with trial.json and weights.safetensors; the name of a trial of the last study
            (`unet-adam-mse`); or one in the MLflow registry: `models:/NAME@champion`, `models:/NAME/3`.
        trials: Where the last study's trials lie.

    Yields:
        The folder; it may be temporary.

    Raises:
        ModelError: There is no such model; the message has the nearest name.
        DataError: What is in the trial's folder is damaged or another trial.
        RegistryError: The registry does not answer or does not hold it.
    """
    if reference.startswith("models:/"):
        with TemporaryDirectory(prefix="degrain-") as temporary:
            yield download(reference, Path(temporary))
        return
    if files.is_folder(folder := Path(reference)):
        if folder.resolve().parent.parent == trials.resolve():
            TrialRecord.of_folder(trials / folder.resolve().parent.name / folder.resolve().name)
        yield folder
        return
    known = {path.parent.name: path.parent for path in trials.glob(f"*/*/{TRIAL}")}
    if reference not in known:
        raise ModelError(
            f"no model {reference!r}: neither a folder nor a trial of the last study{nearest(reference, known)}"
        )
    TrialRecord.of_folder(known[reference])
    yield known[reference]


def download(reference: str, target: Path) -> Path:
    """Fetch a model from the MLflow registry into a folder.

    Raises:
        RegistryError: The registry does not answer, or does not hold it.
    """
    name, _, alias = reference.removeprefix("models:/").partition("@")
    with tracking.connect() as client:
        from mlflow.artifacts import download_artifacts

        if alias == promotion.ALIAS:
            version = promotion.current(client, name)
            if version is None:
                raise RegistryError(
                    f"the registry has no {alias} of {name!r} yet: run make repro, or name a model: --model"
                )
        elif alias:
            version = client.get_model_version_by_alias(name, alias)
        else:
            name, _, number = name.partition("/")
            if not number:
                raise RegistryError(f"{reference!r}: write models:/NAME@ALIAS or models:/NAME/VERSION")
            version = client.get_model_version(name, number)
        folder = Path(download_artifacts(artifact_uri=version.source, dst_path=str(target)))
        check(folder, version)
        return folder


def check(folder: Path, version: ModelVersion) -> None:
    """Refuse weights that are not those of a registered version.

    Raises:
        RegistryError: Their SHA-256 is not the one in the version's tags, or they are missing.
    """
    wanted = version.tags.get(promotion.WEIGHTS)
    path = folder / WEIGHTS
    if not path.is_file() or (wanted and files.sha256(path) != wanted):
        raise RegistryError(
            f"the weights of version {version.version} of {version.name} are missing or damaged in the registry"
        )


def loss(client: MlflowClient, version: ModelVersion) -> str:
    """Say why a registered version cannot be used any more; "" when it can."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        if version.run_id and client.get_run(version.run_id).info.lifecycle_stage != "active":
            return "its run was deleted"
        with TemporaryDirectory(prefix="degrain-") as temporary:
            check(Path(download_artifacts(artifact_uri=version.source, dst_path=temporary)), version)
    except (MlflowException, OSError):
        return "its run or its files are gone"
    except RegistryError:
        return "its weights are missing or damaged"
    return ""
