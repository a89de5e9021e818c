"""What `degrain reproductions --record` writes down of a study's last run: docs/reproductions/<study>.json."""

from __future__ import annotations

import datetime
from typing import ClassVar

from degrain.artifacts.base import Part, Record
from degrain.artifacts.metrics import Means
from degrain.artifacts.sidd_validation import BlockScores


class Versions(Part):
    """What the trials were trained with; where they differ, each is told.

    Attributes:
        torch: Version of PyTorch.
        degrain: Version of degrain.
    """

    torch: str
    degrain: str


class ReproducedTrial(Part):
    """One trial of the run.

    Attributes:
        name, model, optimizer, loss, seed, epochs_done, seconds, parameters: See `degrain.artifacts.trial.TrialRecord`.
        precision: "float32" or "bfloat16".
        val_loss: After each epoch; NaN or infinite where it diverged.
        scores: Its means, by names such as `test_psnr`, see `degrain.evaluation.summary`.
        blocks: What its network makes of the validation blocks of SIDD, if that was measured.
    """

    name: str
    model: str
    optimizer: str
    loss: str
    seed: int
    precision: str
    epochs_done: int
    seconds: float
    parameters: int
    val_loss: list[float]
    scores: Means
    blocks: BlockScores | None = None


class Sharpened(Part):
    """Means of a trial's outputs.

    Attributes:
        before: As the network makes them.
        after: Sharpened.
    """

    before: Means
    after: Means


class Reproduction(Record):
    """What the last recorded run of a study measured.

    Attributes:
        study: Of conf/study.
        date: Of the recording, in UTC.
        command: Which repeats the run.
        machine: That trained the trials, see `degrain.machine.description.describe_machine`; where they differ, each
            is told.
        versions: Of PyTorch and of degrain.
        data_sha256: Digest of the patch store.
        trials: Those that are done.
        identity: Means of the noisy input.
        baselines: Of each classical denoiser.
        cameras: For each camera the mean of each method, by the metric that ranks; empty unless there are several.
        sharpened: By the trial's name, of those whose outputs were sharpened.
    """

    WHAT: ClassVar[str] = "record of a reproduction"
    COMMAND: ClassVar[str] = "degrain reproductions --record"
    VERSION: ClassVar[int] = 1

    study: str
    date: datetime.date
    command: str
    machine: dict[str, str]
    versions: Versions
    data_sha256: str
    trials: list[ReproducedTrial]
    identity: Means
    baselines: dict[str, Means]
    cameras: dict[str, Means]
    sharpened: dict[str, Sharpened]
