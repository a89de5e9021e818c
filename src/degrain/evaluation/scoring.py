"""The table of scores: every method, measured on the same held-out patches and photographs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from degrain import catalogs
from degrain.errors import ParamsError
from degrain.evaluation import held_out
from degrain.evaluation.methods import Method
from degrain.metrics.catalog import METRICS
from degrain.patches.store import PatchStore, Photograph

COLUMNS = ["method", "kind", "split", "item", "image", "unit", "metric", "value"]
# The metric that ranks the networks, and that the gate asks for.
DECISIVE = METRICS["psnr"]


def score(method: Method, store: PatchStore, photographs: Sequence[Photograph]) -> pd.DataFrame:
    """Measure a method.

    Args:
        method: What denoises.
        store: Whose val and test patches are denoised.
        photographs: Whole test images; may be none.

    Returns:
        One row per item and metric of `METRICS`, with the columns of `COLUMNS`, for every val and test patch and every
        photograph.

    Raises:
        ParamsError: A metric fails, or gives no finite number for an image; the text names metric, method and image.
    """
    frames = []
    units = store.images().set_index("path")["unit"]
    for split in ("val", "test"):
        side = store.split(split)
        for part, noisy, clean in held_out.parts(side):
            images = side.index["image"].iloc[part].reset_index(drop=True)
            items = pd.DataFrame({"image": images, "unit": images.map(units), "split": split, "item": "patch"})
            frames.append(_frame(method, items, method.patches(noisy), clean))
    for whole in photographs:
        items = pd.DataFrame({"image": [whole.name], "unit": whole.unit, "split": "test", "item": "photograph"})
        frames.append(_frame(method, items, method.photograph(whole.noisy)[None], np.asarray(whole.clean)[None]))
    return pd.concat(frames, ignore_index=True)


def _frame(method: Method, items: pd.DataFrame, images: np.ndarray, clean: np.ndarray) -> pd.DataFrame:
    wide = items.assign(method=method.name, kind=method.kind)
    long = [wide.assign(metric=metric.name, value=metric.values(images, clean)) for metric in METRICS.values()]
    table = pd.concat(long, ignore_index=True)[COLUMNS]
    if not np.isfinite(table["value"]).all():
        worst = table[~np.isfinite(table["value"])].iloc[0]
        file = catalogs.file_of_function(METRICS[worst["metric"]].measure)
        what = f"{worst['metric']} of {method.name} is {worst['value']} for the {worst['item']} {worst['image']}"
        raise ParamsError(f"{file}: {what}, and must be a finite number")
    return table
