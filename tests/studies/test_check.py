"""A study that cannot work is refused before anything starts, with the nearest name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from degrain.errors import ParamsError
from degrain.params.study import Params
from degrain.studies import check


def test_the_tiny_study_can_run(make_params: Callable[..., Params]) -> None:
    check.check(make_params())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": {"dataset": "photo"}}, "did you mean 'photos'?"),
        ({"train": {"models": ["u-net"]}}, "did you mean 'unet'?"),
        ({"train": {"optimizers": ["adm"]}}, "did you mean 'adam'?"),
        ({"train": {"optimizers": [{"name": "adam", "rho": 0.9}]}}, "adam has no rho"),
        ({"train": {"losses": ["mes"]}}, "did you mean 'mse'?"),
        ({"evaluate": {"baselines": ["nml"]}}, "did you mean 'nlm'?"),
        ({"prepare": {"patch_size": 60}}, "sinha2018 needs a size that is a multiple of 8, not 60"),
    ],
)
def test_an_impossible_study_is_refused(make_params: Callable[..., Params], change: dict[str, Any], words: str) -> None:
    with pytest.raises(ParamsError) as caught:
        check.check(make_params(**change))
    assert words in str(caught.value)


def test_a_loss_only_has_to_work_in_the_pairs_that_are_trained(make_params: Callable[..., Params]) -> None:
    train = {"models": ["sinha2018"], "losses": ["mse", "bce"]}
    with pytest.raises(ParamsError, match="bce with sinha2018"):
        check.check(make_params(train=train))
    check.check(make_params(train=train | {"pairs": ["adam-mse", "adadelta-mse"]}))
