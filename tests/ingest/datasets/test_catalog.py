"""The catalog: every data set documented, every study of the gallery able to run, real data where a mirror has it."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from degrain.errors import ParamsError, ValidationFailed
from degrain.ingest.datasets import catalog, overview
from degrain.params.study import Params
from degrain.studies import check, gallery, heads
from tests.conftest import MIRROR, ROOT, committed

GALLERY = sorted(path.stem for path in (ROOT / "conf" / "study").glob("*.yaml"))
needs_mirror = pytest.mark.skipif(not MIRROR.is_dir(), reason=f"needs the mirror of data sets in {MIRROR}")


def composed(name: str) -> dict[str, Any]:
    """A study of the gallery, wherever a test runs."""
    return copy.deepcopy(_composed(name))


@functools.cache
def _composed(name: str) -> dict[str, Any]:
    return gallery.compose(name, ROOT / "conf")


@pytest.mark.parametrize("name", GALLERY)
def test_every_study_of_the_gallery_can_run(name: str) -> None:
    params = Params.model_validate(composed(name))
    check.check(params)
    assert params.study.name == name
    head = heads.read(name, ROOT / "conf")
    assert (head.dataset, head.title) == (params.data.dataset, params.study.title)
    assert list(head.baselines) in ([], params.evaluate.baselines)


def test_every_data_set_has_a_study() -> None:
    assert {composed(name)["data"]["dataset"] for name in GALLERY} == set(catalog.DATASETS)


def test_params_yaml_is_the_quickstart_study() -> None:
    assert yaml.safe_load(committed("params.yaml")) == composed("quickstart")


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


@needs_mirror
@pytest.mark.slow
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


@needs_mirror
@pytest.mark.slow
def test_the_color_images_of_berkeley_are_as_many_as_published(run_stages: Callable[..., Params]) -> None:
    run_stages(composed("cbsd"), "download", "validate", "prepare")
    table = pd.read_parquet("data/validated/manifest.parquet")
    assert table["part"].value_counts().to_dict() == {"train": 400, "test": 68}
    assert not table["quarantined"].any()
