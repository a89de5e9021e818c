"""What is advised where no trial passes the gate."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from degrain.params.study import Params
from degrain.studies import gallery, outlook


@pytest.mark.parametrize(
    ("curve", "words"),
    [
        ([30.0], "one epoch shows no learning curve: train longer"),
        ([28.0, 29.0, 30.0, 30.4], "still rose, by 0.40 dB over the last 1 of its 4 epochs: train longer"),
        ([28.0] * 6 + [30.0, 30.02], "still rose, by 2.02 dB over the last 2 of its 8 epochs"),
        ([30.0, 31.0, 31.0, 31.01], "hardly rose any more (+0.01 dB over the last 1 of its 4 epochs)"),
        ([31.0, 31.0, 31.0, 30.0], "hardly rose any more (-1.00 dB"),
    ],
)
def test_the_curve_says_whether_to_train_longer(
    make_params: Callable[..., Params], curve: list[float], words: str
) -> None:
    told = outlook.advice(pd.DataFrame({"val_psnr": curve}), make_params())
    assert words in told
    assert told.endswith("until the study has a champion, degrain denoise uses best")


def test_the_command_trains_the_same_study_longer() -> None:
    params = gallery.changed(["study=bsd", "data.limit=9", "train.epochs=5"], "bsd")
    told = outlook.advice(pd.DataFrame({"val_psnr": [20.0, 21.0]}), params)
    assert "dvc exp run -S study=bsd -S data.limit=9 -S train.epochs=20;" in told
