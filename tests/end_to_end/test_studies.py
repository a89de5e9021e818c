"""Every study of conf/study, from download to report, on real images and cut down to seconds.

Models, optimizers, losses, noise and split are the study's own; images, patches, epochs, seeds and baselines are few.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from jinja2 import Environment
from markupsafe import escape

from degrain.ingest.datasets import catalog as datasets
from degrain.networks import catalog as models
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.stages import (
    CHECKSUMS,
    METRICS,
    PREPARED,
    RAW,
    REPORT,
    TRIALS,
    download,
    evaluate,
    prepare,
    report,
    train,
    validate,
)
from degrain.studies import check
from degrain.trials import of_study
from tests.conftest import MIRROR, merged
from tests.end_to_end import real_images
from tests.ingest.datasets.test_catalog import GALLERY, composed, needs_mirror

pytestmark = [pytest.mark.slow, needs_mirror]

# Where the mirror lacks a data set, or has other images under its name: the nearest ones, and what else that changes.
NEAREST: dict[str, dict[str, Any]] = {
    "cifar10": {"data": {"dataset": "cifar10-images"}},
    "sidd-medium": {"data": {"dataset": "sidd-small"}},
    "vinbigdata-512": {"validate": {"partial": True, "min_side": 256, "max_side": 1024}},
    "sidd-small-raw": {"validate": {"partial": True}},
}
# Data sets that are made of real images in the publisher's layout, and folders of one's own, by the study's name.
MADE: dict[str, Callable[[Path], None]] = {
    "sidd-small-raw": real_images.sidd_small_raw,
    "sidd-validation": real_images.sidd_validation,
}
OWN: dict[str, Callable[[Path], None]] = {
    "camera-raw": real_images.camera_raw,
    "folder": real_images.photographs,
    "only-noisy": real_images.only_noisy,
    "pairs": real_images.pairs,
}
IMAGES, COPIES, CROPS, BATCH = 60, 10, 1, 2

# What is on two sides, as a paper has published it; no other study may leak.
LEAKS = {
    "bernier2021-fer": {"source"},
    "bernier2021-fer-unet": {"source"},
    "fer2013-leaky": {"source"},
    "sidd-scene001-leaky": {"source", "scene", "near_copies"},
    "sinha2018": {"source", "scene", "near_copies"},
    "sinha2018-iphone": {"source", "scene", "near_copies"},
    "sinha2018-unet": {"source", "scene", "near_copies"},
    "sinha2018-x4": {"source", "scene", "near_copies"},
    "yilmaz2020": {"scene", "near_copies"},
    "yilmaz2020-batch16": {"scene", "near_copies"},
    "yilmaz2020-cutmix": {"scene", "near_copies"},
    "yilmaz2020-cutout": {"scene", "near_copies"},
    "yilmaz2020-mixup": {"scene", "near_copies"},
}
# A step of SGD along the percentage error of black pixels is too long for any network.
DIVERGING = {"sinha2018-sgd-mape"}


def small(made: dict[str, Any]) -> dict[str, Any]:
    """A study on the nearest images that there are, with few of everything that only takes time."""
    prepared, split, trained = made["prepare"], made["prepare"]["split"], made["train"]
    batch = min(BATCH, trained["batch_size"])
    named = split["by"] in ("source", "instance") and isinstance(split["test"], list)
    change = {
        "data": {"limit": 0 if named else IMAGES},
        "prepare": {
            "copies": min(COPIES, prepared["copies"]),
            "crops": min(CROPS, prepared["crops"]),
            "stride": 3 * prepared.get("patch_size", 64),
            "whole_images": int(len(trained["optimizers"]) == 1),
        },
        "train": {"epochs": 1, "batch_size": batch, "patches_per_epoch": 2 * batch, "seeds": trained["seeds"][:1]},
        "evaluate": {"baselines": ["median"], "bootstrap": 100},
        "report": {"strips": 1, "frames": 4},
    }
    return merged(merged(made, change), NEAREST.get(made["data"]["dataset"], {}))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What outlives a study: its downloads, of which the next one gets links."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def of_data() -> dict[str, Path]:
    """Folders with what the stages of data have left, by the sections of the study that those depend on."""
    return {}


@pytest.fixture(scope="module", autouse=True)
def probed_once() -> Iterator[None]:
    """Networks are probed for images of one kind once, whichever studies and stages ask for it."""
    from degrain.studies import network_probes

    check = network_probes.check_networks

    @functools.cache
    def once(name: str, channels: int, patch_size: int) -> None:
        check([name], channels, patch_size)

    def check_networks(names: Iterable[str], channels: int, patch_size: int) -> None:
        for name in names:
            once(name, channels, patch_size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network_probes, "check_networks", check_networks)
        yield


@pytest.fixture(scope="module", autouse=True)
def compiled_once() -> Iterator[None]:
    """Great Expectations makes an environment for every page; its hundred templates are the same in each."""
    compile_anew, known = Environment.compile, dict[Any, Any]()

    def compile_once(self: Environment, source: Any, name: Any = None, filename: Any = None, *how: Any) -> Any:
        key = (source, name, filename, *how, *sorted(self.extensions), *sorted(self.filters))
        if key not in known:
            known[key] = compile_anew(self, source, name, filename, *how)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Environment, "compile", compile_once)
        yield


@pytest.fixture
def params(name: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """A small study in an empty folder, with a mirror that holds its images."""
    made = small(composed(name))
    mirror = MIRROR
    if name in OWN:
        OWN[name](tmp_path / "own")
        made["data"]["path"] = str(tmp_path / "own")
    if make := MADE.get(made["data"]["dataset"]):
        mirror = tmp_path / "mirror"
        make(mirror)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEGRAIN_MIRROR", str(mirror))
    monkeypatch.setenv("DEGRAIN_HOME", str(home))
    spec = datasets.spec(made["data"]["dataset"])
    lacking = [file.mirror for file in spec.files if not (mirror / file.mirror).exists()]
    assert not lacking, f"the mirror lacks {lacking}: name the nearest real images in NEAREST, MADE or OWN"
    return Params.model_validate(made)


def cells(params: Params) -> set[str]:
    """The names that the trials must have."""
    grid = params.train
    pairs = itertools.product((one.title for one in grid.optimizers), (one.title for one in grid.losses))
    wanted = grid.pairs or ["-".join(pair) for pair in pairs]
    return {f"{model}-{pair}" for model in grid.models for pair in wanted}


def identity_psnr(store: PatchStore) -> float:
    """The mean PSNR of the noisy test patches, by the formula alone; equal images have 100 dB."""
    side = store.split("test")
    clean, white = side.clean.astype(np.float64), float(np.iinfo(side.clean.dtype).max)
    assert side.noisy is not None
    noisy = np.rint(np.clip(side.noisy.astype(np.float64), 0, white))
    error = ((noisy - clean) ** 2).mean(axis=(1, 2, 3))
    return float(np.mean([100 if e == 0 else 10 * np.log10(white**2 / e) for e in error]))


def run_data_stages(params: Params, known: dict[str, Path]) -> None:
    """Run the stages from download to prepare, or copy what they left for the same sections of another study."""
    key = json.dumps(
        [getattr(params, section).model_dump(mode="json") for section in ("data", "validation", "prepare")]
    )
    if key in known:
        for name in ("data", "results"):
            shutil.copytree(known[key] / name, name, copy_function=os.link)
        return
    for stage in (download, validate, prepare):
        stage.run(params)
    known[key] = Path("data-stages").absolute()
    for name in ("data", "results"):
        shutil.copytree(name, known[key] / name, copy_function=os.link)


# Studies of one paper on one worker, since some of them have the same data.
NAMES = [pytest.param(name, marks=pytest.mark.xdist_group(name.partition("-")[0])) for name in GALLERY]


@pytest.mark.parametrize("name", NAMES)
def test_a_study_runs_from_download_to_report(name: str, params: Params, of_data: dict[str, Path]) -> None:
    check.check(params)
    run_data_stages(params, of_data)
    source = json.loads((RAW / params.data.dataset / "source.json").read_text())
    assert all(len(file["sha256"]) == 64 for file in source["files"])
    files = datasets.spec(params.data.dataset).files
    assert CHECKSUMS.is_file() == any(file.sha256 is None for file in files)
    store = PatchStore.open(PREPARED)
    assert set(store.leaks) == LEAKS.get(name, set())
    assert bool(store.leaks) == params.prepare.split.published_leaky
    check_sides(store, params)

    for model in params.train.models:
        train.run(params, model)
    trials = of_study.read(TRIALS, params, store)
    assert {trial.name for trial in trials} == cells(params)
    done = [trial for trial in trials if trial.is_done]
    assert {trial.name for trial in done} == cells(params) - DIVERGING
    for history in of_study.histories(TRIALS, done).values():
        assert len(history) == 1
        assert np.isfinite(history[["train_loss", "val_loss", "val_psnr"]].to_numpy()).all()

    evaluate.run(params)
    metrics = json.loads(METRICS.read_text())
    assert set(metrics["trials"]) == {trial.name for trial in done}
    scores = pd.json_normalize(metrics).drop(columns="champion.trial")
    assert np.isfinite(scores.to_numpy(float)).all()
    assert metrics["identity"]["test_psnr"] == pytest.approx(identity_psnr(store), abs=1e-4)
    assert params.prepare.noise.kind != "real" or metrics["identity"]["test_psnr"] > 15

    report.run(params)
    page = REPORT.read_text()
    for title in (params.study.title, *(models.spec(model).title for model in params.train.models)):
        assert escape(title) in page
    assert ("This split leaks" in page) == (name in LEAKS)


def check_sides(store: PatchStore, params: Params) -> None:
    """No source is on two sides unless the study leaks, and the noise of held-out patches is of the study's kind."""
    sides = [store.split(side) for side in ("train", "val", "test")]
    sources = [set(side.index["source"]) for side in sides]
    shared = sources[0] & sources[1] | sources[0] & sources[2] | sources[1] & sources[2]
    assert bool(shared) == ("source" in store.leaks)
    for side in sides[1:]:
        assert side.noisy is not None
        assert np.array_equal(side.noisy, side.clean) == (params.prepare.noise.kind == "none")
