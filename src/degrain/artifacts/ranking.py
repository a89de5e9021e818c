"""The ranking that evaluate leaves for report and register: ranking.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from degrain.artifacts.base import Part, Record
from degrain.artifacts.code import Code
from degrain.baselines.base import Value
from degrain.declaration import deciding
from degrain.params.results import EvaluateParams

if TYPE_CHECKING:
    from degrain.params.study import Params

FILE = "ranking.json"


class Validation(Part):
    """What a cell reaches on the validation patches, by the metric that ranks.

    Attributes:
        mean, low, high: Mean over seeds and patches, and its interval, in the metric's unit.
        seed_std: Standard deviation over seeds; None of a single one.
    """

    mean: float
    low: float
    high: float
    seed_std: float | None


class Cell(Part):
    """One cell of the grid: a model, an optimizer and a loss, over all random seeds.

    Attributes:
        model: Its name in the catalog of networks.
        optimizer, loss: Their names in tables.
        trials: Names of its trials, one for each seed.
        best_trial: The one that is best on the validation patches.
        validation: What ranks it.
        parameters: Of the network.
        seconds: Mean training time.
        scores: Means of the best trial, by names such as `test_psnr`, see `degrain.evaluation.summary`.
    """

    model: str
    optimizer: str
    loss: str
    trials: list[str]
    best_trial: str
    validation: Validation
    parameters: int
    seconds: float
    scores: dict[str, float]


class Baseline(Part):
    """A classical denoiser.

    Attributes:
        settings: The parameters that were chosen for it on the validation patches.
        scores: Its means, by names such as `test_psnr`.
    """

    settings: dict[str, Value]
    scores: dict[str, float]


class Unranked(Part):
    """A trial without a result.

    Attributes:
        name: Of the trial.
        state: How it ended: "diverged" or "failed".
        reason: Why, in words.
    """

    name: str
    state: str
    reason: str


class Ranking(Record):
    """What ranking.json holds.

    Attributes:
        params: The section `evaluate` of the study that it was made for.
        strips, frames: Of its section `report`: what the pictures beside it were made for.
        champion: Name of the best trial.
        cells: The grid, best first.
        identity: Means of the noisy input.
        baselines: The classical denoisers.
        sharpened: Means of sharpened outputs, by the trial's name.
        cameras: For each camera the mean of each method, by the metric that ranks.
        unranked: Trials that are not done.
        stand_in: What scores are measured against where no image is clean, see `degrain.noise.base`; else empty.
        data_sha256: Digest of the patch store.
        manifest_sha256: SHA-256 of the manifest, which has the cameras.
        table_sha256: SHA-256 of the table of scores that was ranked.
        pictures: What drew the pictures and the tables of the plots; scores do not depend on it.
        examples_sha256: Digest of the pictures that were made with it, see `degrain.files.tree_digest`.
    """

    WHAT: ClassVar[str] = "record of a ranking"
    STAGE: ClassVar[str] = "evaluate"
    VERSION: ClassVar[int] = 6

    params: EvaluateParams
    strips: int
    frames: int
    champion: str
    cells: list[Cell]
    identity: dict[str, float]
    baselines: dict[str, Baseline]
    sharpened: dict[str, dict[str, float]]
    cameras: dict[str, dict[str, float]]
    unranked: list[Unranked]
    stand_in: str
    data_sha256: str
    manifest_sha256: str
    table_sha256: str
    pictures: Code
    examples_sha256: str

    def differences(self, params: Params) -> list[str]:
        """Return the names of the deciding parameters that a study has of another value, sorted."""
        mine, its = self.params, params.evaluate
        other = [f"evaluate.{name}" for name in deciding(EvaluateParams) if getattr(mine, name) != getattr(its, name)]
        shown = [
            f"report.{name}" for name in ("strips", "frames") if getattr(self, name) != getattr(params.report, name)
        ]
        return sorted(other + shown)

    @property
    def baseline_scores(self) -> dict[str, dict[str, float]]:
        """The means of each classical denoiser."""
        return {name: baseline.scores for name, baseline in self.baselines.items()}

    @property
    def best(self) -> Cell:
        """The champion's cell."""
        return self.cells[0]
