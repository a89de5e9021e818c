"""Ranking the grid: by mean validation PSNR, never by loss value, with bootstrap intervals."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from degrain.artifacts.ranking import Cell, Validation
from degrain.artifacts.trial import TrialRecord
from degrain.errors import DataError
from degrain.evaluation import summary
from degrain.evaluation.scoring import DECISIVE
from degrain.metrics.catalog import METRICS
from degrain.randomness import generator


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


def rank(trials: Sequence[TrialRecord], scores: pd.DataFrame, resamples: int, confidence: float) -> list[Cell]:
    """Rank the cells of the grid.

    Args:
        trials: Those that are done.
        scores: See `degrain.evaluation.scoring`; method is the trial's name.
        resamples: Of the bootstrap.
        confidence: Of the intervals.

    Returns:
        The cells, best first: by the mean that people are shown, then by SSIM, then by the number of parameters.

    Raises:
        DataError: No trial is done.
    """
    if not trials:
        raise DataError("no trial of the study is done: all diverged or failed; see degrain trials")
    means = summary.summarize(scores)
    decisive = (scores["split"] == "val") & (scores["metric"] == DECISIVE.name)
    validation = scores[decisive].groupby("method")["value"]
    per_trial = {str(method): values.to_numpy() for method, values in validation}
    cells = []
    for _, group in itertools.groupby(sorted(trials, key=_cell), _cell):
        of_cell = list(group)
        per_seed = [per_trial[trial.name] for trial in of_cell]
        best = of_cell[int(np.argmax([values.mean() for values in per_seed]))]
        cells.append(
            Cell(
                model=best.model,
                optimizer=best.optimizer,
                loss=best.loss,
                trials=[trial.name for trial in of_cell],
                best_trial=best.name,
                validation=_over_seeds(per_seed, resamples, confidence),
                parameters=best.parameters,
                seconds=float(np.mean([trial.seconds for trial in of_cell])),
                scores=means[best.name],
            )
        )
    return sorted(cells, key=partial(_place, means))


def _place(means: Mapping[str, Mapping[str, float]], cell: Cell) -> tuple[float, ...]:
    """What cells are sorted by: of those that nobody could tell apart, the one with more SSIM, or fewer parameters."""
    shown = round(cell.validation.mean, DECISIVE.digits)
    alike = float(np.mean([means[trial].get(summary.name("val", "ssim"), 0.0) for trial in cell.trials]))
    return -shown, -round(alike, METRICS["ssim"].digits), cell.parameters, -cell.validation.mean


def _cell(trial: TrialRecord) -> tuple[str, str, str]:
    return trial.model, trial.optimizer, trial.loss


def _over_seeds(per_seed: Sequence[np.ndarray], resamples: int, confidence: float) -> Validation:
    over_seeds = np.mean(per_seed, axis=0)
    low, high = interval(over_seeds, resamples, confidence)
    means = [float(values.mean()) for values in per_seed]
    return Validation(
        mean=float(over_seeds.mean()),
        low=low,
        high=high,
        seed_std=float(np.std(means, ddof=1)) if len(means) > 1 else None,
    )


def best_of_models(ranked: Sequence[Cell]) -> list[Cell]:
    """Return the best cell of each model, best model first, out of ranked cells."""
    first: dict[str, Cell] = {}
    for cell in ranked:
        first.setdefault(cell.model, cell)
    return list(first.values())


def best_baseline(means: Mapping[str, Mapping[str, float]]) -> str | None:
    """Return the name of the classical denoiser that is best on the validation patches; None if there is none.

    Args:
        means: Of each classical denoiser, by its name.
    """
    return max(means, key=lambda name: means[name][summary.name("val")], default=None)
