"""Sharpening behind a network: the kernel of Bernier 2021."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from degrain.evaluation import scoring
from degrain.evaluation.sharpening import KERNEL, sharpen
from tests.conftest import picture


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sharpening_is_the_correlation_with_the_kernel_mirrored_and_clipped(dtype: type, channels: int) -> None:
    images = np.stack([picture(seed, 20, 30, channels) for seed in (0, 1)]).astype(dtype)
    images = images * dtype(257) if dtype is np.uint16 else images
    expected = ndimage.correlate(images.astype(np.float64), KERNEL[None, :, :, None], mode="mirror")
    sharp = sharpen(images)
    assert (sharp.dtype, sharp.shape) == (images.dtype, images.shape)
    assert np.array_equal(sharp, np.clip(expected, 0, np.iinfo(dtype).max))
    assert not np.array_equal(sharp, images)


def test_a_flat_image_stays_as_it_is() -> None:
    flat = np.full((1, 8, 8, 1), 77, np.uint8)
    assert np.array_equal(sharpen(flat), flat)


def test_a_method_is_sharpened_behind_its_output() -> None:
    method = scoring.sharpened(scoring.identity())
    noisy = picture(0, 24, 24)
    assert (method.name, method.kind) == ("identity+sharpened", "sharpened")
    assert np.array_equal(method.patches(noisy[None]), sharpen(noisy[None]))
    assert np.array_equal(method.photograph(noisy), sharpen(noisy[None])[0])
