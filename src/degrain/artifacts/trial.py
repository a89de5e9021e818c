"""What train leaves of a trial: trial.json, beside history.csv and, when it is done, weights.safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from degrain.artifacts.base import explain, read_object
from degrain.errors import DataError

TRIAL = "trial.json"
HISTORY = "history.csv"
WEIGHTS = "weights.safetensors"
CHECKPOINT = "checkpoint.json"

# How a trial can have ended. Only `done` leaves weights.
DONE, DIVERGED, FAILED = "done", "diverged", "failed"


class TrialRecord(BaseModel):
    """What later stages need of trial.json; the settings that decided the trial stand beside these fields.

    Attributes:
        key: Of the trial, see `degrain.training.trial`.
        name: Model, optimizer, loss and seed, as tables show it.
        model, optimizer, loss: What it was made of.
        channels, patch_size: Of the patches that it was trained on.
        data_sha256: Digest of the patch store.
        state: How it ended.
        reason: Why it did not get done.
        sha256: Of each file beside trial.json.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    key: str
    name: str
    model: str
    optimizer: str
    loss: str
    channels: int
    patch_size: int
    data_sha256: str
    state: Literal["done", "diverged", "failed"]
    reason: str
    sha256: dict[str, str]
    optimizer_settings: dict[str, Any]
    loss_settings: dict[str, Any]
    noise: dict[str, Any]
    parameters: int
    seconds: float

    @property
    def is_done(self) -> bool:
        """Whether it was trained to its end and left weights."""
        return self.state == DONE

    @property
    def weights_sha256(self) -> str | None:
        """SHA-256 of the weights file; None where there is none."""
        return self.sha256.get(WEIGHTS)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a trial.json.

        Raises:
            DataError: It is missing or damaged.
        """
        content = read_object(path, "train")
        try:
            record = cls.model_validate(content)
        except ValidationError as error:
            raise DataError(f"{path} is damaged ({explain(error)}); run: dvc repro -f train") from error
        if record.is_done and not record.weights_sha256:
            raise DataError(f"{path} is damaged (no SHA-256 of its weights); run: dvc repro -f train")
        return record
