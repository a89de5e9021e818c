"""Networks, noise, metrics and classical denoisers by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from skimage.restoration import denoise_tv_chambolle

import degrain
from degrain.noise import adding
from degrain.noise.gaussian import GaussianNoise
from degrain.randomness import generator
from tests.conftest import picture


def test_a_network_has_the_channels_and_weights_that_are_asked_for() -> None:
    state = torch.get_rng_state()
    one, same, other = (degrain.network("resunet-small", channels=1, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(state, torch.get_rng_state())
    weights = [torch.cat([weight.flatten() for weight in network.parameters()]) for network in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert one(torch.zeros(1, 1, 16, 24)).shape == (1, 1, 16, 24)
    assert degrain.network("bernier2021", channels=1, size=28)(torch.zeros(2, 1, 28, 28)).shape == (2, 1, 28, 28)


@pytest.mark.parametrize("kind", degrain.list_noise())
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_every_kind_of_noise_is_added_the_same_way_for_the_same_seed(kind: str, dtype: type) -> None:
    image = picture(0, 32, 40)
    image = image if dtype is np.uint8 else image.astype(np.float32) / 255
    options = {"camera": "GP-800"} if kind == "shot_read" else {}
    noisy, again, other = (degrain.add_noise(image, kind, seed=seed, **options) for seed in (1, 1, 2))
    assert (noisy.dtype, noisy.shape) == (image.dtype, image.shape)
    assert np.array_equal(noisy, again)
    assert np.array_equal(noisy, other) == (kind == "none")
    assert noisy.min() >= 0
    assert noisy.max() <= (255 if dtype is np.uint8 else 1)


def test_noise_is_that_of_the_pipeline() -> None:
    image, noise = picture(0), GaussianNoise(sigma=15.0)
    expected = adding.add(noise, image, generator(5, "added noise", 0))
    assert np.array_equal(degrain.add_noise(image, sigma=15, seed=5), expected)
    batch = degrain.add_noise(np.stack([image, image]), sigma=15, seed=5)
    assert np.array_equal(batch[0], expected)
    assert not np.array_equal(batch[1], expected)
    unit = degrain.add_noise(image / 255, sigma=15, seed=5)
    assert np.abs(255 * unit - expected).max() < 0.51
    tensor = degrain.add_noise(torch.from_numpy(image).permute(2, 0, 1), sigma=15, seed=5)
    assert np.array_equal(tensor.permute(1, 2, 0).numpy(), expected)


def test_scores_are_those_of_scikit_image() -> None:
    clean, noisy = picture(0), degrain.add_noise(picture(0))
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": -1}
    assert degrain.score(noisy, clean) == pytest.approx(peak_signal_noise_ratio(clean, noisy), abs=1e-6)
    assert degrain.score(noisy, clean, "ssim") == pytest.approx(structural_similarity(clean, noisy, **window), abs=1e-9)
    unit = clean / 255, noisy / 255
    expected = peak_signal_noise_ratio(*unit, data_range=1)
    assert degrain.score(unit[1], unit[0]) == pytest.approx(expected, abs=1e-3)
    batch = degrain.score(np.stack([noisy, clean]), np.stack([clean, clean]))
    assert batch == pytest.approx([degrain.score(noisy, clean), 100])
    as_tensors = (torch.from_numpy(one).permute(2, 0, 1) for one in (noisy, clean))
    assert degrain.score(*as_tensors) == degrain.score(noisy, clean)


def test_a_classical_denoiser_is_that_of_scikit_image() -> None:
    noisy = degrain.add_noise(picture(0) / 255, sigma=20)
    expected = denoise_tv_chambolle(noisy.astype(np.float32), weight=0.8 * 20 / 255, channel_axis=-1)
    assert np.allclose(degrain.denoise_baseline(noisy, "tv", sigma=20, strength=0.8), expected, atol=1e-3)


@pytest.mark.parametrize("name", sorted(set(degrain.list_baselines()) - {"bm3d"}))
def test_classical_denoisers_help_with_noise_of_an_unknown_strength(name: str) -> None:
    clean = picture(0, 48, 48)
    noisy = degrain.add_noise(clean, sigma=25)
    made = degrain.denoise_baseline(noisy, name)
    assert made.dtype == np.uint8
    assert degrain.score(made, clean) > degrain.score(noisy, clean) + 2


def test_tuned_parameters_are_the_best_of_the_candidates() -> None:
    clean = picture(0, 48, 48)
    noisy = degrain.add_noise(clean, sigma=25)
    found = degrain.tune_baseline(noisy, clean, "gaussian")
    assert 20 < found["sigma"] < 25  # clipping takes a little
    best = degrain.score(degrain.denoise_baseline(noisy, "gaussian", **found), clean)
    tried = [degrain.denoise_baseline(noisy, "gaussian", sigma=25, sigma_px=one) for one in (0.6, 1.0, 2.0)]
    assert best >= max(degrain.score(one, clean) for one in tried)


IMAGE = np.zeros((16, 16, 3))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: degrain.network("unett"), degrain.ModelError, "did you mean 'unet'?"),
        (lambda: degrain.network("unet", channels=2), degrain.ParamsError, "channels is 2: images have 1, 3 or 4"),
        (lambda: degrain.add_noise(IMAGE, "gausian"), degrain.ParamsError, "noise.kind is 'gausian'.*'gaussian'"),
        (lambda: degrain.add_noise(IMAGE, sgima=2), degrain.ParamsError, "noise.sgima is not a parameter.*'sigma'"),
        (lambda: degrain.add_noise(IMAGE, sigma=-2), degrain.ParamsError, "noise.sigma is -2"),
        (lambda: degrain.add_noise(IMAGE, "real"), degrain.ParamsError, "that of a data set"),
        (lambda: degrain.add_noise(IMAGE, seed=-1), degrain.ParamsError, "seed is -1"),
        (lambda: degrain.add_noise(IMAGE[..., 0], "iso"), degrain.DataError, "images of 1 channels"),
        (lambda: degrain.add_noise(IMAGE.astype(np.uint8), clip=False), degrain.ParamsError, "needs a float image"),
        (lambda: degrain.score(IMAGE, IMAGE, "pnsr"), degrain.ParamsError, "did you mean 'psnr'?"),
        (lambda: degrain.score(IMAGE, IMAGE[..., :1]), degrain.DataError, r"\(16, 16, 3\) and \(16, 16, 1\)"),
        (lambda: degrain.score(IMAGE[:8], IMAGE[:8], "ssim"), degrain.DataError, "at least 11 pixels a side"),
        (lambda: degrain.denoise_baseline(IMAGE, "nlmm"), degrain.ParamsError, "^unknown baseline 'nlmm'.*'nlm'"),
        (lambda: degrain.denoise_baseline(IMAGE, strenght=1), degrain.ParamsError, "nlm has no parameter.*'strength'"),
    ],
)
def test_mistakes_are_one_line(call: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
