"""Gray images go through a blind network of color images, and are denoised as well as color ones."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import skimage.data

from degrain.inference import gray
from degrain.inference.denoiser import Denoiser
from degrain.pixels import to_16_bits, to_levels

CLEAN = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY)[:192, :192, None]


def noisy(sigma: float) -> np.ndarray:
    draw = np.random.default_rng(0)
    return np.clip(np.rint(CLEAN + draw.normal(0, sigma, CLEAN.shape)), 0, 255).astype(np.uint8)


def error(one: np.ndarray) -> float:
    return float(np.sqrt(np.square(to_levels(one) - CLEAN).mean()))


@pytest.mark.parametrize("name", ["best", "small"])
@pytest.mark.parametrize("sigma", [10, 20, 30])
def test_gray_noise_is_removed(name: str, sigma: float) -> None:
    given, denoiser = noisy(sigma), Denoiser.ready(name)
    made = denoiser.image(given)
    assert made.shape == given.shape
    assert error(made) < 0.7 * error(given)
    assert error(made) < 0.8 * error(replace(denoiser, tells_by_color=False).image(given))


def test_a_flat_gray_area_becomes_flat() -> None:
    draw = np.random.default_rng(1)
    flat = np.clip(np.rint(30000 + draw.normal(0, 3000, (128, 128, 1))), 0, 65535).astype(np.uint16)
    assert Denoiser.ready("best").image(flat).std() < 0.2 * flat.std()


def test_tiles_do_not_show() -> None:
    given, denoiser = noisy(15), replace(Denoiser.ready("small"), keeps_texture=False)
    whole, tiled = denoiser.image(given, tile=1024).astype(int), denoiser.image(given, tile=64)
    assert np.abs(whole - tiled).max() <= 1


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 700, 1), (300, 2, 1), (257, 513, 1)])
def test_the_mean_of_the_channels_is_the_image(shape: tuple[int, ...]) -> None:
    draw = np.random.default_rng(2)
    given = draw.integers(0, 255, shape, endpoint=True).astype(np.uint8)
    made = gray.Colored(given)[:, :]
    assert made.shape == (*shape[:2], 3)
    assert np.abs(made.mean(axis=2, keepdims=True) - given).max() < 1e-3
    exact = gray.Colored(to_16_bits(given))[:, :]
    assert np.abs(exact.mean(axis=2, keepdims=True) - given).max() < 1e-3


def test_parts_are_those_of_the_whole() -> None:
    colored = gray.Colored(noisy(15))
    assert np.array_equal(colored[100:190, 3:170], colored[:, :][100:190, 3:170])


@pytest.mark.parametrize("sigma", [3, 10, 30])
def test_the_deviation_of_noise_is_estimated(sigma: float) -> None:
    draw = np.random.default_rng(3)
    levels = 128 + draw.normal(0, sigma, (256, 256, 1))
    assert gray.deviation(levels) == pytest.approx(sigma, rel=0.03)


def test_a_gray_image_without_noise_gets_no_color() -> None:
    flat = np.full((40, 50, 1), 77, np.uint8)
    assert np.array_equal(gray.Colored(flat)[:, :], np.full((40, 50, 3), 77))
