"""What callers give: layouts, types and ranges, and the one line that refuses what is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import degrain
from degrain.api import images

FLOAT = np.linspace(0, 1, 6 * 8 * 3, dtype=np.float32).reshape(6, 8, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 1), (6, 8, 3), (2, 6, 8, 3)])
def test_arrays_come_back_as_they_were(dtype: Any, shape: tuple[int, ...]) -> None:
    image = (np.resize(FLOAT, shape) * (np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1)).astype(dtype)
    given = images.of(image)
    assert given.pixels.ndim == 4
    back = given.like(given.pixels / np.float32(255) if given.is_float else given.pixels)
    assert (back.dtype, back.shape) == (image.dtype, image.shape)
    np.testing.assert_allclose(back, image, atol=1e-3 if dtype == np.float16 else 1e-6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(6, 8), (1, 6, 8), (3, 6, 8), (2, 3, 6, 8)])
def test_tensors_have_their_channels_first(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    tensor = torch.from_numpy(np.resize(FLOAT, shape) * (255 if dtype == torch.uint8 else 1)).to(dtype)
    given = images.of(tensor)
    assert given.pixels.shape[1:3] == (6, 8)
    back = given.like(given.pixels / np.float32(255) if given.is_float else given.pixels)
    assert (back.dtype, back.shape) == (tensor.dtype, tensor.shape)
    assert torch.allclose(back, tensor, atol=1e-6)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((3, 6, 8), np.uint8), r"image has the shape \(3, 6, 8\): images are \(H, W\), \(H, W, C\)"),
        (torch.zeros(6, 8, 3), r"\(C, H, W\) or \(N, C, H, W\) of a tensor, with 1, 3 or 4 channels"),
        (np.zeros((2, 2, 6, 8, 3), np.uint8), "has the shape"),
        (np.zeros(8, np.uint8), "has the shape"),
        (np.zeros((0, 8), np.uint8), "there is no pixel in it"),
        (np.zeros((6, 8), np.int64), "image is int64: images are uint8"),
        (np.zeros((6, 8), bool), "image is bool: images are uint8"),
        (255 * FLOAT, "float and reaches from 0 to 255: float images have black at 0 and white at 1"),
        (FLOAT * np.float32(np.nan), "NaN or infinity"),
        ([[0, 1]], "image is a builtins.list: give a NumPy array, such as"),
        (Image.new("L", (8, 6)), "image is a PIL.Image.Image: give a NumPy array"),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(image: Any, words: str) -> None:
    with pytest.raises(degrain.DataError, match=words) as caught:
        images.of(image)
    assert "\n" not in str(caught.value)
    with pytest.raises(degrain.DegrainError, match=words):
        degrain.add_noise(image)


def test_noise_may_reach_beyond_black_and_white() -> None:
    noisy = degrain.add_noise(FLOAT, sigma=50, clip=False)
    assert noisy.min() < 0
    assert noisy.max() > 1
    images.of(noisy)
