"""What register leaves: registration.json of the last run, and promotions.jsonl, with a line for each new champion."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from pydantic import ConfigDict

from degrain.artifacts.base import Part, Record

# What register may decide of a study's best trial.
FIRST: Final = "first"  # it is the champion: no version was
PROMOTED: Final = "promoted"  # it is the champion: it beats the one before
UNOPPOSED: Final = "unopposed"  # it is the champion: the one before cannot be compared with anything
REFUSED: Final = "refused"  # it is not: it does not beat every rival
SAME: Final = "same weights"  # it is, and was before
Decision = Literal["first", "promoted", "unopposed", "refused", "same weights"]


class Verdict(Part):
    """How the candidate stands to one rival by one measure.

    Attributes:
        rival: Its name.
        measure: Of `degrain.evaluation.summary.MEASURES`.
        candidate, rival_score: Their means over the sources, rounded.
        gain: By how much the candidate is better, rounded.
        low: Lower end of the interval of the gain, rounded; None where the sources are too few for one.
        sources: How many photographs or scenes were compared.
        won: On how many of them the candidate is better.
        needed: It must win by more than that.
        passed: Whether it does, see `degrain.evaluation.gate`.
    """

    rival: str
    measure: str
    candidate: float
    rival_score: float
    gain: float
    low: float | None
    sources: int
    won: int
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
        decision: What was decided of it in this run.
        before: Number of the version that was the champion, if there was one.
        unusable: Why nothing could be compared with that version; "" where that was possible.
        version: Its own number in the registry.
        refused: Which rivals it does not beat, in words.
        gate: All verdicts; they decide unless it is the champion already.
        experiment: Of MLflow.
        parent_run: Id of the study's run.
        runs: Id of the run of each trial, by its name.
        tracking_uri: Where MLflow is.
    """

    WHAT: ClassVar[str] = "record of a registration"
    STAGE: ClassVar[str] = "register"
    VERSION: ClassVar[int] = 3

    model: str
    trial: str
    trial_key: str
    weights_sha256: str
    data_sha256: str
    table_sha256: str
    decision: Decision
    before: str | None
    unusable: str
    version: str
    refused: list[str]
    gate: list[Verdict]
    experiment: str
    parent_run: str
    runs: dict[str, str]
    tracking_uri: str

    @property
    def is_champion(self) -> bool:
        """Whether it is the champion."""
        return self.decision != REFUSED

    @property
    def is_new(self) -> bool:
        """Whether it is the champion since this run."""
        return self.is_champion and self.decision != SAME


class Promotion(Part):
    """A move of the champion's alias; a line of promotions.jsonl.

    Attributes:
        at: When, in UTC, as in ISO 8601.
        who: Who moved it, as that person's machine says; nobody has checked it.
        model: The registered model.
        before: Number of the version that held the alias before, if one did.
        version: Number of the one that holds it since then.
        weights_sha256: SHA-256 of its weights.
        data_sha256: Digest of the patch store that its scores were measured on.
        scores: When it was registered, see `degrain.evaluation.summary`.
        reason: Why.
        done: Whether the alias has moved; otherwise it was about to.
    """

    # What newer versions write besides is passed over.
    model_config = ConfigDict(extra="ignore", frozen=True)

    at: str
    who: str
    model: str
    before: str | None
    version: str
    weights_sha256: str
    data_sha256: str
    scores: dict[str, float]
    reason: str
    done: bool
