"""Grids of one trial, as register would publish them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from degrain.artifacts.history import COLUMNS
from degrain.artifacts.ranking import Ranking
from degrain.artifacts.trial import TrialRecord
from degrain.registry.publishing import Grid

# When the trial began and its epochs ended, in seconds since 1970.
BEGAN = 1_700_000_000.0


def history(epochs: int = 1) -> pd.DataFrame:
    """A trial's history: in each column the number of the epoch; one ended each second."""
    numbers = [float(n) for n in range(1, epochs + 1)]
    table = pd.DataFrame(dict.fromkeys(COLUMNS, numbers))
    return table.assign(epoch=table["epoch"].astype(int), ended=BEGAN + table["epoch"])


def grid(
    trial: TrialRecord,
    scores: dict[str, float],
    ranking: Ranking,
    figures: Path = Path("figures"),
    pictures: Path = Path("pictures"),
    epochs: int = 1,
) -> Grid:
    """A grid of one trial."""
    return Grid(
        study="tiny",
        title="Tiny <study> & test",
        trials={trial.name: trial},
        histories={trial.name: history(epochs)},
        scores={trial.name: scores},
        ranking=ranking,
        tags={},
        artifacts=(),
        figures=figures,
        pictures=pictures,
        dataset="photos",
        prepared=Path("data/prepared"),
        counts={"train": 8, "val": 2, "test": 2},
        made_of={"dvc.lock": b"stages: {prepare: {outs: [{path: data/prepared, md5: 0123456789abcdef.dir}]}}\n"},
    )
