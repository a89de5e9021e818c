"""The noise of a sensor against the exact distribution, and the random numbers that it is made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from degrain.noise import adding, alias, poisson
from degrain.noise.shot_read import SIDD, ShotReadNoise
from degrain.pixels import from_levels, to_8_bits
from degrain.randomness import generator, generators
from tests.conftest import picture
from tests.noise.test_noise import assert_moments

LEVELS = (0, 1, 12, 60, 128, 200, 254, 255)
PER_LEVEL = 40_000
# What exceeds five standard deviations of a Gaussian.
UNLIKELY = 3e-7

Noisy = Callable[[dict[str, Any], np.ndarray], np.ndarray]


def noise(**params: Any) -> ShotReadNoise:
    return ShotReadNoise.model_validate({"kind": "shot_read"} | params)


def in_8_bits(params: dict[str, Any], clean: np.ndarray) -> np.ndarray:
    return adding.add(noise(**params), clean, generator(0, "test"))


def in_16_bits(params: dict[str, Any], clean: np.ndarray) -> np.ndarray:
    return to_8_bits(adding.add(noise(**params), clean.astype(np.uint16) * np.uint16(257), generator(0, "test")))


def not_clipped(params: dict[str, Any], clean: np.ndarray) -> np.ndarray:
    made = adding.add(noise(clip=False, **params), clean, generator(0, "test"))
    assert made.dtype == np.float32
    return from_levels(made, np.dtype(np.uint8))


def on_device(params: dict[str, Any], clean: np.ndarray) -> np.ndarray:
    levels = torch.from_numpy(clean[None]).float()
    made = noise(**params).draw_on_device(levels, torch.Generator().manual_seed(0))[0]
    return from_levels(made.numpy(), np.dtype(np.uint8))


every_way = pytest.mark.parametrize("noisy", [in_8_bits, in_16_bits, not_clipped, on_device])


def light_of(values: np.ndarray, linear: bool) -> np.ndarray:
    """The sRGB curve of IEC 61966-2-1, undone in float64."""
    curved = ((values + 0.055) / 1.055) ** 2.4
    return np.where(values <= 0.04045, values / 12.92, curved) if linear else values


@cache
def exact(level: int, beta1: float, beta2: float, linear: bool) -> np.ndarray:
    """The probability of each noisy 8-bit level: float64 (256,)."""
    light = float(light_of(np.array(level / 255), linear))
    limits = light_of(np.arange(0.5, 255) / 255, linear)
    if beta1 and light / beta1 < 10_000:
        counts = np.arange(stats.poisson.isf(1e-13, light / beta1) + 1)
        weights, means, variance = stats.poisson.pmf(counts, light / beta1), counts * beta1, beta2
    else:
        weights, means, variance = np.ones(1), np.array([light]), beta1 * light + beta2
    if variance:
        more = weights @ stats.norm.sf(limits, means[:, None], math.sqrt(variance))
    else:
        more = weights @ (means[:, None] > limits)
    return -np.diff(more, prepend=1, append=0)


def assert_distributed(values: np.ndarray, probabilities: np.ndarray) -> None:
    """Pearson's chi-square test; what is expected fewer than ten times is counted together."""
    seen, expected = np.bincount(values.ravel(), minlength=len(probabilities)), values.size * probabilities
    rare = expected < 10
    assert stats.poisson.sf(seen[rare].sum() - 1, max(0.0, expected[rare].sum())) > UNLIKELY
    statistic = ((seen - expected)[~rare] ** 2 / expected[~rare]).sum()
    assert stats.chi2.sf(statistic, max(1, np.count_nonzero(~rare) - 1)) > UNLIKELY


def assert_exact(noisy: Noisy, params: dict[str, Any], beta1: Any, beta2: Any) -> None:
    clean = np.repeat(np.array(LEVELS, np.uint8), PER_LEVEL * 3).reshape(len(LEVELS), PER_LEVEL, 3)
    made = noisy(params, clean)
    assert made.dtype == np.uint8
    for row, level in enumerate(LEVELS):
        for channel, betas in enumerate(np.broadcast(beta1, beta2, np.zeros(3))):
            assert_distributed(made[row, :, channel], exact(level, *map(float, betas[:2]), params.get("linear", True)))


@every_way
@pytest.mark.parametrize("camera", SIDD)
def test_the_noise_of_each_camera_has_the_exact_distribution(camera: str, noisy: Noisy) -> None:
    assert_exact(noisy, {"camera": camera}, *SIDD[camera])


@every_way
@pytest.mark.parametrize("camera", ["IP-100", "GP-10000"])
def test_so_has_noise_in_linear_light(camera: str, noisy: Noisy) -> None:
    assert_exact(noisy, {"camera": camera, "linear": False}, *SIDD[camera])


@every_way
@pytest.mark.parametrize(
    ("beta1", "beta2"),
    [
        (0.0, 0.0),
        (0.0, 1e-9),
        (0.0, 1e-3),
        (0.0, 1.0),
        (1e-9, 0.0),
        (1e-9, 1e-4),
        (1e-4, 0.0),
        (0.3, 0.0),
        (1.0, 0.0),
        (1.0, 1.0),
        ((0.01, 0.0, 0.02), (1e-3, 0.0, 2e-3)),
        ((0.01, 0.0, 0.02), 1e-3),
    ],
    ids=str,
)
def test_so_has_noise_of_any_strength(beta1: Any, beta2: Any, noisy: Noisy) -> None:
    assert_exact(noisy, {"beta1": beta1, "beta2": beta2}, beta1, beta2)


@pytest.mark.parametrize("camera", SIDD)
@pytest.mark.parametrize("level", [5, 100, 240])
def test_clipped_noise_of_each_camera_has_the_exact_moments(camera: str, level: int) -> None:
    made = in_8_bits({"camera": camera}, np.full((300, 300, 3), level, np.uint8)).astype(float)
    for channel, (beta1, beta2) in enumerate(np.broadcast(*SIDD[camera])):
        probabilities, steps = exact(level, beta1, beta2, True), np.arange(256)
        mean = float(probabilities @ steps)
        variance, third, fourth = (float(probabilities @ (steps - mean) ** power) for power in (2, 3, 4))
        assert_moments(made[..., channel] - mean, 0, variance, third, fourth / variance**2)


@pytest.mark.parametrize("camera", SIDD)
@pytest.mark.parametrize("level", [1, 60, 250])
def test_noise_of_each_camera_in_linear_light_has_the_exact_moments(camera: str, level: int) -> None:
    clean = np.full((400, 400, 3), level, np.uint8)
    added = adding.add(noise(camera=camera, linear=False, clip=False), clean, generator(0, "test")) / 255 - level / 255
    for channel, (beta1, beta2) in enumerate(np.broadcast(*SIDD[camera])):
        variance = beta1 * level / 255 + beta2
        kurtosis = 3 + beta1**3 * level / 255 / variance**2
        assert_moments(added[..., channel].astype(float), 0, variance, beta1**2 * level / 255, kurtosis)


@pytest.mark.parametrize("camera", ["IP-100", "S6-100", "GP-10000"])
@pytest.mark.parametrize("change", [{}, {"linear": False}, {"clip": False}], ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_dark_and_bright_patches_of_one_batch_get_their_own_noise(camera: str, change: Any, dtype: type) -> None:
    dark = picture(0, 24, 24) // 32
    clean = np.stack([dark, 255 - dark, picture(1, 24, 24), dark]).astype(dtype) * (1 if dtype == np.uint8 else 257)
    drawn = noise(camera=camera, **change)
    together = adding.add_each(drawn, clean, generators((0, "n", i) for i in range(4)))
    alone = [adding.add(drawn, patch, generator(0, "n", i)) for i, patch in enumerate(clean)]
    assert np.array_equal(together, alone)
    assert not np.array_equal(together[0], together[3])


MEANS = [0, 1e-3, 0.1, 0.2499, 0.25, 1.3, 7.77, 31.9, 63.99, 64, 64.4, 100, 1000, 30_000]


@pytest.mark.parametrize("mean", MEANS)
def test_counts_are_poisson_numbers(mean: float) -> None:
    draw, size = generator(0, "test"), 400_000
    bits, chance = draw.integers(1 << 32, size=size, dtype=np.uint32), draw.random(size, np.float32)
    counts = poisson.counts(np.full(size, mean, np.float32), bits, chance)
    assert counts.dtype == np.float32
    whole = counts.astype(int)
    assert np.array_equal(whole, counts)
    assert_distributed(whole, stats.poisson.pmf(np.arange(whole.max() + 2), np.float32(mean)))


@pytest.mark.parametrize("mean", [40.0, 100.0, 1e4, 1e6, 1e9])
def test_counts_have_the_moments_of_poisson_numbers(mean: float) -> None:
    draw, size = generator(0, "test"), 400_000
    bits, chance = draw.integers(1 << 32, size=size, dtype=np.uint32), draw.random(size, np.float32)
    counts = poisson.counts(np.full(size, mean, np.float32), bits, chance).astype(float)
    assert_moments(counts - mean, 0, mean, mean, 3 + 1 / mean)


def test_an_alias_table_holds_the_distributions_themselves() -> None:
    draw = generator(0, "test")
    skewed = draw.random((20, 256)) ** 20
    probabilities = np.concatenate(
        [skewed / skewed.sum(axis=1, keepdims=True), np.eye(256), np.full((1, 256), 1 / 256)]
    )
    cumulative = probabilities.cumsum(axis=1)
    cumulative[:, -1] = 1
    table = alias.table(cumulative).reshape(-1, 256)
    thresholds, aliases = table >> 8, table & 255
    held = thresholds.astype(np.int64)
    for row, column in np.ndindex(table.shape):
        held[row, aliases[row, column]] += alias.COLUMN - int(thresholds[row, column])
    assert (held.sum(axis=1) == 1 << 32).all()
    assert np.abs(held / 2**32 - probabilities).max() <= 1.01 / 2**32


def test_numbers_drawn_by_aliases_follow_their_rows() -> None:
    draw = generator(0, "test")
    rows = np.array([[0.5, 0.25, 0.25], [0.01, 0.0, 0.99]])
    probabilities = np.zeros((2, 256))
    probabilities[:, [0, 7, 255]] = rows
    which = draw.integers(2, size=(200_000, 2)).astype(np.uint8)
    made = alias.draw(
        alias.table(probabilities.cumsum(axis=1)), which, draw.integers(1 << 32, size=which.shape).astype(np.uint32)
    )
    assert made.dtype == np.uint8
    for row in range(2):
        assert_distributed(made[which == row], probabilities[row])
