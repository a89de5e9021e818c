"""The files of a registered version, byte for byte those that were registered, whichever degrain has written them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import ConfigDict, JsonValue, ValidationError

from degrain import files
from degrain.artifacts.base import Part, explain
from degrain.artifacts.trial import TRIAL, WEIGHTS
from degrain.errors import DataError, RegistryError
from degrain.registry import origin, tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion
# What `degrain.machine.description.git_commit` puts behind a commit when files had changed.
_DIRTY = "-dirty"


@dataclass(frozen=True)
class Code:
    """Where the code that made a version is.

    Attributes:
        commit: Of git; empty where nobody knows.
        changed: Whether the changes that the version carries go with it.
    """

    commit: str
    changed: bool


def code(version: ModelVersion, carried: Mapping[str, bytes]) -> Code:
    """Return which code makes a version: that of the commit that trained it.

    Where files had changed then, it is the code that registered it: that refuses trials which it would not train the
    same way, and the version carries what of it was not committed.

    Args:
        version: Of the registry.
        carried: See `degrain.registry.origin`.
    """
    trained = str(version.tags.get(tags.COMMIT, ""))
    if not trained.endswith(_DIRTY):
        return Code("" if trained == "unknown" else trained, changed=False)
    registering = carried.get(origin.COMMIT, b"").decode(errors="replace").strip()
    return Code((registering or trained).removesuffix(_DIRTY), changed=origin.DIFF in carried)


class Origin(Part):
    """What of the origin of a trial is compared."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    machine: dict[str, str]


class Made(Part):
    """What two trials are compared by: those fields of trial.json that every version of degrain writes."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    key: str
    state: str
    reason: str = ""
    data_sha256: str
    network_sha256: str = ""
    place: dict[str, JsonValue]
    origin: Origin
    versions: dict[str, str]
    sha256: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a trial.json.

        Raises:
            DataError: It is missing, or is none.
        """
        try:
            return cls.model_validate(files.read_json(path))
        except ValidationError as error:
            raise DataError(f"{path} is no record of a trial ({explain(error)})") from None

    @property
    def weights(self) -> str:
        """SHA-256 of the weights; empty where it did not get done."""
        return self.sha256.get(WEIGHTS, "")


def fetch(client: MlflowClient, version: ModelVersion, target: Path) -> Path:
    """Fetch the files of a version, and hold them against its tags.

    Other than `degrain.registry.loading.proven` it takes versions that were trained with other code than there is now.

    Args:
        client: The connection.
        version: Which.
        target: An empty folder.

    Returns:
        The folder with the files.

    Raises:
        UnreadableTag: A tag does not say what was registered.
        RegistryError: The run or the files are gone, or other files than those that were registered.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    what = tags.what(version)
    weights, key, package = tags.weights(version), tags.key(version), tags.package(version)
    try:
        if version.run_id and client.get_run(version.run_id).info.lifecycle_stage != "active":
            raise RegistryError(f"the run of {what} was deleted")
        folder = Path(download_artifacts(artifact_uri=version.source, dst_path=str(target)))
    except (OSError, MlflowException) as error:
        raise RegistryError(f"the run or the files of {what} cannot be read: {' '.join(str(error).split())}") from None
    if files.tree_digest(folder) != package:
        raise RegistryError(f"the files of {what} are others in the registry than those that were registered")
    made = Made.read(folder / TRIAL)
    if (made.key, made.weights, files.sha256(folder / WEIGHTS)) != (key, weights, weights):
        raise RegistryError(f"the files of {what} are those of another trial than the tags {tags.WEIGHTS}, {tags.KEY}")
    return folder
