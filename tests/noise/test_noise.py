"""Noise against its closed-form moments, augmentation against the group it should be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from degrain.noise import augmentation, kinds
from degrain.params import NoiseParams
from degrain.randomness import generator
from tests.conftest import picture


@pytest.mark.parametrize("sigma", [5.0, 25.0, 60.0])
def test_gaussian_noise_has_its_moments(sigma: float) -> None:
    clean = np.full((200, 200, 3), 100, np.uint8)
    noisy = kinds.add(NoiseParams(sigma=sigma, clip=False), clean, generator(0, "test"))
    noise = (noisy - 100.0) / sigma
    count = noise.size
    assert noisy.dtype == np.float32
    assert abs(noise.mean()) < 5 / math.sqrt(count)
    assert abs(noise.var() - 1) < 5 * math.sqrt(2 / count)
    assert abs((noise**3).mean()) < 5 * math.sqrt(15 / count)
    assert abs((noise**4).mean() - 3) < 5 * math.sqrt(96 / count)
    assert abs(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]) < 5 / math.sqrt(count)


def test_clipped_noise_is_what_an_image_file_holds() -> None:
    clean = np.zeros((300, 300, 1), np.uint8)
    noisy = kinds.add(NoiseParams(sigma=20), clean, generator(0, "test"))
    assert noisy.dtype == np.uint8
    # Half of the values are cut off at black; the mean of the rest of a Gaussian is sigma / sqrt(2 pi).
    assert abs(np.mean(noisy == 0) - 0.51) < 0.01
    assert noisy.mean() == pytest.approx(20 / math.sqrt(2 * math.pi), rel=0.02)


def test_the_generator_decides_the_noise() -> None:
    clean = picture(0)
    params = NoiseParams()
    first = kinds.add(params, clean, generator(1, "n", 2))
    assert np.array_equal(first, kinds.add(params, clean, generator(1, "n", 2)))
    assert not np.array_equal(first, kinds.add(params, clean, generator(1, "n", 3)))


@pytest.mark.parametrize("channels", [1, 3])
def test_dihedral_augmentation_is_one_of_eight_and_stateless(channels: int) -> None:
    patch = picture(0, 32, 32, channels)
    turned = [np.rot90(side, k) for side in (patch, patch[:, ::-1]) for k in range(4)]
    allowed = {np.ascontiguousarray(image).tobytes() for image in turned}
    augment = augmentation.build("dihedral", seed=3)
    seen = [augment(patch, epoch, position) for epoch in range(8) for position in range(25)]
    assert {image.tobytes() for image in seen} == allowed
    assert all(image.shape == patch.shape and image.flags.c_contiguous for image in seen)
    assert np.array_equal(augment(patch, 4, 7), seen[4 * 25 + 7])
    again = augmentation.build("dihedral", seed=3)
    assert np.array_equal(again(patch, 4, 7), seen[4 * 25 + 7])


def test_no_augmentation_leaves_the_patch() -> None:
    patch = picture(0)[::2, ::2]
    assert np.array_equal(augmentation.build("none", 0)(patch, 1, 2), patch)
