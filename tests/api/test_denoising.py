"""Denoisers called from Python do what `degrain denoise` does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import degrain
from degrain.inference.recipe import Recipe
from degrain.ingest.formats.picture import Picture
from tests.conftest import grainy
from tests.inference.test_denoiser import package


@pytest.fixture(scope="module")
def small() -> degrain.ImageDenoiser:
    return degrain.load("small")


@pytest.mark.parametrize("strength", [1.0, 0.6])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_integers_get_the_same_pixels_as_files(
    small: degrain.ImageDenoiser, dtype: type, channels: int, strength: float
) -> None:
    noisy = grainy(0, 50, 70, channels=channels).astype(dtype) * (257 if dtype is np.uint16 else 1)
    expected = Recipe(small.inner, 768, 32, strength=strength).denoised(Picture(noisy)).pixels
    assert np.array_equal(small(noisy, strength=strength), expected)


def test_floats_tensors_and_batches_get_the_same_pixels(small: degrain.ImageDenoiser) -> None:
    noisy = np.stack([grainy(seed, 40, 56) for seed in range(2)])
    expected = small(noisy[0])
    assert np.array_equal(small(noisy)[0], expected)
    unit = small(noisy[0] / 255)
    assert unit.dtype == np.float64
    assert np.abs(unit * 255 - expected).max() < 0.51
    tensor = small(torch.from_numpy(noisy).permute(0, 3, 1, 2))
    assert np.array_equal(tensor.permute(0, 2, 3, 1).numpy(), small(noisy))
    gray = noisy[0, ..., :1]
    assert np.array_equal(small(gray[..., 0]), small(gray)[..., 0])


def test_denoising_brings_noisy_images_closer(small: degrain.ImageDenoiser) -> None:
    clean = np.full((64, 64, 3), (0.2, 0.5, 0.8))
    noisy = degrain.add_noise(clean, sigma=25)
    assert degrain.score(small(noisy), clean) > degrain.score(noisy, clean) + 10
    assert np.allclose(small(noisy, strength=0), noisy, atol=1e-4)
    rough = np.hstack([degrain.add_noise(np.full((64, 64, 3), 0.5), sigma=sigma, seed=sigma) for sigma in (10, 30)])
    assert not np.array_equal(small(rough), small(rough, keep_texture=False))


def test_a_folder_with_a_model_is_loaded(tmp_path: Path) -> None:
    package(tmp_path / "gray", "unet", 1)
    loaded = degrain.load(tmp_path / "gray", device="cpu", precision="auto")
    assert (loaded.channels, loaded.light, repr(loaded)) == (1, "srgb", "ImageDenoiser(unet, channels=1, srgb)")
    assert loaded.trial is not None
    assert next(loaded.network.parameters()).device.type == "cpu"
    noisy = grainy(0, 16, 24)
    assert np.abs(loaded(noisy).astype(int) - noisy).max() <= 1  # an untrained U-Net returns its input


def test_loading_and_denoising_leave_pytorch_as_it_is(small: degrain.ImageDenoiser) -> None:
    before = torch.get_rng_state(), torch.get_num_threads(), torch.get_deterministic_debug_mode()
    degrain.load("small")(grainy(0, 16, 16))
    after = torch.get_rng_state(), torch.get_num_threads(), torch.get_deterministic_debug_mode()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: degrain.load("bets"), degrain.ModelError, "no model 'bets'.*did you mean 'best'?"),
        (
            lambda: degrain.load("small", device="gpu"),
            degrain.ParamsError,
            "device is 'gpu': it is one of auto, cpu",
        ),
        (lambda: degrain.load("small", precision="half"), degrain.ParamsError, "precision is 'half'"),
        (lambda: degrain.load("small")(np.zeros((8, 8, 4))), degrain.DataError, "4 channels, and .* images of 3"),
        (lambda: degrain.denoise(np.zeros((8, 8)), "small", strength=2), degrain.ParamsError, "strength is 2"),
        (lambda: degrain.load("small")(np.zeros((8, 8)), tile=4), degrain.ParamsError, "tile is 4"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: object, error: type[Exception], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert callable(call)
    with pytest.raises(error, match=words):
        call()
