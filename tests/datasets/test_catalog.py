"""The catalog: every data set documented, every study of the gallery able to run, real data where a mirror has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from degrain import study
from degrain.datasets import catalog, overview
from degrain.errors import ParamsError, ValidationFailed
from degrain.images.store import PatchStore
from degrain.params import Params, gallery
from tests.conftest import MIRROR, ROOT

GALLERY = sorted(path.stem for path in (ROOT / "conf" / "study").glob("*.yaml"))
needs_mirror = pytest.mark.skipif(not MIRROR.is_dir(), reason=f"needs the mirror of data sets in {MIRROR}")


def composed(name: str) -> dict[str, Any]:
    """A study of the gallery, wherever a test runs."""
    return gallery.compose(name, ROOT / "conf")


@pytest.mark.parametrize("name", GALLERY)
def test_every_study_of_the_gallery_can_run(name: str) -> None:
    params = Params.model_validate(composed(name))
    study.check(params)
    assert params.study.name == name


def test_every_data_set_has_a_study() -> None:
    assert {composed(name)["data"]["dataset"] for name in GALLERY} == set(catalog.DATASETS)


def test_params_yaml_is_the_quickstart_study() -> None:
    assert yaml.safe_load((ROOT / "params.yaml").read_text()) == composed("quickstart")


@pytest.mark.parametrize("name", catalog.DATASETS)
def test_every_data_set_says_where_it_comes_from_and_how_it_is_split(name: str) -> None:
    dataset = catalog.spec(name)
    assert dataset.title
    assert dataset.licence
    assert dataset.split
    assert dataset.citation or dataset.origin == "data.path"
    assert dataset.files or dataset.download
    for file in dataset.files:
        assert file.urls or file.kaggle or "mirror" in dataset.needs
        assert file.sha256 is None or len(file.sha256) == 64


def test_the_page_of_data_sets_is_up_to_date() -> None:
    page = (ROOT / "docs" / "data.md").read_text()
    assert page.endswith(overview.reference() + "\n"), "run: degrain datasets --markdown"


def test_an_unknown_data_set_is_refused_with_the_nearest() -> None:
    with pytest.raises(ParamsError, match="did you mean 'fer2013'"):
        catalog.spec("fer2012")


# How much of each data set the tests take, and what its store then holds.
SMALL: dict[str, dict[str, Any]] = {
    "mnist": {"limit": 140},
    "fashion-mnist": {"limit": 140},
    "cifar10-images": {"limit": 100},
    "fer2013": {"limit": 100},
    "fer2013-leaky": {"limit": 60},
    "vinbigdata-512": {"limit": 0},
    "sidd-small": {"limit": 60},
    "sidd-scene001-crops": {"limit": 600},
    "sidd-scene001-leaky": {"limit": 600},
    "sidd-native-crops": {"limit": 0},
    "bsd": {"limit": 100},
}


@needs_mirror
@pytest.mark.parametrize("name", SMALL)
def test_real_data_goes_through_download_validate_and_prepare(
    name: str, tmp_path: Path, run_stages: Callable[..., Params]
) -> None:
    made = composed(name)
    made["data"] |= SMALL[name]
    params = run_stages(made, "download", "validate", "prepare")
    store = PatchStore.open(tmp_path / "data" / "prepared")
    sides = {split: store.split(split) for split in ("train", "val", "test")}
    assert all(len(side) for side in sides.values())
    assert bool(store.leaks) == params.prepare.split.published_leaky
    if not store.leaks:
        sources = [set(side.index["source"]) for side in sides.values()]
        assert not sources[0] & sources[1] | sources[0] & sources[2] | sources[1] & sources[2]
    if params.prepare.noise.kind == "real":
        for side in sides.values():
            assert side.noisy is not None
            error = np.mean((side.noisy.astype(float) - side.clean) ** 2)
            assert 0 < error < 0.25 * np.var(side.clean.astype(float)) + 1200
    source = json.loads((tmp_path / "data" / "raw" / params.data.dataset / "source.json").read_text())
    assert all(len(file["sha256"]) == 64 for file in source["files"])


@needs_mirror
def test_the_wrong_targets_of_scene_001_are_found_by_themselves(
    tmp_path: Path, run_stages: Callable[..., Params]
) -> None:
    """Sinha 2018 trained the phone G4 on the clean images of N6."""
    made = composed("sidd-scene001-crops")
    run_stages(made, "download", "validate")
    table = pd.read_parquet(tmp_path / "data" / "validated" / "manifest.parquet")
    assert len(table) == 3000
    assert set(table["camera"][table["quarantined"]]) == {"G4"}
    assert table["quarantined"].sum() == 600
    assert set(table["shared_with"].dropna()) == {"N6"}
    made["validate"]["on_failure"] = "stop"
    with pytest.raises(ValidationFailed, match=r"no clean image that belongs to another scene instance.*gt_set/G4_"):
        run_stages(made, "validate")
