"""The classical denoisers: each denoises, and its parameters are really chosen."""

from __future__ import annotations

import numpy as np
import pytest

from degrain.baselines import catalog as baselines
from degrain.metrics import catalog as metrics
from tests.conftest import picture

SIGMA = 25.0


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    clean = np.stack([picture(i, 64, 64) for i in range(4)])
    noise = np.random.default_rng(0).normal(0, SIGMA, clean.shape)
    return np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8), clean


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_it_denoises_with_the_best_of_its_candidates(name: str, pair: tuple[np.ndarray, np.ndarray]) -> None:
    noisy, clean = pair
    chosen = baselines.choose(name, noisy, clean, SIGMA)
    best = metrics.psnr(baselines.apply(name, noisy, SIGMA, chosen), clean).mean()
    assert best > metrics.psnr(noisy, clean).mean() + 3
    for parameter, values in baselines.BASELINES[name].candidates.items():
        for value in values:
            other = baselines.apply(name, noisy, SIGMA, chosen | {parameter: value})
            assert metrics.psnr(other, clean).mean() <= best


@pytest.mark.parametrize("name", baselines.BASELINES)
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_without_noise_what_follows_the_noise_s_strength_changes_nothing(name: str, channels: int, dtype: type) -> None:
    levels = np.iinfo(dtype).max // 255
    clean = np.stack([picture(i, 48, 48, channels) for i in range(2)]).astype(dtype) * dtype(levels)
    chosen = baselines.choose(name, clean, clean, 0.0)
    psnr = metrics.psnr(baselines.apply(name, clean, 0.0, chosen), clean)
    follows = name not in ("gaussian", "median")
    assert ((psnr == metrics.BEST) if follows else (psnr > 30) & (psnr < metrics.BEST)).all()


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_it_takes_gray_images(name: str) -> None:
    clean = picture(0, 48, 64, 1)[None]
    first = {parameter: values[0] for parameter, values in baselines.BASELINES[name].candidates.items()}
    output = baselines.apply(name, clean, SIGMA, first)
    assert output.shape == clean.shape
    assert output.dtype == np.uint8
