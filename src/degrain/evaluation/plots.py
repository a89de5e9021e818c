"""The tables behind `dvc plots show`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from degrain.artifacts.metrics import DIGITS
from degrain.artifacts.ranking import Ranking

CURVES = ["trial", "epoch", "train_loss", "val_loss", "val_psnr"]


def write(
    folder: Path, ranking: Ranking, means: Mapping[str, dict[str, float]], histories: Mapping[str, pd.DataFrame]
) -> None:
    """Write the tables.

    Args:
        folder: Gets learning_curves.csv, a row per trial and epoch, and ranking.csv, a row per method.
        ranking: The ranking.
        means: Of every method by its name.
        histories: Of every trial by its name.
    """
    curves = pd.concat([history.assign(trial=name) for name, history in histories.items()])
    curves[CURVES].to_csv(folder / "learning_curves.csv", index=False)
    names = ["identity", *ranking.baselines, *(name for cell in ranking.cells for name in cell.trials)]
    rows = [{"method": name, **means[name]} for name in names]
    pd.DataFrame(rows).round(DIGITS).to_csv(folder / "ranking.csv", index=False)
