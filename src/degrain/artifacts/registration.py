"""What register leaves: registration.json of the last run, and a line of promotions.jsonl for each new champion."""

from __future__ import annotations

from typing import ClassVar

from degrain.artifacts.base import Part, Record


class Verdict(Part):
    """How the candidate stands to one rival by one measure.

    Attributes:
        rival: Its name.
        measure: Of `degrain.evaluation.summary.MEASURES`.
        candidate, rival_score: Their means, rounded.
        gain: By how much the candidate is better, rounded.
        needed: It must win by more than that.
        passed: Whether it does.
    """

    rival: str
    measure: str
    candidate: float
    rival_score: float
    gain: float
    needed: float
    passed: bool


class Registration(Record):
    """What registration.json holds.

    Attributes:
        model: Of the registry.
        trial, trial_key: The study's best.
        weights_sha256: SHA-256 of its weights.
        data_sha256: Digest of the patch store that it was trained and measured on.
        table_sha256: SHA-256 of the table of scores that the gate looked at.
        promoted: Whether it has become the champion in this run.
        champion: Whether it is the champion.
        version: Its number in the registry, if it is the champion.
        refused: What it lacks, in words.
        gate: All verdicts.
        experiment: Of MLflow.
        parent_run: Id of the study's run.
        runs: Id of the run of each trial, by its name.
        tracking_uri: Where MLflow is.
    """

    STAGE: ClassVar[str] = "register"
    VERSION: ClassVar[int] = 1

    model: str
    trial: str
    trial_key: str
    weights_sha256: str
    data_sha256: str
    table_sha256: str
    promoted: bool
    champion: bool
    version: str | None
    refused: list[str]
    gate: list[Verdict]
    experiment: str
    parent_run: str
    runs: dict[str, str]
    tracking_uri: str


class Promotion(Part):
    """A line of promotions.jsonl: what has become the champion.

    Attributes:
        trial, trial_key: What it was trained as.
        before: The version that held the alias before, if that is known.
        scores: On the held-out data.
    """

    trial: str
    trial_key: str
    before: str | None
    scores: dict[str, float]
