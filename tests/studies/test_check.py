"""A study that cannot work is refused before anything starts, with the nearest name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest

from degrain.baselines.catalog import BASELINES
from degrain.errors import ParamsError
from degrain.ingest.datasets import catalog
from degrain.metrics.catalog import METRICS
from degrain.params.prepare import Column
from degrain.params.study import Params
from degrain.studies import check
from degrain.training.trial import expand
from tests.conftest import Whole, merged


def test_the_tiny_study_can_run(make_params: Callable[..., Params]) -> None:
    check.check(make_params())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": {"dataset": "photo"}}, "did you mean 'photos'?"),
        ({"train": {"models": ["u-net"]}}, "did you mean 'unet'?"),
        ({"evaluate": {"baselines": ["nml"]}}, "did you mean 'nlm'?"),
        ({"prepare": {"noise": Whole(kind="real")}}, "real needs a data set of pairs, which photos is not"),
        ({"prepare": {"copies": 2}, "train": {"exposure": [0.1, 1]}}, "only sRGB images with fresh noise can become"),
        ({"prepare": {"noise": Whole(kind="iso"), "color": "gray"}}, "iso cannot be added to images of 1 channels"),
        (
            {"prepare": {"noise": Whole(kind="shot_read", camera="IP-100"), "color": "gray"}},
            "shot_read cannot be added to images of 1 channels",
        ),
        ({"train": {"losses": [{"name": "ssim", "window": 65}]}}, "ssim needs a patch size of at least 65, not 64"),
        ({"prepare": {"patch_size": 60}}, "sinha2018 needs a size that is a multiple of 8, not 60"),
        ({"validate": {"allow": ["flatt"]}}, "validate.allow: there is no expectation 'flatt'; did you mean 'flat'?"),
        ({"validate": {"allow": ["psnr"]}}, "validate.allow: there is no expectation 'psnr'"),  # photos are no pairs
        ({"validate": {"allow": ["flat", "fewer"]}}, "validate.allow: there is no expectation 'fewer'"),
        ({"validate": {"allow": ["decodes"]}}, "validate.allow: without 'decodes' nothing can be prepared"),
        (
            {"validate": {"min_side": 600, "max_side": 500}},
            "validate.min_side: 600 is more than validate.max_side: 500",
        ),
        ({"validate": {"min_side": 1501}}, "1501 is more than validate.max_side: 1500 (the data set's own)"),
        ({"validate": {"max_side": 299}}, "validate.min_side: 300 (the data set's own) is more than"),
        (
            {"prepare": {"resize": {"size": [65535, 8]}, "patch_size": 32}},
            "prepare.resize.size: no patch of 32 pixels fits into 65535x8",
        ),
        ({"prepare": {"resize": {"size": [63, 64]}}}, "prepare.resize.size: no patch of 64 pixels fits into 63x64"),
        ({"prepare": {"resize": {"size": [63, 64]}, "crops": 3}}, "no patch of 64 pixels fits into 63x64"),
        (
            {"data": {"dataset": "mnist"}, "prepare": {"split": {"val": 0.1, "test": 0.1}}},
            "prepare.patch_size: no patch of 64 pixels fits into images of at most 28 pixels a side",
        ),
        ({"data": {"labels": ["cat"]}}, "data.labels: the images of photos have no label"),
        (
            {"data": {"only": {"camera": ["IP"]}}},
            "data.only.camera: the images of photos have no camera; known: source",
        ),
        ({"data": {"only": {"part": ["train"]}}}, "data.only.part: the images of photos have no part"),
    ],
)
def test_an_impossible_study_is_refused(make_params: Callable[..., Params], change: dict[str, Any], words: str) -> None:
    with pytest.raises(ParamsError) as caught:
        check.check(make_params(**change))
    assert words in str(caught.value)


def test_a_baseline_is_not_called_as_a_trial_is(
    make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    params = make_params(train={"seeds": [0, 1]})
    for model in params.train.models:
        for trial in expand(params.train, model):
            monkeypatch.setitem(BASELINES, trial.name, replace(BASELINES["median"], name=trial.name))
            with pytest.raises(ParamsError, match=rf"^evaluate\.baselines: {trial.name} is the name of a trial, too"):
                check.check(make_params(train={"seeds": [0, 1]}, evaluate={"baselines": ["median", trial.name]}))


COLUMNS = get_args(Column)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("name", catalog.DATASETS)
def test_a_split_is_by_what_the_images_have(make_params: Callable[..., Params], name: str, column: str) -> None:
    spec = catalog.spec(name)
    for split in ({"by": column}, {"apart": [column]}):
        made = make_params(
            data={"dataset": name},
            prepare=fitting(name) | {"split": {"val": 0.1, "test": 0.1, **split}},
            train={"models": ["unet"]},
        )
        if column in spec.listed or (column == "camera" and spec.light is None):
            check.check(made)
            continue
        words = rf"^prepare\.split\.{next(iter(split))}: the images of {name} have no {column}; "
        with pytest.raises(ParamsError, match=words):
            check.check(made)


@pytest.mark.parametrize("side", ["val", "test"])
@pytest.mark.parametrize("name", catalog.DATASETS)
def test_what_is_published_can_be_held_out(make_params: Callable[..., Params], name: str, side: str) -> None:
    split = {"val": 0.1, "test": 0.1, side: "published"}
    made = make_params(data={"dataset": name}, prepare=fitting(name) | {"split": split}, train={"models": ["unet"]})
    if side in catalog.spec(name).parts:
        check.check(made)
        return
    words = rf"^prepare\.split\.{side}: the publisher of {name} has no {side} part$"
    with pytest.raises(ParamsError, match=words):
        check.check(made)


def fitting(name: str) -> dict[str, Any]:
    """What of `prepare` the images of a data set can have."""
    noise = {"noise": Whole(kind="real")} if catalog.spec(name).pairs else {}
    return {"resize": {"size": [64, 64]}, **noise}


def test_images_may_be_larger_than_published_where_the_study_allows_it(make_params: Callable[..., Params]) -> None:
    change = {
        "data": {"dataset": "mnist"},
        "prepare": {"split": {"val": 0.1, "test": 0.1}},
        "train": {"models": ["unet"]},
    }
    with pytest.raises(ParamsError, match="images of at most 28 pixels a side"):
        check.check(make_params(validate={"allow": ["width"]}, **change))
    check.check(make_params(validate={"allow": ["width", "height"]}, **change))


def test_a_published_part_that_is_left_out_cannot_be_held_out(make_params: Callable[..., Params]) -> None:
    change = {"prepare": fitting("mnist") | {"split": {"val": 0.1, "test": "published"}}, "train": {"models": ["unet"]}}
    for parts, words in (
        (["train"], r"prepare\.split\.test: data\.only\.part leaves the published test part out"),
        (["trian", "test"], r"data\.only\.part: mnist has no part 'trian'; did you mean 'train'\?"),
    ):
        with pytest.raises(ParamsError, match=words):
            check.check(make_params(data={"dataset": "mnist", "only": {"part": parts}}, **change))
    check.check(make_params(data={"dataset": "mnist", "only": {"part": ["test", "train"]}}, **change))


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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train": {"models": ["sinha2018"]}}, None),
        (
            {"train": {"models": ["bernier2021"]}},
            "train.models: bernier2021 takes one size only, and unknown noise halves some of the patches",
        ),
        (
            {"train": {"losses": ["mse", "mae"]}},
            "train.losses: unknown noise is in the targets, too, whose mean mae does not find; use mse",
        ),
        (
            {"prepare": {"patch_size": 68}},
            "prepare.patch_size: unknown noise halves patches, and unet needs a size that is a multiple of 4, not 34",
        ),
        ({"train": {"exposure": [0.1, 1]}}, "train.exposure: only sRGB images with fresh noise can become darker"),
        (
            {"data": {"dataset": "sidd-small"}, "prepare": {"split": {"by": "scene", "val": 0.1, "test": 0.1}}},
            "prepare.noise: unknown is for images without clean ones, and sidd-small has them",
        ),
    ],
)
def test_what_cannot_learn_without_clean_images_is_refused(
    make_params: Callable[..., Params], change: dict[str, Any], words: str | None
) -> None:
    study = merged({"train": {"models": ["unet"]}, "prepare": {"noise": Whole(kind="unknown")}}, change)
    if words is None:
        check.check(make_params(**study))
        return
    with pytest.raises(ParamsError) as caught:
        check.check(make_params(**study))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"), [({"copies": 2}, "copies must be 0"), ({"patch_size": 65}, "needs an even patch_size")]
)
def test_what_only_noisy_images_cannot_be_prepared_with_is_refused(
    make_params: Callable[..., Params], change: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        make_params(prepare={"noise": Whole(kind="unknown"), **change})
