"""Ranking by validation PSNR, with honest intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from degrain.artifacts.trial import TrialRecord
from degrain.errors import DataError
from degrain.evaluation import ranking, summary
from tests.artifacts import records


def trial(name: str, model: str, loss: str, seed: int = 0) -> TrialRecord:
    return records.trial(name=name, model=model, loss=loss, seed=seed)


def scores(**val: list[float]) -> pd.DataFrame:
    rows = [
        {"method": name, "split": split, "item": item, "metric": metric, "value": value + shift}
        for name, values in val.items()
        for value in values
        for split, item, shift, metric in (
            ("val", "patch", 0, "psnr"),
            ("test", "patch", 1, "psnr"),
            ("test", "patch", 2, "ssim"),
            ("test", "photograph", 2, "psnr"),
        )
    ]
    return pd.DataFrame(rows)


def test_cells_are_ranked_by_validation_psnr_whatever_their_loss() -> None:
    trials = [trial("a", "m", "mse"), trial("b", "m", "mae"), trial("c", "n", "mse")]
    ranked = ranking.rank(trials, scores(a=[20, 22], b=[30, 32], c=[25, 25]), 200, 0.95)
    assert [cell.best_trial for cell in ranked] == ["b", "c", "a"]
    assert ranked[0].validation.mean == pytest.approx(31)
    assert ranked[0].scores["test_psnr"] == pytest.approx(32)
    assert ranked[0].scores["photograph_psnr"] == pytest.approx(33)


def test_seeds_of_a_cell_are_averaged() -> None:
    trials = [
        trial("a0", "m", "mse", 0),
        trial("a1", "m", "mse", 1),
        trial("b0", "m", "mae", 0),
        trial("b1", "m", "mae", 1),
    ]
    ranked = ranking.rank(trials, scores(a0=[30, 30], a1=[20, 20], b0=[26, 26], b1=[26, 26]), 200, 0.95)
    assert [(cell.loss, len(cell.trials)) for cell in ranked] == [("mae", 2), ("mse", 2)]
    assert ranked[1].validation.mean == pytest.approx(25)
    assert ranked[1].best_trial == "a0"
    assert ranked[1].validation.seed_std == pytest.approx(np.std([30, 20], ddof=1))


def test_each_camera_has_its_own_mean() -> None:
    table = scores(identity=[20.0, 30.0, 32.0], net=[25.0, 31.0, 35.0])
    table["image"] = [f"{number}.png" for _ in range(2) for number in range(3) for _ in range(4)]
    manifest = pd.DataFrame({"path": ["0.png", "1.png", "2.png", "unused.png"], "camera": ["S6", "G4", "G4", "IP"]})
    assert summary.by_camera(table, manifest) == {
        "G4": {"identity": 32.0, "net": 34.0},
        "S6": {"identity": 21.0, "net": 26.0},
    }
    assert summary.by_camera(table, manifest.assign(camera="S6")) == {}
    assert summary.by_camera(table, manifest.assign(camera=None)) == {}


def test_the_interval_is_that_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(30, 2, 400)
    low, high = ranking.interval(values, 4000, 0.95)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.03)
    assert high == pytest.approx(values.mean() + half, abs=0.03)
    assert ranking.interval(values, 4000, 0.95) == (low, high)


def test_an_empty_grid_is_refused() -> None:
    with pytest.raises(DataError, match="all diverged or failed"):
        ranking.rank([], scores(a=[1.0]), 100, 0.95)
