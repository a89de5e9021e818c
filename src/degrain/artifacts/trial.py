"""What train leaves of a trial: trial.json, beside history.csv and, when it is done, weights.safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final, Literal, Self

from pydantic import JsonValue

from degrain.artifacts.base import Part, Record
from degrain.errors import DataError
from degrain.networks import identity
from degrain.noise.catalog import AnyNoise
from degrain.pixels import Light

TRIAL = "trial.json"
HISTORY = "history.csv"
WEIGHTS = "weights.safetensors"
CHECKPOINT = "checkpoint.json"

# How a trial can have ended. Only `done` leaves weights.
DONE: Final = "done"
DIVERGED: Final = "diverged"
FAILED: Final = "failed"
State = Literal["done", "diverged", "failed"]

# Options by their names, as JSON holds them.
Options = dict[str, JsonValue]


class Place(Part):
    """What of the place where a trial is computed decides its bits.

    Attributes:
        device: "cpu" or "cuda".
        precision: "float32" or "bfloat16".
        world: Processes that train it together.
        machine: Kind of processor or GPU, see `degrain.machine.description.kind`.
    """

    device: str
    precision: str = "float32"
    world: int = 1
    machine: str = ""


class Origin(Part):
    """Where a trial comes from: what a reader must know of it, and no part of its key.

    Attributes:
        commit: Of the project when it began to be trained, for the last time if it went on from a checkpoint, see
            `degrain.machine.description.git_commit`.
        degrain: Version of degrain.
        machine: See `degrain.machine.description.describe_machine`.
    """

    commit: str
    degrain: str
    machine: dict[str, str]


# What decides each setting of a trial: its name in params.yaml. The trial's name is made of others.
_PARAMETERS = {
    "model": "train.models",
    "optimizer": "train.optimizers",
    "optimizer_settings": "train.optimizers",
    "loss": "train.losses",
    "loss_settings": "train.losses",
    "seed": "train.seeds",
    "channels": "patch store",
    "bits": "prepare.bits",
    "light": "patch store",
    "patch_size": "prepare.patch_size",
    "noise": "prepare.noise",
    "data_sha256": "patch store",
}


class TrialSettings(Part):
    """What a study asks of a trial.

    Attributes:
        name: Model, optimizer, loss and seed, as tables show it.
        model: Its name in the catalog.
        optimizer, loss: Their names in tables.
        optimizer_settings, loss_settings: Their names in the catalogs and all of their options, defaults filled in.
        seed: Of the first weights, the order of the patches and the noise.
        training: Every other parameter of the section `train` that decides the result.
        channels, bits, light, patch_size: Of the patches that it is trained on.
        noise: Of these patches.
        data_sha256: Digest of the patch store.
    """

    name: str
    model: str
    optimizer: str
    optimizer_settings: Options
    loss: str
    loss_settings: Options
    seed: int
    training: Options
    channels: int
    bits: int
    light: Light
    patch_size: int
    noise: AnyNoise
    data_sha256: str

    @property
    def epochs(self) -> int:
        """How many it is to have."""
        epochs = self.training.get("epochs")
        return epochs if isinstance(epochs, int) else 0

    def differences(self, other: TrialSettings) -> list[str]:
        """Return the names of the parameters that differ, sorted, and "patch store" for what only the data decides."""
        found = {where for name, where in _PARAMETERS.items() if getattr(self, name) != getattr(other, name)}
        both = {*self.training, *other.training}
        return sorted(found | {f"train.{name}" for name in both if self.training.get(name) != other.training.get(name)})


class BegunTrial(TrialSettings, Record):
    """What the ledger holds of a trial that is being trained.

    Attributes:
        key: Of the trial, see `degrain.training.trial`.
        pid: The process that trains it.
        began: When the first one did, in seconds since 1970.
    """

    WHAT: ClassVar[str] = "record of a trial that is being trained"
    STAGE: ClassVar[str] = "train"
    VERSION: ClassVar[int] = 3

    key: str
    pid: int
    began: float


class TrialRecord(TrialSettings, Record):
    """What trial.json holds: what the trial was made of, and how it went.

    Attributes:
        key: Of the trial, see `degrain.training.trial`.
        place: Where it was computed, as far as that decides its bits.
        origin: Where it comes from, as far as it does not.
        versions: Of each library that its code imports.
        network_sha256: Digest of its network's code, see `degrain.networks.identity`.
        state: How it ended.
        reason: Why it did not get done.
        failures: Why it failed, each time, before it ended.
        parameters: Weights of the network; None, as all that follow may be, when it did not get done.
        epochs_done: Whole epochs.
        epoch: The one whose weights are kept, from 1.
        train_loss, val_loss, val_psnr: Of that epoch, the last one in dB.
        parts: In how many parts the gradient of a step was computed.
        seconds: Spent on it, validation included.
        peak_memory_mb: The most memory that its process had.
        began, ended: When, in seconds since 1970, pauses included.
        sha256: Of each file beside trial.json.
    """

    WHAT: ClassVar[str] = "record of a trial"
    STAGE: ClassVar[str] = "train"
    VERSION: ClassVar[int] = 5

    key: str
    place: Place
    origin: Origin
    versions: dict[str, str]
    network_sha256: str
    state: State
    reason: str
    failures: list[str]
    parameters: int | None
    epochs_done: int
    epoch: int | None
    train_loss: float | None
    val_loss: float | None
    val_psnr: float | None
    parts: int | None
    seconds: float | None
    peak_memory_mb: float
    began: float
    ended: float
    sha256: dict[str, str]

    @property
    def is_done(self) -> bool:
        """Whether it was trained to its end and left weights."""
        return self.state == DONE

    @property
    def is_outdated(self) -> bool:
        """Whether the code of its network is not the one any more with which it was trained."""
        return self.network_sha256 != identity.digest(self.model)

    @property
    def weights_sha256(self) -> str | None:
        """SHA-256 of the weights file; None where there is none."""
        return self.sha256.get(WEIGHTS)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a trial.json.

        Raises:
            VersionMismatch: It has another schema version.
            DataError: It is missing or damaged.
        """
        record = super().read(path)
        if record.is_done and not record.weights_sha256:
            raise DataError(f"{path} is damaged (no SHA-256 of its weights); run: dvc repro -f -s train")
        return record

    @classmethod
    def of_folder(cls, folder: Path) -> Self:
        """Read the trial of a folder that train left, which has the trial's name below that of its model.

        Raises:
            VersionMismatch: As `read`.
            DataError: As `read`, or the folder holds another trial than the one it is named for.
        """
        record = cls.read(folder / TRIAL)
        model = folder.parent.name
        if record.folder(folder.parent.parent) != folder:
            raise DataError(
                f"{folder} holds another trial, {record.name} of {record.model}; run: dvc repro -f -s train@{model}"
            )
        return record

    def folder(self, trials: Path) -> Path:
        """Return where train leaves it, in the folder of all trials."""
        return trials / self.model / self.name

    def named(self, name: str, optimizer: str, loss: str) -> Self:
        """Return the trial under the names of a study, which are not part of its key."""
        return self.model_copy(update={"name": name, "optimizer": optimizer, "loss": loss})
