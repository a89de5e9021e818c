"""What stands in for the truth where every image is noisy, and the measure of whether it can."""

from __future__ import annotations

import numpy as np
import pytest

from degrain.patches import stand_in

SIGMA = 20.0


def white(seed: int = 0, count: int = 8, side: int = 128, sigma: float = SIGMA) -> np.ndarray:
    """Gray patches of independent noise: float64 (count, side, side, 1), in 8-bit levels."""
    return 128 + sigma * np.random.default_rng(seed).standard_normal((count, side, side, 1))


def rounded(levels: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(257 * levels), 0, 65535).astype(np.uint16)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_seen_is_every_second_pixel(channels: int, dtype: type) -> None:
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (21, 30, channels), dtype=dtype)
    noisy, between = stand_in.halved(image)
    assert np.array_equal(noisy, image[:20:2, ::2])
    assert between.shape == noisy.shape
    assert between.dtype == image.dtype


def test_no_pixel_that_is_seen_is_in_the_stand_in() -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    changed = image.copy()
    changed[::2, ::2] = 255 - changed[::2, ::2]
    assert np.array_equal(stand_in.halved(changed)[1], stand_in.halved(image)[1])


def test_the_stand_in_of_a_cubic_is_the_cubic() -> None:
    y, x = np.mgrid[-1:1:40j, -1:1:40j]
    image = rounded((100 + 40 * x - 30 * y + 20 * x * y + 15 * x**3 - 20 * y**3 + 10 * x**2)[..., None])
    noisy, between = stand_in.halved(image)
    inside = np.s_[2:-2, 2:-2]
    assert np.abs(between[inside].astype(int) - noisy[inside]).max() <= 2


def test_the_errors_of_both_are_independent_and_the_stand_in_has_a_third_of_the_variance() -> None:
    both = [stand_in.halved(patch) for patch in rounded(white())]
    seen, between = (np.stack(side).astype(np.float64) / 257 - 128 for side in zip(*both, strict=True))
    count = seen.size
    assert float(np.square(stand_in.KERNEL).sum()) == pytest.approx(82 / 256)
    assert seen.var() == pytest.approx(SIGMA**2, rel=5 * np.sqrt(2 / count))
    # Its pixels share noise, so that they are fewer than they look.
    assert between.var() == pytest.approx(stand_in.VARIANCE * SIGMA**2, rel=15 * np.sqrt(2 / count))
    assert abs(np.corrcoef(seen.ravel(), between.ravel())[0, 1]) < 5 / np.sqrt(count)


@pytest.mark.parametrize("sigma", [3.0, 25.0])
def test_the_noise_level_is_estimated_beside_edges(sigma: float) -> None:
    edges = 40 * (np.indices((128, 128)).sum(axis=0) // 64 % 2)[..., None]
    both = [stand_in.halved(patch) for patch in rounded(white(sigma=sigma) - 20 + edges)]
    noisy, between = (np.stack(side) for side in zip(*both, strict=True))
    assert stand_in.noise_level(noisy, between) == pytest.approx(sigma, rel=0.15)


def test_independent_noise_has_no_correlation() -> None:
    found = stand_in.correlation(rounded(white()))
    assert found is not None
    assert abs(found.value) < 0.08


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize(("distance", "share"), [(1, 0.5), (3, 0.5), (1, -0.5)])
def test_shared_noise_has_its_closed_form(axis: int, distance: int, share: float) -> None:
    """Noise plus a multiple s of its neighbor's has the correlation s / (1 + s^2)."""
    noise = white() - 128
    found = stand_in.correlation(rounded(128 + noise + share * np.roll(noise, distance, axis)))
    assert found is not None
    assert found.distance == distance
    # A little nearer to 0, since surfaces are subtracted and the flattest blocks chosen.
    assert found.value == pytest.approx(share / (1 + share**2), abs=0.1)


def test_shading_is_no_correlation() -> None:
    y, x = np.mgrid[0:1:128j, 0:1:128j]
    found = stand_in.correlation(rounded(white(sigma=5) + 60 * np.sin(2 * x + y)[..., None]))
    assert found is not None
    assert abs(found.value) < 0.08


@pytest.mark.parametrize("value", [0, 100, 255])
def test_flat_patches_say_nothing(value: int) -> None:
    assert stand_in.correlation(np.full((2, 32, 32, 3), value, np.uint8)) is None
