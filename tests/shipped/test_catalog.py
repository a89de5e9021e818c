"""The models that ship: there, small, whole, those of the committed studies, and better than nothing on real noise."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from degrain.artifacts.trial import WEIGHTS
from degrain.inference.denoiser import Denoiser
from degrain.ingest.datasets.free_photographs import ARCHIVE, FREE_PHOTOGRAPHS, photographs
from degrain.metrics.psnr import psnr
from degrain.noise import adding
from degrain.noise.camera import CameraNoise
from degrain.packaging.layout import CARD
from degrain.params.study import parse
from degrain.patches import splits
from degrain.randomness import generators
from degrain.shipped import catalog
from degrain.studies import gallery
from degrain.training import first_weights
from degrain.training.trial import expand
from tests.conftest import MIRROR

NAMES = ["best", "small"]
every_model = pytest.mark.parametrize("name", NAMES)
PAIRS = MIRROR / "sidd" / "sidd-native-crops.zip"
SHRUNK = MIRROR / "sidd" / "SIDD_Small_sRGB_Only.zip"
PHOTOGRAPHS = MIRROR / "denoising" / ARCHIVE


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
    denoiser = Denoiser.ready(name)
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
    denoiser = Denoiser.ready(name)
    for noisy in adding.add_each(noise, clean, generators((0, "flat", i) for i in range(4))):
        made = denoiser.image(noisy).astype(float)
        # JPEG leaves little noise some blocks and takes it from others, which then pass for texture.
        left = 0.5 if jpeg else 0.3
        assert (made - made.mean((0, 1))).std() < 0.2 * (noisy - noisy.mean((0, 1))).std() + left
        # Demosaiced noise leaves mazes: pixels that alternate along rows and columns, in levels.
        maze = (made[::2, ::2] - made[1::2, ::2] - made[::2, 1::2] + made[1::2, 1::2]) / 2
        assert maze.std() < 1


def gains(name: str, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    denoiser = Denoiser.ready(name)
    return [ratio(denoiser.image(noisy), clean) - ratio(noisy, clean) for noisy, clean in pairs]


def pairs_of(archive: Path, of_clean: str, of_noisy: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield noisy and clean images, whose names differ in one part."""
    with zipfile.ZipFile(archive) as opened:
        for name in sorted(name for name in opened.namelist() if of_clean in name and name.lower().endswith(".png")):
            noisy, clean = (
                np.asarray(Image.open(io.BytesIO(opened.read(one))).convert("RGB"))
                for one in (name.replace(of_clean, of_noisy), name)
            )
            yield noisy, clean


@pytest.mark.skipif(not PAIRS.is_file(), reason="needs DEGRAIN_MIRROR with SIDD's native crops")
@pytest.mark.parametrize(("name", "typical", "least"), [("best", 10.5, 7.0), ("small", 10.5, 7.0)])
def test_each_denoises_real_phones(name: str, typical: float, least: float) -> None:
    found = gains(name, pairs_of(PAIRS, "native/gt/", "native/noisy/"))
    assert len(found) == 8
    assert median(found) >= typical
    assert min(found) >= least


@pytest.mark.slow
@pytest.mark.skipif(not SHRUNK.is_file(), reason="needs DEGRAIN_MIRROR with SIDD Small")
@every_model
def test_none_of_the_good_pictures_loses(name: str) -> None:
    good = [pair for pair in pairs_of(SHRUNK, "GT_SRGB", "NOISY_SRGB") if ratio(*pair) >= 28]
    found = gains(name, good)
    assert len(found) == 115
    assert min(found) > 0


@pytest.mark.slow
@pytest.mark.skipif(not PHOTOGRAPHS.is_file(), reason="needs DEGRAIN_MIRROR with the free photographs")
@every_model
def test_clean_photographs_stay_as_they_are(name: str) -> None:
    params = parse(gallery.compose(name), "params")
    manifest = FREE_PHOTOGRAPHS.images(MIRROR, params.data)
    unseen = manifest["path"][splits.assign(manifest, params.prepare.split, params.prepare.seed).of == "test"]
    denoiser = Denoiser.ready(name)
    assert len(unseen) == 7
    with zipfile.ZipFile(PHOTOGRAPHS) as archive:
        for path in unseen:
            clean = np.asarray(Image.open(io.BytesIO(archive.read(f"photographs/{path}"))).convert("RGB"))
            made = denoiser.image(clean)
            assert ratio(made, clean) >= 45
            assert np.abs(made.mean((0, 1)) - clean.mean((0, 1))).max() < 0.5


def test_a_photograph_is_denoised_without_any_study(tmp_path: Path) -> None:
    Image.fromarray(skimage.data.coffee()[:90, :120]).save(tmp_path / "photo.jpg")
    command = (sys.executable, "-m", "degrain", "denoise", "photo.jpg", "out.png")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "model: best" in done.stderr.splitlines()
    with Image.open(tmp_path / "out.png") as made:
        assert made.size == (120, 90)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.png", "photo.jpg"], "no registry is made"
