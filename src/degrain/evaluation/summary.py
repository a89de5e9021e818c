"""Means of the table of scores, under one name each: `test_psnr` is the mean PSNR of the test patches."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from degrain.evaluation.scoring import DECISIVE
from degrain.metrics.base import Metric
from degrain.metrics.catalog import METRICS

# Where a mean is taken over, and what people call that. Images no larger than a patch have no photographs.
GROUPS = {"val": "validation patches", "test": "test patches", "photograph": "held-out photographs"}


def name(group: str, metric: str = DECISIVE.name) -> str:
    """Return the name of a mean, such as `test_psnr`."""
    return f"{group}_{metric}"


# The means that the gate asks for.
MEASURES = {name(group): GROUPS[group] for group in ("test", "photograph")}


def metric_of(name: str) -> Metric:
    """Return the metric of a mean."""
    return METRICS[name.partition("_")[2]]


def text(name: str, value: float) -> str:
    """Return a mean for people, such as `30.43 dB`."""
    metric = metric_of(name)
    return f"{metric.text(value)} {metric.unit}".rstrip()


def summarize(scores: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Average the scores of each method.

    Args:
        scores: See `degrain.evaluation.scoring`.

    Returns:
        For each method its means by name.
    """
    groups = _groups(scores)
    result: dict[str, dict[str, float]] = {}
    for (method, group, metric), values in scores["value"].groupby(
        [scores["method"], groups, scores["metric"]], sort=False
    ):
        result.setdefault(str(method), {})[name(str(group), str(metric))] = float(values.mean())
    return result


def by_unit(scores: pd.DataFrame, measure: str) -> pd.Series:
    """Average the scores of one method over the items of each unit of evidence.

    Args:
        scores: See `degrain.evaluation.scoring`.
        measure: Of `MEASURES`.

    Returns:
        float, by the name of the unit (a source or scene); empty where there are no such items.
    """
    group, _, metric = measure.partition("_")
    chosen = scores[(_groups(scores) == group) & (scores["metric"] == metric)]
    return chosen.groupby("unit", observed=True)["value"].mean()


def _groups(scores: pd.DataFrame) -> pd.Series:
    return scores["split"].where(scores["item"] == "patch", scores["item"])


def by_camera(scores: pd.DataFrame, manifest: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Average what each method reaches on the test patches of each camera, since a mean over cameras hides the worst.

    Args:
        scores: See `degrain.evaluation.scoring`.
        manifest: With the columns path and camera.

    Returns:
        For each camera the mean of each method, by the decisive metric; nothing unless there are at least two cameras.
    """
    tests = scores.query("split == 'test' and item == 'patch' and metric == @DECISIVE.name")
    cameras = tests["image"].map(manifest.set_index("path")["camera"])
    if cameras.nunique() < 2:
        return {}
    means = tests.groupby([cameras, "method"], sort=False)["value"].mean()
    return {str(camera): means[camera].to_dict() for camera in sorted(cameras.dropna().unique())}


def headline(scores: Mapping[str, float]) -> str:
    """Return the mean that stands for a method: that of whole test images, or of test patches without them."""
    return name("photograph") if name("photograph") in scores else name("test")
