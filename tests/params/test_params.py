"""params.yaml: what is refused, and in which words."""

from __future__ import annotations

import copy
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from degrain.errors import ParamsError
from degrain.params.study import Params, load_params, parse
from degrain.studies import check, gallery
from degrain.studies.reference import reference
from tests.conftest import ROOT, committed, merged


def load(tmp_path: Path, study: dict[str, Any]) -> Any:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(study))
    return load_params(path)


def test_the_shipped_study_loads(tmp_path: Path) -> None:
    params = load(tmp_path, yaml.safe_load(committed("params.yaml")))
    assert params.study.name == "quickstart"
    assert params.train.optimizers[1].name == "adadelta"  # a name alone will do


SUMMED = ["mse", "mae", "mape", "logcosh", "huber", "charbonnier", "ssim", "ms-ssim", "psnr"] * 3


@pytest.mark.parametrize(
    "change",
    [
        {"register": {"name": "x" * 255}},
        {"study": {"name": "x" * 64}},
        {"data": {"labels": ["x" * 255], "only": {"camera": ["猫" * 255]}}},
        {"prepare": {"min_std": 127.5, "split": {"val": 0.5, "test": 0.49}}, "validate": {"min_std": 127.5}},
        {"validate": {"psnr": [10, 10]}},
        {"train": {"optimizers": [{"name": "adam", "label": "x" * 64}], "pairs": []}},
    ],
)
def test_the_utmost_is_taken(tmp_path: Path, quickstart: dict[str, Any], change: dict[str, Any]) -> None:
    load(tmp_path, merged(quickstart, change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train": {"epoch": 3}}, "train.epoch is not a parameter; did you mean 'epochs'?"),
        ({"trian": {}}, "trian is not a parameter; did you mean 'train'?"),
        ({"prepare": {"noise": {"sigmaa": 3}}}, "prepare.noise.sigmaa is not a parameter; did you mean 'sigma'?"),
        ({"prepare": {"split": {"tst": []}}}, "did you mean 'test'?"),
        ({"train": {"optimizers": [{"name": "adam", "lrr": 1}]}}, "did you mean 'lr'?"),
        ({"train": {"epochs": 0}}, "train.epochs is 0: should be greater than or equal to 1"),
        ({"train": {"epochs": "many"}}, "train.epochs is 'many': should be a valid integer"),
        ({"train": {"losses": ["mse", "mse"]}}, "losses: mse is listed twice"),
        ({"train": {"losses": [5]}}, "train.losses.0 is 5: should be a name, or a mapping of a name and options"),
        ({"train": {"losses": "mse"}}, "train.losses is 'mse': should be a list"),
        ({"prepare": {"noise": "gaussian"}}, "prepare.noise is 'gaussian': should be a mapping of parameters"),
        ({"train": {"optimizers": ["adam", "adam"]}}, "optimizers: adam is listed twice"),
        (
            {
                "train": {
                    "optimizers": ["adam", {"name": "sgd", "label": "adam-mse"}],
                    "losses": ["mae", {"name": "sum", "terms": [{"name": "mse"}, {"name": "mae"}]}],
                }
            },
            "two cells are both called sinha2018-adam-mse-mae",
        ),
        ({"train": {"step_epochs": []}}, "train.step_epochs is []: list should have at least 1 item"),
        ({"train": {"step_epochs": [5, 0]}}, "train.step_epochs.1 is 0: should be greater than or equal to 1"),
        ({"train": {"pairs": ["adam-mse", "adam-mse"]}}, "pairs: adam-mse is listed twice"),
        (
            {"train": {"pairs": ["adadelta-mse", "adam-msa"]}},
            "no optimizer and loss of this study make 'adam-msa'; did you mean 'adam-mse'?",
        ),
        ({"prepare": {"noise": {"sigma": -1}}}, "prepare.noise.sigma is -1: should be greater than 0"),
        ({"prepare": {"noise": {"sigma": [50, 5]}}}, "sigma: a range is [least, most], not [50.0, 5.0]"),
        ({"prepare": {"noise": {"kind": "gausian"}}}, "kind is 'gausian': there is none; did you mean 'gaussian'?"),
        ({"prepare": {"split": {"by": "labl"}}}, "split.by is 'labl': there is none; did you mean 'label'?"),
        ({"prepare": {"noise": {"variance": 550}}}, "give sigma or variance, not both"),
        ({"prepare": {"split": {"val": "publish"}}}, "did you mean 'published'?"),
        ({"prepare": {"split": {"by": "copy"}}}, "say published_leaky: true if that is meant"),
        ({"prepare": {"bits": 16, "noise": {"clip": False}}}, "noise that is not clipped needs bits: 8"),
        ({"prepare": {"split": {"val": ["coffee"], "test": ["coffee"]}}}, "coffee cannot be in val and in test"),
        ({"prepare": {"split": {"val": 1.5}}}, "prepare.split.val is 1.5: should be less than 1"),
        ({"evaluate": {"tile": 15}}, "evaluate.tile is 15: should be greater than or equal to 16"),
        (
            {"train": {"losses": ["mse", {"name": "mae", "label": "MSE"}], "pairs": []}},
            "the cells sinha2018-adam-mse and sinha2018-adam-MSE differ only in letter case or Unicode form",
        ),
        ({"study": {"name": "Has Spaces"}}, "study.name is 'Has Spaces'"),
        ({"train": {"epochs": True}}, "train: epochs is true, which is neither a number nor a name"),
        ({"train": {"seeds": [0, False]}}, "train: seeds is false, which is neither a number nor a name"),
        ({"prepare": {"split": {"val": True}}}, "prepare.split: val is true, which is neither"),
        ({"prepare": {"noise": {"sigma": [True, 2]}}}, "prepare.noise: sigma is true, which is neither"),
        ({"train": {"optimizers": [{"name": "adam", "lr": True}]}}, "train.optimizers.0: lr is true, which is neither"),
        ({"train": {"deterministic": 7}}, "train.deterministic is 7: should be a valid boolean"),
        ({"prepare": {"split": {"val": []}}}, "prepare.split.val is []: list should have at least 1 item"),
        ({"prepare": {"resize": {"size": [40000, 40000]}}}, "40000 x 40000 is more than 200 million pixels"),
        ({"prepare": {"resize": {"size": [100000, 8]}}}, "prepare.resize.size.0 is 100000: should be less than"),
        ({"prepare": {"copies": 10**12}}, "prepare.copies is 1000000000000: should be less than"),
        ({"prepare": {"crops": 10**12}}, "prepare.crops is 1000000000000: should be less than"),
        ({"prepare": {"patch_size": 10**12}}, "prepare.patch_size is 1000000000000: should be less than"),
        ({"data": {"limit": 1e30}}, "data.limit is 1e+30"),
        ({"train": {"optimizers": [{"name": "adam", "lr": float("inf")}]}}, "lr is inf: should be a finite number"),
        ({"register": {"name": "x" * 256}}, "register.name is 'xxx"),
        ({"register": {"name": "x" * 256}}, "should have at most 255 characters"),
        ({"study": {"name": "x" * 65}}, "should have at most 64 characters"),
        ({"data": {"labels": ["a", "x" * 256]}}, "data.labels.1 is 'xxx"),
        ({"data": {"labels": ["x" * 256]}}, "should have at most 255 characters"),
        ({"data": {"only": {"camera": ["x" * 256]}}}, "data.only.camera.0 is 'xxx"),
        ({"data": {"only": {"scene": ["猫" * 256]}}}, "should have at most 255 characters"),
        ({"prepare": {"split": {"val": ["x" * 256]}}}, "should have at most 255 characters"),
        ({"train": {"optimizers": [{"name": "adam", "label": "x" * 65}]}}, "should have at most 64 characters"),
        (
            {
                "train": {
                    "optimizers": [{"name": "adam", "label": "x" * 64}],
                    "losses": [{"name": "sum", "terms": [{"name": name} for name in SUMMED]}],
                }
            },
            "has a name of more than 150 letters; give it a label",
        ),
        ({"prepare": {"min_std": 127.6}}, "prepare.min_std is 127.6: should be less than or equal to 127.5"),
        ({"validate": {"min_std": 200}}, "validate.min_std is 200: should be less than or equal to 127.5"),
        ({"validate": {"psnr": [50, 10]}}, "validate.psnr is [50, 10]: should be the least, then the most"),
        ({"validate": {"psnr": [10.1, 10.0]}}, "validate.psnr is [10.1, 10.0]: should be the least, then the most"),
        (
            {"prepare": {"split": {"val": 0.5, "test": 0.5}}},
            "prepare.split: shares of 0.5 for val and 0.5 for test leave nothing for training",
        ),
        ({"prepare": {"split": {"val": 0.99, "test": 0.02}}}, "leave nothing for training"),
        ({"evaluate": {"confidence": float("nan")}}, "evaluate.confidence is nan: should be a finite number"),
    ],
)
def test_a_mistake_is_named_in_one_line(
    tmp_path: Path, quickstart: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    with pytest.raises(ParamsError) as caught:
        load(tmp_path, merged(quickstart, change))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        (
            {"kind": "iso", "color_shift": [0.5, 7]},
            "prepare.noise.color_shift.1 is 7: should be less than or equal to 1",
        ),
        ({"kind": "iso", "intensity": [-5, -1]}, "prepare.noise.intensity.0 is -5: should be greater than"),
        ({"kind": "shot_read", "beta1": 1e-30}, "prepare.noise.beta1 is 1e-30: should be 0 or at least 1e-09"),
    ],
)
def test_noise_that_cannot_be_drawn_is_refused(
    tmp_path: Path, quickstart: dict[str, Any], noise: dict[str, Any], words: str
) -> None:
    with pytest.raises(ParamsError) as caught:
        load(tmp_path, quickstart | {"prepare": quickstart["prepare"] | {"noise": noise}})
    assert words in str(caught.value)


def test_a_missing_section_is_named(tmp_path: Path, quickstart: dict[str, Any]) -> None:
    quickstart = {key: value for key, value in quickstart.items() if key != "evaluate"}
    with pytest.raises(ParamsError, match="evaluate is missing"):
        load(tmp_path, quickstart)


@pytest.mark.parametrize("text", ["a: [1", "- a list", "", "\tx: 1"])
def test_a_broken_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError) as caught:
        load_params(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="run degrain in the project's folder"):
        load_params(tmp_path / "params.yaml")


def test_params_yaml_is_what_conf_composes(tmp_path: Path) -> None:
    from dvc.utils.hydra import compose_and_dump

    composed = tmp_path / "params.yaml"
    compose_and_dump(composed, str(ROOT / "conf"), None, "config", None, [])
    assert yaml.safe_load(composed.read_text()) == yaml.safe_load(committed("params.yaml"))


def test_the_reference_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "params.md").read_text() == reference() + "\n"


def test_every_parameter_is_described() -> None:
    assert "| None |" not in reference()


def test_the_command_of_a_study_names_what_differs_from_its_file() -> None:
    conf = ROOT / "conf"
    planned = gallery.compose("sinha2018", conf)
    assert gallery.command(Params.model_validate(planned), conf) == "dvc exp run -S study=sinha2018"
    planned["train"] |= {"seeds": [0], "epochs": 3}
    command = gallery.command(Params.model_validate(planned), conf)
    assert command == "dvc exp run -S study=sinha2018 -S 'train.seeds=[0]' -S train.epochs=3"
    with pytest.raises(ParamsError, match="holds no study 'sinha2081'"):
        gallery.compose("sinha2081", conf)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["study=mnst"], "holds no study 'mnst'; did you mean 'mnist'?"),
        (
            ["train.epoks=1"],
            "-S train.epoks=1: the study does not spell 'train.epoks' out; did you mean 'train.epochs'?",
        ),
        (
            ["study=mnist", "prepare.nois.sigma=1"],
            "does not spell 'prepare.nois.sigma' out; did you mean 'prepare",
        ),
        (["+train.epoks=1"], "-S: train.epoks is not a parameter; did you mean 'epochs'?"),
        (["train.epochs=0"], "-S: train.epochs is 0: should be greater than or equal to 1"),
        (["train.epochs=["], "-S train.epochs=[: "),
        (["junk"], "-S junk: the study does not spell 'junk' out; known: data.dataset, "),
    ],
)
def test_a_change_that_dvc_and_hydra_would_stumble_over_is_one_line(changes: list[str], words: str) -> None:
    with pytest.raises(ParamsError) as caught:
        gallery.changed(changes, "quickstart", ROOT / "conf")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_changes_are_laid_over_the_study_that_they_name() -> None:
    made = gallery.changed(["study=mnist", "train.epochs=3", "+train.clip_norm=2"], "quickstart", ROOT / "conf")
    assert (made.study.name, made.train.epochs, made.train.clip_norm) == ("mnist", 3, 2.0)


def test_the_command_of_a_study_can_be_run() -> None:
    planned = gallery.compose("quickstart", ROOT / "conf")
    planned["train"] |= {"losses": ["huber", {"name": "sum", "terms": [{"name": "mse", "weight": 0.5}]}]}
    changed = Params.model_validate(planned)
    *_, word = shlex.split(gallery.command(changed, ROOT / "conf"))
    planned["train"]["losses"] = json.loads(word.removeprefix("train.losses="))
    assert Params.model_validate(planned) == changed


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just([]) | st.just({})
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_any_value_anywhere_is_taken_or_refused_in_one_line(quickstart: dict[str, Any], data: st.DataObject) -> None:
    study = copy.deepcopy(quickstart)
    places = [name for name, _ in gallery.dotted(study)]
    for place in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=3)):
        *path, last = place.split(".")
        section: Any = study
        for part in path:
            section = section[part] if isinstance(section, dict) and part in section else {}
        if isinstance(section, dict):
            section[last] = data.draw(VALUES)
    try:
        check.check(parse(study, "study"))
    except ParamsError as error:
        refused = str(error)
    else:
        refused = ""
    assert "\n" not in refused
