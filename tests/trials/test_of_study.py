"""The trials that lie on the disk must be those that the study asks for, on its data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from degrain.artifacts.trial import WEIGHTS, Place
from degrain.errors import DataError
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.training.trial import expand
from degrain.trials import of_study
from tests.artifacts import records

ADAM = [{"name": "adam", "betas": [0.8, 0.9]}]


def lay_out(folder: Path, params: Params, store: PatchStore, **change: Any) -> Path:
    """The trial.json of every trial of a study."""
    for model in params.train.models:
        for trial in expand(params.train, model):
            path = folder / model / trial.name / "trial.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            key = trial.key(store, Place.model_validate(records.TRIAL["place"]), records.TRIAL["versions"])
            left = {"key": key, "sha256": {WEIGHTS: trial.name}}
            records.trial(**trial.settings(store).model_dump() | left | change).write(path)
    return folder


def test_the_study_s_own_trials_are_read(tmp_path: Path, store: PatchStore, make_params: Callable[..., Params]) -> None:
    params = make_params(train={"models": ["unet", "bernier2021"], "optimizers": ADAM, "losses": ["mse", "mae"]})
    found = of_study.read(lay_out(tmp_path / "trials", params, store), params, store)
    assert [trial.name for trial in found] == [
        "unet-adam-mae",
        "unet-adam-mse",
        "bernier2021-adam-mae",
        "bernier2021-adam-mse",
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data_sha256": "0" * 64}, "unet-adam-mse in .* was trained with another patch store than"),
        ({"training": {}}, "another train.accumulate and train.augment and train.batch_size and .* than"),
        ({"optimizer_settings": {"name": "adam", "lr": 1.0}}, "another train.optimizers than"),
        ({"name": "unet-sgd-mse"}, "unet/unet-adam-m.. holds another trial, unet-sgd-mse of unet; .* train@unet$"),
        ({"model": "rednet10"}, "unet/unet-adam-m.. holds another trial, unet-adam-m.. of rednet10; .* train@unet$"),
        (
            {"key": "other"},
            "in .* was trained by other code than there is now; run: dvc repro train@unet$",
        ),
        ({"network_sha256": "0"}, "was trained with other code of unet than there is now; run: dvc repro train@unet$"),
    ],
)
def test_others_are_refused(
    tmp_path: Path, store: PatchStore, make_params: Callable[..., Params], change: dict[str, Any], words: str
) -> None:
    params = make_params(train={"models": ["unet"], "optimizers": ADAM, "losses": ["mse"]})
    with pytest.raises(DataError, match=words):
        of_study.read(lay_out(tmp_path / "trials", params, store, **change), params, store)


def test_a_missing_one_is_missed(tmp_path: Path, store: PatchStore, make_params: Callable[..., Params]) -> None:
    few = make_params(train={"models": ["unet"], "optimizers": ADAM, "losses": ["mse"]})
    more = make_params(train={"models": ["unet"], "optimizers": ADAM, "losses": ["mse", "mae"]})
    with pytest.raises(DataError, match=r"trials lacks unet-adam-mae; run: dvc repro train@unet$"):
        of_study.read(lay_out(tmp_path / "trials", few, store), more, store)


def test_a_setting_of_another_value_is_named(
    tmp_path: Path, store: PatchStore, make_params: Callable[..., Params]
) -> None:
    one = make_params(train={"models": ["unet"], "optimizers": ADAM, "losses": ["mse"]})
    other = make_params(train={"models": ["unet"], "optimizers": ADAM, "losses": ["mse"], "epochs": 7, "batch_size": 3})
    words = r"another train\.batch_size and train\.epochs than .*; run: dvc repro train@unet$"
    with pytest.raises(DataError, match=words):
        of_study.read(lay_out(tmp_path / "trials", one, store), other, store)
