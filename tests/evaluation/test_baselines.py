"""The classical denoisers: each denoises, and its parameters are really chosen."""

from __future__ import annotations

import numpy as np
import pytest

from degrain.evaluation import baselines, metrics
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
def test_it_takes_gray_images(name: str) -> None:
    clean = picture(0, 48, 64, 1)[None]
    first = {parameter: values[0] for parameter, values in baselines.BASELINES[name].candidates.items()}
    output = baselines.apply(name, clean, SIGMA, first)
    assert output.shape == clean.shape
    assert output.dtype == np.uint8
