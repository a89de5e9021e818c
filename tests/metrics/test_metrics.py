"""The metric protocol against closed forms and an independent implementation."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import structural_similarity

from degrain.metrics.base import Metric
from degrain.metrics.catalog import METRICS
from degrain.metrics.psnr import BEST, psnr
from degrain.metrics.ssim import ssim
from degrain.pixels import depth, from_unit
from tests.conftest import picture


def test_psnr_of_a_known_error() -> None:
    clean = np.full((2, 16, 16, 3), 100, np.uint8)
    images = clean.copy()
    images[0] += 5
    images[1, :8] += 10
    expected = [10 * np.log10(255**2 / 25), 10 * np.log10(255**2 / 50)]
    assert psnr(images, clean) == pytest.approx(expected)


def test_psnr_of_equal_images_is_the_best_there_is() -> None:
    clean = picture(0)[None]
    assert psnr(clean, clean) == pytest.approx(BEST)


def test_rounding_clamps_first() -> None:
    levels = from_unit(np.array([-1.0, 0.0, 0.4 / 255, 0.6 / 255, 1.0, 7.0]), np.dtype(np.uint8))
    assert levels.tolist() == [0, 0, 0, 1, 255, 255]


def reference_ssim(x: np.ndarray, y: np.ndarray) -> float:
    """Wang et al. 2004, equation 13, written out for one channel with an 11x11 window, borders left out."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(taps, taps) / taps.sum() ** 2

    def mean(image: np.ndarray) -> np.ndarray:
        return ndimage.correlate(image, window)[5:-5, 5:-5]

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float((((2 * mx * my + c1) * (2 * cov + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_is_wangs(channels: int) -> None:
    clean = np.stack([picture(i, channels=channels) for i in range(3)])
    noise = np.random.default_rng(0).normal(0, 20, clean.shape)
    noisy = np.clip(clean + noise, 0, 255).astype(np.uint8)
    expected = [
        np.mean([reference_ssim(n[..., c], k[..., c]) for c in range(channels)])
        for n, k in zip(noisy, clean, strict=True)
    ]
    assert ssim(noisy, clean) == pytest.approx(expected, abs=1e-6)
    assert ssim(clean, clean) == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(3, 64, 64, 3), (2, 11, 11, 1), (2, 12, 37, 4), (1, 201, 122, 3)])
def test_ssim_has_the_bits_of_scikit_image(shape: tuple[int, ...], dtype: Any) -> None:
    draw, white = np.random.default_rng(0), int(np.iinfo(dtype).max)
    clean = draw.integers(0, white, shape, dtype, endpoint=True)
    near = np.clip(clean + draw.normal(0, white / 9, shape), 0, white).astype(dtype)
    black, light = np.zeros_like(clean), np.full_like(clean, white)
    for images, others in ((near, clean), (clean, clean), (black, clean), (black, light), (black, black)):
        expected = [
            structural_similarity(
                *pair,
                data_range=white,
                channel_axis=-1,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
            for pair in zip(images, others, strict=True)
        ]
        assert ssim(images, others).tolist() == expected


def test_sixteen_bits_give_the_same_scores_as_eight() -> None:
    draw = np.random.default_rng(0)
    clean, noisy = draw.integers(0, 256, (2, 3, 32, 32, 1), dtype=np.uint8)
    deep = [images.astype(np.uint16) * np.uint16(257) for images in (noisy, clean)]
    assert psnr(*deep) == pytest.approx(psnr(noisy, clean), abs=1e-4)
    assert ssim(*deep) == pytest.approx(ssim(noisy, clean), abs=1e-4)
    assert depth(deep[0]) == np.uint16
    assert from_unit(np.array([0.5, 2.0]), np.dtype(np.uint16)).tolist() == [32768, 65535]


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_metric_holds_what_it_declares(metric: Metric, dtype: type, channels: int) -> None:
    side = max(metric.smallest, 16)
    scale = np.iinfo(dtype).max // 255
    clean = np.stack([picture(i, side, side, channels) for i in range(3)]).astype(dtype) * dtype(scale)
    draw = np.random.default_rng(0)
    values = []
    for sigma in (0, 5, 40):
        noisy = clean + draw.normal(0, sigma * scale, clean.shape)
        values.append(metric.measure(np.clip(noisy, 0, np.iinfo(dtype).max).astype(dtype), clean))
    assert all(value.shape == (3,) and value.dtype == np.float64 and np.isfinite(value).all() for value in values)
    means = [float(value.mean()) for value in values]
    assert means == sorted(means, reverse=metric.higher_is_better)
    assert re.fullmatch(r"[a-z][a-z0-9-]*", metric.name)
    assert metric.title in metric.heading
    assert metric.source
    smallest = clean[:, : metric.smallest, : metric.smallest]
    assert np.isfinite(metric.measure(smallest, smallest)).all()
