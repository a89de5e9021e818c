"""A study that cannot work is refused before anything starts, with the nearest name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from degrain.errors import ParamsError
from degrain.metrics.catalog import METRICS
from degrain.params.study import Params
from degrain.studies import check
from tests.conftest import Whole


def test_the_tiny_study_can_run(make_params: Callable[..., Params]) -> None:
    check.check(make_params())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": {"dataset": "photo"}}, "did you mean 'photos'?"),
        ({"train": {"models": ["u-net"]}}, "did you mean 'unet'?"),
        ({"evaluate": {"baselines": ["nml"]}}, "did you mean 'nlm'?"),
        ({"prepare": {"noise": Whole(kind="real")}}, "real needs a data set of pairs, which photos is not"),
        ({"prepare": {"noise": Whole(kind="iso"), "color": "gray"}}, "iso cannot be added to images of 1 channels"),
        (
            {"prepare": {"noise": Whole(kind="shot_read", camera="IP-100"), "color": "gray"}},
            "shot_read cannot be added to images of 1 channels",
        ),
        ({"train": {"losses": [{"name": "ssim", "window": 65}]}}, "ssim needs a patch size of at least 65, not 64"),
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


def test_patches_are_as_large_as_the_metrics_need(
    make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METRICS, "ssim", replace(METRICS["ssim"], smallest=65))
    with pytest.raises(ParamsError, match=r"prepare\.patch_size: SSIM needs at least 65 pixels, not 64"):
        check.check(make_params())
