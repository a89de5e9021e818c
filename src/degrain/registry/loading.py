"""From what a user calls a model to a folder that holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import unquote

from degrain import files
from degrain.artifacts.trial import TRIAL, WEIGHTS, TrialRecord
from degrain.errors import (
    DataError,
    ForeignVersion,
    ModelError,
    NoChampion,
    RegistryError,
    Unseen,
    VersionMismatch,
    nearest,
)
from degrain.registry import aliases, tags, tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

# What to do about a version that belongs to another version of degrain.
WAY_OUT = (
    f"give the study another register.name, or take the alias {aliases.CHAMPION} from it (make mlflow) and promote "
    "anew: dvc repro -f -s register"
)


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
    found = (path.parent for path in trials.glob(f"*/*/{TRIAL}"))
    known = {folder.name: folder for folder in found if not files.is_partial(folder.relative_to(trials))}
    if reference not in known:
        raise ModelError(
            f"no model {reference!r}: neither a folder nor a trial of the last study{nearest(reference, known)}"
        )
    TrialRecord.of_folder(known[reference])
    yield known[reference]


def version(client: MlflowClient, reference: str) -> ModelVersion:
    """Find a version of the registry.

    Args:
        client: The connection.
        reference: models:/NAME@ALIAS or models:/NAME/VERSION.

    Raises:
        NoChampion: The champion is meant, and there is none.
        RegistryError: The registry does not hold it.
    """
    if not reference.startswith("models:/"):
        raise RegistryError(f"{reference!r}: write models:/NAME@ALIAS or models:/NAME/VERSION")
    told = reference.removeprefix("models:/")
    name, _, number = told.rpartition("/")
    if name and number:
        return client.get_model_version(name, number)
    # NOTE: MLflow takes names with an @, and none with a slash.
    name, _, alias = told.rpartition("@")
    if not name or not alias:
        raise RegistryError(f"{reference!r}: write models:/NAME@ALIAS or models:/NAME/VERSION")
    if alias == aliases.CHAMPION:
        champion = aliases.current(client, name)
        if champion is None:
            raise NoChampion(
                f"the registry has no {alias} of {name!r} yet: {aliases.HOW_TO_REGISTER}; "
                "or name a version: models:/NAME/VERSION"
            )
        return champion
    return client.get_model_version_by_alias(name, alias)


def download(reference: str, target: Path) -> Path:
    """Fetch a model from the MLflow registry into a folder.

    Raises:
        RegistryError: The registry does not answer, or does not hold it.
    """
    with tracking.connect() as client:
        return fetch(version(client, reference), target)


def fetch(version: ModelVersion, target: Path) -> Path:
    """Fetch the files of a registered version into a folder, while the registry is connected.

    Raises:
        RegistryError: As of `check`.
    """
    from mlflow.artifacts import download_artifacts

    folder = Path(download_artifacts(artifact_uri=version.source, dst_path=str(target)))
    check(folder, version)
    return folder


def check(folder: Path, version: tags.Tagged) -> TrialRecord:
    """Refuse a model that is not the one that was registered.

    Args:
        folder: With the version's files.
        version: Of the registry; its tags say what was registered.

    Returns:
        What is recorded of its trial.

    Raises:
        UnreadableTag: A tag does not say it.
        ForeignVersion: Another version of degrain has registered it, or its network's code has changed since.
        RegistryError: Its weights, its trial.json or another file of its package are missing, damaged, or others than
            its tags say.
    """
    what = tags.what(version)
    wanted, key, package = tags.weights(version), tags.key(version), tags.package(version)
    path = folder / WEIGHTS
    if not path.is_file() or files.sha256(path) != wanted:
        raise RegistryError(f"the weights of {what} are missing or damaged in the registry")
    try:
        trial = TrialRecord.read(folder / TRIAL)
    except VersionMismatch:
        raise ForeignVersion(f"{what} was registered by another version of degrain; {WAY_OUT}") from None
    except DataError:
        raise RegistryError(f"the {TRIAL} of {what} is missing or damaged in the registry") from None
    if (trial.weights_sha256, trial.key) != (wanted, key):
        raise RegistryError(f"the {TRIAL} of {what} is that of another trial than the tags {tags.WEIGHTS}, {tags.KEY}")
    if trial.is_outdated:
        raise ForeignVersion(f"{what} was trained with other code of {trial.model} than there is now; {WAY_OUT}")
    if files.tree_digest(folder) != package:
        raise RegistryError(f"the files of {what} are others in the registry than those that were registered")
    return trial


def proven(client: MlflowClient, version: ModelVersion) -> TrialRecord:
    """Return the trial of a registered version that can be used.

    Raises:
        Unseen: Nobody can tell: the machine, the network, MLflow or its artifact store failed.
        RegistryError: It cannot: its run or its files are gone, or `check` refuses them.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    what = tags.what(version)
    _require_run(client, version, what)
    try:
        with TemporaryDirectory(prefix="degrain-") as temporary:
            return check(Path(download_artifacts(artifact_uri=version.source, dst_path=temporary)), version)
    except (OSError, MlflowException) as error:
        if not _is_missing(error, str(version.source)):
            raise _unseen(what, error) from error
    if _has_another(client, version):
        raise RegistryError(f"the files of {what} are gone")
    raise Unseen(
        f"{what} cannot be looked at: its files are missing, and no other version of {version.name} has any, so that "
        "MLflow's artifact store may be away, as an unmounted volume is; bring it back, or, if the files are lost, "
        "delete the version in MLflow, then dvc repro -f -s register"
    )


def _require_run(client: MlflowClient, version: ModelVersion, what: str) -> None:
    """Refuse a version whose run is gone.

    Raises:
        Unseen: Nobody can tell.
        RegistryError: It was deleted.
    """
    from mlflow.exceptions import MlflowException

    try:
        if version.run_id and client.get_run(version.run_id).info.lifecycle_stage != "active":
            raise RegistryError(f"the run of {what} was deleted")
    except (OSError, MlflowException) as error:
        if isinstance(error, MlflowException) and error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise RegistryError(f"the run of {what} is gone") from None
        raise _unseen(what, error) from error


def _is_missing(error: Exception, source: str) -> bool:
    """Tell whether files could not be read since they are not there."""
    # NOTE: a local store says of a file that is not there, or cannot be read, only that.
    return (
        isinstance(error, FileNotFoundError)
        or getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST"
        or _is_gone(source)
    )


def _is_gone(source: str) -> bool:
    """Tell whether a model lies in a folder of this machine, and that is not there."""
    scheme, _, path = source.rpartition("://")
    return scheme in ("", "file") and not Path(unquote(path)).exists()


def _has_another(client: MlflowClient, version: ModelVersion) -> bool:
    """Tell whether files of another version of the same model can be read, so that the artifact store is there.

    Runs are no evidence: what was published while a volume was away lies in the empty folder that it left.
    """
    others = client.search_model_versions(f"name = '{version.name}'")
    return any(_can_be_read(str(one.source)) for one in others if one.source != version.source)


def _can_be_read(source: str) -> bool:
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    with TemporaryDirectory(prefix="degrain-") as temporary:
        try:
            return Path(download_artifacts(artifact_uri=f"{source}/{TRIAL}", dst_path=temporary)).is_file()
        except (OSError, MlflowException):
            return False


def _unseen(what: str, error: Exception) -> Unseen:
    return Unseen(f"{what} cannot be looked at: {' '.join(str(error).split())[:300]}")


def loss(client: MlflowClient, version: ModelVersion) -> RegistryError | None:
    """Return what keeps a registered version from being used; None when it can be.

    Raises:
        Unseen: Nobody can tell.
    """
    try:
        proven(client, version)
    except Unseen:
        raise
    except RegistryError as error:
        return error
    return None
