"""What to do about a study whose best trial does not pass the gate, as far as its learning curve tells."""

from __future__ import annotations

import pandas as pd

from degrain.errors import ParamsError
from degrain.params.study import Params
from degrain.shipped import catalog
from degrain.studies import gallery

# A curve still rises if it gained so much, in dB, over the last quarter of its epochs.
RISING = 0.1
# How many times as many epochs are advised then.
LONGER = 4


def advice(history: pd.DataFrame, params: Params) -> str:
    """Say whether longer training promises more, and what denoises until the study has a champion.

    Args:
        history: Of the best trial, a row for each epoch, see `degrain.artifacts.history`.
        params: The study.
    """
    return f"{_curve(history, params)}; until the study has a champion, degrain denoise uses {catalog.DEFAULT}"


def _curve(history: pd.DataFrame, params: Params) -> str:
    curve = history["val_psnr"].to_numpy()
    quarter = max(1, len(curve) // 4)
    if len(curve) <= quarter:
        return f"one epoch shows no learning curve: train longer: {_longer(params)}"
    gain = float(curve[-1] - curve[-1 - quarter])
    over = f"over the last {quarter} of its {len(curve)} epochs"
    if gain >= RISING:
        return f"its validation PSNR still rose, by {gain:.2f} dB {over}: train longer: {_longer(params)}"
    return f"its validation PSNR hardly rose any more ({gain:+.2f} dB {over}): try a larger network or more images"


def _longer(params: Params) -> str:
    """The command that runs the study with more epochs."""
    train = params.train.model_copy(update={"epochs": LONGER * params.train.epochs})
    try:
        return gallery.command(params.model_copy(update={"train": train}))
    except ParamsError:  # the project has no study of that name
        return f"set train.epochs to {train.epochs}"
