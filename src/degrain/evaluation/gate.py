"""The gate: whether a trial is better than its rivals on held-out data, with the source as the unit of evidence.

A source is a photograph, or a scene where the study holds out whole scenes (see `degrain.patches.splits.units`), and
all patches of one are alike: a thousand of them are no more evidence than a few. So differences are averaged within
each source first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from degrain.artifacts.registration import Verdict
from degrain.evaluation import summary

if TYPE_CHECKING:
    from degrain.artifacts.ranking import Ranking
    from degrain.params.results import GateParams

# Coverage of the interval, of which only the lower end decides: a trial that is no better passes once in forty times.
CONFIDENCE = 0.95
# What is rounded in a verdict: dB.
DIGITS = 4


@dataclass(frozen=True)
class Rival:
    """Something that a trial has to beat.

    Attributes:
        name: For people.
        scores: Its rows, see `degrain.evaluation.scoring`; of the same data as the trial's.
        min_gain: By how much it must be beaten, in the metric's unit.
    """

    name: str
    scores: pd.DataFrame
    min_gain: float


def rivals(scores: pd.DataFrame, ranking: Ranking, params: GateParams) -> list[Rival]:
    """Return what every trial of a study has to beat: the noisy input, and each classical denoiser.

    Args:
        scores: Of the study, see `degrain.evaluation.scoring`.
        ranking: Of the same scores.
        params: By how much.
    """
    names = {"identity": "the noisy input", **{name: f"baseline {name}" for name in ranking.baselines}}
    return [Rival(name, scores[scores["method"] == method], params.min_gain) for method, name in names.items()]


def of_trial(name: str, scores: pd.DataFrame, ranking: Ranking, params: GateParams) -> list[Verdict]:
    """Hold a trial of a study against what every trial has to beat.

    Args:
        name: Of the trial.
        scores: Of the study, see `degrain.evaluation.scoring`.
        ranking: Of the same scores.
        params: By how much.
    """
    return judge(scores[scores["method"] == name], rivals(scores, ranking, params), params.min_sources)


def judge(candidate: pd.DataFrame, opposed: Sequence[Rival], min_sources: int) -> list[Verdict]:
    """Hold a trial against each rival.

    With `min_sources` or more, the lower end of the interval over the sources' differences must be above what is
    needed. With fewer, no interval means anything: the mean difference must be above it, and every source be won.

    Args:
        candidate: The trial's rows, see `degrain.evaluation.scoring`.
        opposed: The rivals.
        min_sources: How many sources are enough for an interval, at least 2.

    Returns:
        One verdict per rival and measure. A tie does not pass.
    """
    measured = {measure: summary.by_unit(candidate, measure) for measure in summary.MEASURES}
    verdicts = []
    for rival in opposed:
        for measure, mine in measured.items():
            if mine.empty:
                continue
            its = summary.by_unit(rival.scores, measure)
            gains = (mine - its).to_numpy()
            low = lower_end(gains) if len(gains) >= min_sources else None
            won = int((gains > 0).sum())
            passed = low > rival.min_gain if low is not None else gains.mean() > rival.min_gain and won == len(gains)
            verdicts.append(
                Verdict(
                    rival=rival.name,
                    measure=measure,
                    candidate=round(float(mine.mean()), DIGITS),
                    rival_score=round(float(its.mean()), DIGITS),
                    gain=round(float(gains.mean()), DIGITS),
                    low=None if low is None else round(low, DIGITS),
                    sources=len(gains),
                    won=won,
                    needed=rival.min_gain,
                    passed=bool(passed),
                )
            )
    return verdicts


def lower_end(differences: np.ndarray) -> float:
    """Return the lower end of the two-sided t interval of a mean.

    Args:
        differences: float (N,), one for each source; N is at least 2.

    Source: Student, "The probable error of a mean", Biometrika 1908.
    """
    from scipy import stats

    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, len(differences) - 1)
    return float(differences.mean() - quantile * differences.std(ddof=1) / np.sqrt(len(differences)))


def evidence(verdict: Verdict) -> str:
    """Say in a few words what a verdict rests on."""
    counted = f"{verdict.sources} source{'s' if verdict.sources != 1 else ''}"
    if verdict.low is None:
        return f"{counted}: too few for an interval, {verdict.won} won"
    metric = summary.metric_of(verdict.measure)
    return f"{counted}, at least {verdict.low:+.{metric.digits}f} with {CONFIDENCE:.0%} confidence"


def comparison(verdict: Verdict) -> str:
    """Return both scores, the gain and what it rests on."""
    metric = summary.metric_of(verdict.measure)
    scores = summary.text(verdict.measure, verdict.candidate), metric.text(verdict.rival_score)
    return (
        f"{scores[0]} to {scores[1]} on {summary.MEASURES[verdict.measure]} ({verdict.gain:+.{metric.digits}f}; "
        f"{evidence(verdict)})"
    )


def refusals(verdicts: Sequence[Verdict]) -> list[str]:
    """Say for each verdict that was not passed what is missing."""
    return [
        f"{summary.text(v.measure, v.candidate)} on {summary.MEASURES[v.measure]} does not beat {v.rival} "
        f"({summary.text(v.measure, v.rival_score)})"
        + (f" by {v.needed:g} {summary.metric_of(v.measure).unit}" if v.needed else "")
        + f" ({v.gain:+.{summary.metric_of(v.measure).digits}f}; {evidence(v)})"
        for v in verdicts
        if not v.passed
    ]
