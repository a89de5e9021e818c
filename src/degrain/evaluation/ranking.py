"""Ranking the grid: by mean validation PSNR, never by loss value, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from degrain.artifacts.trial import TrialRecord
from degrain.errors import DataError
from degrain.randomness import generator

CELL = ["model", "optimizer", "loss"]
# What decides on the held-out data, each a mean PSNR in dB. Images no larger than a patch have no photographs.
MEASURES = {"test_psnr": "test patches", "photograph_psnr": "held-out photographs"}


def interval(values: np.ndarray, resamples: int, confidence: float) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a mean.

    Args:
        values: float (N,), one per patch.
        resamples: How many.
        confidence: Coverage, such as 0.95.

    Returns:
        Lower and upper end. Patches of one photograph are alike, so this tells how far the mean depends on which
        patches were drawn, not how it would be on other photographs.

    Source: Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 1979.
    """
    draw = generator(0, "bootstrap", len(values))
    means = np.array([values[draw.integers(len(values), size=len(values))].mean() for _ in range(resamples)])
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def rank(
    trials: Sequence[TrialRecord], scores: pd.DataFrame, resamples: int, confidence: float
) -> list[dict[str, Any]]:
    """Rank the cells of the grid.

    Args:
        trials: Those that are done.
        scores: One row per item, see `degrain.evaluation.scoring`; method is the trial's name.
        resamples: Of the bootstrap.
        confidence: Of the intervals.

    Returns:
        One dictionary per cell (model, optimizer, loss), best first: its trials, the mean over random seeds and
        patches of val_psnr with interval and spread over seeds, and what the best trial of the cell reaches on test.

    Raises:
        DataError: No trial is done.
    """
    if not trials:
        raise DataError("no trial of the study is done: all diverged or failed; see degrain trials")
    summary = summarize(scores)
    cells = []
    table = pd.DataFrame([trial.model_dump(include={*CELL, "name", "parameters", "seconds"}) for trial in trials])
    for names, group in table.groupby(CELL, sort=True):
        per_seed = [scores.query("method == @name and split == 'val'")["psnr"].to_numpy() for name in group["name"]]
        over_seeds = np.mean(per_seed, axis=0)
        means = [float(values.mean()) for values in per_seed]
        best = group["name"].iloc[int(np.argmax(means))]
        low, high = interval(over_seeds, resamples, confidence)
        cells.append(
            dict(zip(CELL, names, strict=True))
            | {
                "trials": group["name"].tolist(),
                "best_trial": best,
                "seeds": len(means),
                "val_psnr": float(over_seeds.mean()),
                "val_psnr_low": low,
                "val_psnr_high": high,
                "val_psnr_seed_std": float(np.std(means, ddof=1)) if len(means) > 1 else None,
                "parameters": int(group["parameters"].iloc[0]),
                "seconds": float(group["seconds"].mean()),
                **{key: value for key, value in summary[best].items() if key != "val_psnr"},
            }
        )
    return sorted(cells, key=lambda cell: -float(cell["val_psnr"]))


def best_of_models(ranked: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the best cell of each model, best model first, out of ranked cells."""
    first: dict[str, dict[str, Any]] = {}
    for cell in ranked:
        first.setdefault(cell["model"], cell)
    return list(first.values())


def best_baseline(scores: Mapping[str, Mapping[str, float]]) -> str | None:
    """Return the name of the classical denoiser that is best on the validation patches; None if there is none."""
    return max(scores, key=lambda name: scores[name]["val_psnr"], default=None)


def headline(scores: Mapping[str, Any]) -> str:
    """Return the score that stands for a method: the PSNR of whole test images, or of test patches without them."""
    return "photograph_psnr" if "photograph_psnr" in scores else "test_psnr"


def by_camera(scores: pd.DataFrame, manifest: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Average what each method reaches on the test patches of each camera, since a mean over cameras hides the worst.

    Args:
        scores: See `degrain.evaluation.scoring`.
        manifest: With the columns path and camera.

    Returns:
        For each camera the PSNR of each method in dB; nothing unless there are at least two cameras.
    """
    tests = scores[(scores["split"] == "test") & (scores["item"] == "patch")]
    cameras = tests["image"].map(manifest.set_index("path")["camera"])
    if cameras.nunique() < 2:
        return {}
    means = tests.groupby([cameras, "method"], sort=False)["psnr"].mean()
    return {str(camera): means[camera].to_dict() for camera in sorted(cameras.dropna().unique())}


def summarize(scores: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Average the scores of each method.

    Returns:
        For each method: val_psnr, test_psnr, test_ssim over patches and, where there are whole test images,
        photograph_psnr, photograph_ssim over them.
    """
    result: dict[str, dict[str, float]] = {}
    for method, rows in scores.groupby("method", sort=False):
        val, test = rows[rows["split"] == "val"], rows[rows["split"] == "test"]
        patches, photographs = test[test["item"] == "patch"], test[test["item"] == "photograph"]
        result[str(method)] = {
            "val_psnr": float(val["psnr"].mean()),
            "test_psnr": float(patches["psnr"].mean()),
            "test_ssim": float(patches["ssim"].mean()),
        }
        if len(photographs):
            result[str(method)] |= {
                "photograph_psnr": float(photographs["psnr"].mean()),
                "photograph_ssim": float(photographs["ssim"].mean()),
            }
    return result
