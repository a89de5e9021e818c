"""The classical denoisers: each denoises, and its parameters are really chosen."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from degrain.baselines import catalog, tuning
from degrain.baselines.base import Baseline, Filter
from degrain.baselines.catalog import BASELINES
from degrain.errors import ParamsError
from degrain.metrics.psnr import BEST, psnr
from tests.conftest import picture

SIGMA = 25.0
# Those that need a package which does not come with degrain are tested where it is.
EACH = [
    pytest.param(one, id=name, marks=pytest.mark.skipif(absent, reason=f"needs {one.needs}"))
    for name, one in BASELINES.items()
    for absent in [bool(one.needs) and find_spec(one.needs) is None]
]


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    clean = np.stack([picture(i, 64, 64) for i in range(4)])
    noise = np.random.default_rng(0).normal(0, SIGMA, clean.shape)
    return np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8), clean


@pytest.mark.parametrize("baseline", EACH)
def test_it_denoises_with_the_best_of_its_candidates(baseline: Baseline, pair: tuple[np.ndarray, np.ndarray]) -> None:
    noisy, clean = pair
    chosen = tuning.choose(baseline, noisy, clean, SIGMA)
    best = psnr(tuning.apply(baseline, noisy, SIGMA, chosen), clean).mean()
    assert best > psnr(noisy, clean).mean() + 3
    for parameter, values in baseline.candidates.items():
        for value in values:
            other = tuning.apply(baseline, noisy, SIGMA, chosen | {parameter: value})
            assert psnr(other, clean).mean() <= best


@pytest.mark.parametrize("baseline", EACH)
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_follows_the_strength_of_the_noise_changes_nothing_without_any(
    baseline: Baseline, channels: int, dtype: type
) -> None:
    levels = np.iinfo(dtype).max // 255
    clean = np.stack([picture(i, 48, 48, channels) for i in range(2)]).astype(dtype) * dtype(levels)
    chosen = tuning.choose(baseline, clean, clean, 0.0)
    ratios = psnr(tuning.apply(baseline, clean, 0.0, chosen), clean)
    follows = baseline.name not in ("gaussian", "median")
    assert ((ratios == BEST) if follows else (ratios > 30) & (ratios < BEST)).all()


@pytest.mark.parametrize("baseline", EACH)
def test_it_takes_gray_images(baseline: Baseline) -> None:
    clean = picture(0, 48, 64, 1)[None]
    first = {parameter: values[0] for parameter, values in baseline.candidates.items()}
    output = tuning.apply(baseline, clean, SIGMA, first)
    assert output.shape == clean.shape
    assert output.dtype == np.uint8


@pytest.mark.parametrize("side", [8, 12])
@pytest.mark.parametrize("baseline", EACH)
def test_it_takes_small_images(baseline: Baseline, side: int) -> None:
    clean = picture(0, side, 2 * side, 3)[None]
    first = {parameter: values[0] for parameter, values in baseline.candidates.items()}
    assert tuning.apply(baseline, clean, SIGMA, first).shape == clean.shape


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BASELINES, "median", replace(BASELINES["median"], needs="no-such-package"))
    with pytest.raises(ParamsError, match=r"baselines: median needs a package .*pip install no-such-package"):
        catalog.check(["gaussian", "median"])


def test_what_is_no_number_is_never_made_a_pixel(pair: tuple[np.ndarray, np.ndarray]) -> None:
    median = BASELINES["median"]
    broken = replace(median, denoise=lambda noisy, sigma, chosen: np.where(noisy > 0.5, np.nan, noisy))
    chosen = {name: values[0] for name, values in median.candidates.items()}
    with pytest.raises(ParamsError, match="median with size_px=3 makes pixels that are no finite numbers"):
        tuning.apply(broken, pair[0], SIGMA, chosen)


@pytest.mark.parametrize(
    ("denoise", "words"),
    [
        (lambda noisy, sigma, chosen: np.moveaxis(noisy, 2, 0), r"returns the shape \(3, 64, 64\)"),
        (lambda noisy, sigma, chosen: noisy / chosen["size"], "does not work: KeyError: 'size'"),
        (lambda noisy, sigma, chosen: noisy * chosen.pop("size_px"), "does not work: AttributeError"),
    ],
)
def test_a_baseline_that_fails_is_named_by_its_file(
    pair: tuple[np.ndarray, np.ndarray], denoise: Filter, words: str
) -> None:
    denoise.__module__ = BASELINES["median"].denoise.__module__
    with pytest.raises(ParamsError, match=rf"^baselines/median\.py: median with size_px=3 {words}"):
        tuning.apply(replace(BASELINES["median"], denoise=denoise), pair[0], SIGMA, {"size_px": 3})
