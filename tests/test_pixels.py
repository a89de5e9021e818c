"""Depths: white stays white, and there and back is the same."""

from __future__ import annotations

import numpy as np
import pytest

from degrain import pixels

EIGHT = np.arange(256, dtype=np.uint8)


def test_sixteen_bits_are_rounded_to_eight() -> None:
    deep = np.array([0, 128, 129, 257, 65535], np.uint16)
    assert pixels.to_8_bits(deep).tolist() == [0, 0, 1, 1, 255]


def test_eight_bits_come_back_from_sixteen() -> None:
    deep = pixels.to_16_bits(EIGHT)
    assert deep[[0, 1, 255]].tolist() == [0, 257, 65535]
    assert np.array_equal(pixels.to_8_bits(deep), EIGHT)
    assert pixels.to_16_bits(deep) is deep


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_levels_and_units_of_white_do_not_depend_on_the_depth(dtype: type) -> None:
    image = EIGHT if dtype == np.uint8 else pixels.to_16_bits(EIGHT)
    levels = pixels.to_levels(image)
    assert levels == pytest.approx(np.arange(256))
    assert pixels.to_unit(image) == pytest.approx(np.arange(256) / 255)
    assert np.array_equal(pixels.from_levels(levels, image.dtype), image)


def test_levels_beyond_black_and_white_are_clipped() -> None:
    assert pixels.from_levels(np.array([-3.0, 254.6, 300.0], np.float32), np.dtype(np.uint8)).tolist() == [0, 255, 255]
