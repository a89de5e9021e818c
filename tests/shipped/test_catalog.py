"""The models that ship: there, small, whole, those of the committed studies, and better than nothing on real noise."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from degrain.artifacts.trial import WEIGHTS
from degrain.inference.denoiser import Denoiser
from degrain.ingest.datasets.free_photographs import photographs
from degrain.metrics.psnr import psnr
from degrain.noise import adding
from degrain.noise.camera import CameraNoise
from degrain.packaging.layout import CARD
from degrain.params.study import parse
from degrain.randomness import generators
from degrain.shipped import catalog
from degrain.studies import gallery
from degrain.training import first_weights
from degrain.training.trial import expand
from tests.conftest import MIRROR

NAMES = ["best", "small"]
every_model = pytest.mark.parametrize("name", NAMES)
PAIRS = MIRROR / "sidd" / "sidd-native-crops.zip"


def folder(name: str) -> Path:
    found = catalog.folder(name)
    assert found is not None
    return found


def ratio(one: np.ndarray, other: np.ndarray) -> float:
    return float(psnr(one[None], other[None])[0])


def test_these_ship() -> None:
    assert catalog.names() == NAMES
    assert catalog.DEFAULT in NAMES
    assert catalog.folder("bset") is None


@every_model
def test_each_is_what_its_study_trains(name: str) -> None:
    record = first_weights.record(name)
    params = parse(gallery.compose(name), "params")
    (trial,) = expand(params.train, params.train.models[0])
    assert (record.model, record.seed, record.loss_settings) == (trial.model, trial.seed, trial.loss.settings())
    assert record.optimizer_settings == trial.optimizer.settings()
    assert record.noise == params.prepare.noise
    assert record.patch_size == params.prepare.patch_size
    named = params.train.model_dump(mode="json")
    assert {key: named[key] for key in record.training} == record.training
    assert record.epochs_done == params.train.epochs
    assert not record.is_outdated


@every_model
def test_each_is_small_and_says_what_it_was_trained_on(name: str) -> None:
    assert (folder(name) / WEIGHTS).stat().st_size < 5e6
    card = (folder(name) / CARD).read_text(encoding="utf-8")
    assert first_weights.record(name).weights_sha256 in card
    for photograph in photographs():
        assert photograph.licence in card


@every_model
def test_each_removes_the_noise_of_a_camera_and_keeps_colors(name: str) -> None:
    denoiser = Denoiser.load(folder(name))
    pictures = (skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea())
    clean = np.stack([cv2.resize(one, (300, 200), interpolation=cv2.INTER_AREA) for one in pictures])
    noise = CameraNoise(kind="camera", clean=0, gaussian=0, shot=(0.004, 0.004), jpeg=0)
    noisy = adding.add_each(noise, clean, generators((0, "test", i) for i in range(len(clean))))
    for one, other in zip(noisy, clean, strict=True):
        made = denoiser.image(one)
        assert ratio(made, other) > ratio(one, other) + 4
        assert np.abs(made.mean((0, 1)) - one.mean((0, 1))).max() < 1
        assert ratio(denoiser.image(other), other) > 33


@every_model
@pytest.mark.parametrize("jpeg", [0.0, 1.0])
@pytest.mark.parametrize("shot", [0.0005, 0.004, 0.015])
def test_flat_areas_stay_flat(name: str, shot: float, jpeg: float) -> None:
    colors = np.array([(60, 60, 60), (128, 120, 110), (200, 200, 210), (40, 90, 150)], np.uint8)
    clean = np.broadcast_to(colors[:, None, None], (4, 160, 160, 3))
    noise = CameraNoise(kind="camera", clean=0, gaussian=0, shot=(shot, shot), jpeg=jpeg)
    denoiser = Denoiser.load(folder(name))
    for noisy in adding.add_each(noise, clean, generators((0, "flat", i) for i in range(4))):
        made = denoiser.image(noisy).astype(float)
        assert (made - made.mean((0, 1))).std() < 0.2 * (noisy - noisy.mean((0, 1))).std() + 0.3
        # Demosaiced noise leaves mazes: pixels that alternate along rows and columns, in levels.
        maze = (made[::2, ::2] - made[1::2, ::2] - made[::2, 1::2] + made[1::2, 1::2]) / 2
        assert maze.std() < 1


@pytest.mark.skipif(not PAIRS.is_file(), reason="needs DEGRAIN_MIRROR with SIDD's native crops")
@pytest.mark.parametrize(("name", "typical", "least"), [("best", 10.5, 7.0), ("small", 9.0, 6.0)])
def test_each_denoises_real_phones(name: str, typical: float, least: float) -> None:
    denoiser, gains = Denoiser.load(folder(name)), []
    with zipfile.ZipFile(PAIRS) as archive:
        for number in range(8):
            noisy, clean = (
                np.asarray(Image.open(io.BytesIO(archive.read(f"native/{side}/{number:02}.png"))).convert("RGB"))
                for side in ("noisy", "gt")
            )
            gains.append(ratio(denoiser.image(noisy), clean) - ratio(noisy, clean))
    assert median(gains) >= typical
    assert min(gains) >= least


def test_a_photograph_is_denoised_without_any_study(tmp_path: Path) -> None:
    Image.fromarray(skimage.data.coffee()[:90, :120]).save(tmp_path / "photo.jpg")
    command = (sys.executable, "-m", "degrain", "denoise", "photo.jpg", "out.png")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "model: best" in done.stderr.splitlines()
    with Image.open(tmp_path / "out.png") as made:
        assert made.size == (120, 90)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.png", "photo.jpg"], "no registry is made"
