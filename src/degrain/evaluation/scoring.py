"""The table of scores: every method, measured on the same held-out patches and photographs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from degrain.evaluation import held_out
from degrain.evaluation.methods import Method
from degrain.metrics.base import Metric
from degrain.metrics.catalog import METRICS
from degrain.patches.store import PatchStore, Photograph

COLUMNS = ["method", "kind", "split", "item", "image", "metric", "value"]
# The metric that ranks the networks, that the gate asks for, and that alone is measured on validation patches.
DECISIVE = METRICS["psnr"]


def score(method: Method, store: PatchStore, photographs: Sequence[Photograph]) -> pd.DataFrame:
    """Measure a method.

    Args:
        method: What denoises.
        store: Whose val and test patches are denoised.
        photographs: Whole test images; may be none.

    Returns:
        One row per item and metric, with the columns of `COLUMNS`: every val patch by `DECISIVE`, every test patch and
        photograph by every metric of `METRICS`.
    """
    frames = []
    for split, metrics in (("val", [DECISIVE]), ("test", list(METRICS.values()))):
        side = store.split(split)
        images = side.index["image"]
        for part, noisy, clean in held_out.parts(side):
            measured = _measured(metrics, method.patches(noisy), clean)
            frames.append(_frame(method, split, "patch", images[part].tolist(), measured))
    for image in photographs:
        measured = _measured(METRICS.values(), method.photograph(image.noisy)[None], np.asarray(image.clean)[None])
        frames.append(_frame(method, "test", "photograph", [image.name], measured))
    return pd.concat(frames, ignore_index=True)


def _measured(metrics: Iterable[Metric], images: np.ndarray, clean: np.ndarray) -> dict[str, np.ndarray]:
    return {metric.name: metric.measure(images, clean) for metric in metrics}


def _frame(method: Method, split: str, item: str, images: list[str], measured: dict[str, np.ndarray]) -> pd.DataFrame:
    wide = pd.DataFrame({"method": method.name, "kind": method.kind, "split": split, "item": item, "image": images})
    long = [wide.assign(metric=metric, value=values) for metric, values in measured.items()]
    return pd.concat(long, ignore_index=True)[COLUMNS]
