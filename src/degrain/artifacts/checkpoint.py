"""What a trial that is being trained leaves to go on from: checkpoint.json, beside the tensors that it names."""

from __future__ import annotations

from typing import ClassVar

from pydantic import JsonValue

from degrain.artifacts.base import Part, Record
from degrain.artifacts.history import Epoch


class Facts(Part):
    """How far a trial has come; tensors stand in the file beside it.

    Attributes:
        network, optimizer, averaged, best: State dictionaries, with the names of tensors in their places; None of what
            the trial does not have.
        parts: In how many parts the gradient of a step is computed.
        steps: Optimizer steps that the trial is to have.
        step: Optimizer steps done.
        loss_sum: Of the patches of the epoch so far.
        history: What each whole epoch left.
        seconds: Spent on it so far.
    """

    network: JsonValue
    optimizer: JsonValue
    averaged: JsonValue
    best: JsonValue
    parts: int
    steps: int
    step: int
    loss_sum: float
    history: list[Epoch]
    seconds: float


class CheckpointRecord(Facts, Record):
    """What checkpoint.json holds.

    Attributes:
        key: Of the trial, see `degrain.training.trial`.
        file: Name of the file with the tensors.
        sha256: SHA-256 of that file.
    """

    WHAT: ClassVar[str] = "record of a checkpoint"
    STAGE: ClassVar[str] = "train"
    VERSION: ClassVar[int] = 2

    key: str
    file: str
    sha256: str
