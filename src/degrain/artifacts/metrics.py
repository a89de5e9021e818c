"""What `dvc metrics show` shows: metrics.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from pydantic import FiniteFloat

from degrain import files
from degrain.artifacts.base import Record
from degrain.artifacts.ranking import Ranking
from degrain.errors import DataError

# Decimals: what the measurement is worth.
DIGITS = 4

Means = dict[str, FiniteFloat]


class Metrics(Record):
    """What metrics.json holds: means by names such as `test_psnr`, see `degrain.evaluation.summary`.

    Attributes:
        champion: Name of the best trial, under `trial`, and its means.
        identity: Of the noisy input.
        baselines: Of each classical denoiser.
        trials: Of each trial that is done, in the order of the ranking.
        sharpened: Of sharpened outputs, by the trial's name, if there are any.
        cameras: For each camera the mean of each method, by the metric that ranks, if there are several.
    """

    WHAT: ClassVar[str] = "record of metrics"
    STAGE: ClassVar[str] = "evaluate"
    VERSION: ClassVar[int] = 1
    SEALED: ClassVar[bool] = False

    champion: dict[str, str | FiniteFloat]
    identity: Means
    baselines: dict[str, Means]
    trials: dict[str, Means]
    sharpened: dict[str, Means] | None = None
    cameras: dict[str, Means] | None = None

    def write(self, path: Path) -> None:
        """Write the record, atomically, without what there is none of."""
        files.write_json(path, self.model_dump(mode="json", exclude_none=True))

    @classmethod
    def check(cls, path: Path, measured: Metrics) -> None:
        """Refuse metrics that are damaged or of other scores.

        Args:
            path: Of metrics.json.
            measured: What it is to hold.

        Raises:
            DataError: It holds something else; the text says what to run.
        """
        if cls.read(path) != measured:
            raise DataError(f"{path} is damaged or of another run; {cls.again('-f -s')}")

    @classmethod
    def of(cls, ranking: Ranking, means: Mapping[str, Means]) -> Self:
        """Make the metrics of a ranking.

        Args:
            ranking: The ranking.
            means: Of every method by its name, of all trials, too.
        """
        optional = {"sharpened": _rounded(ranking.sharpened), "cameras": _rounded(ranking.cameras)}
        return cls(
            schema_version=cls.VERSION,
            champion={"trial": ranking.champion, **_round(means[ranking.champion])},
            identity=_round(ranking.identity),
            baselines=_rounded(ranking.baseline_scores),
            trials=_rounded({name: means[name] for cell in ranking.cells for name in cell.trials}),
            **{name: values for name, values in optional.items() if values},
        )


def _round(means: Means) -> Means:
    return {name: round(value, DIGITS) for name, value in means.items()}


def _rounded(means: Mapping[str, Means]) -> dict[str, Means]:
    return {name: _round(values) for name, values in means.items()}
