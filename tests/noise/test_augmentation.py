"""Geometric augmentation against albumentations and against the group that it should be."""

from __future__ import annotations

import albumentations
import numpy as np
import pytest
from albumentations.core.type_definitions import d4_group_elements

from degrain.noise import augmentation
from tests.conftest import picture

EACH = np.arange(8)


def every_turn(patch: np.ndarray) -> np.ndarray:
    """A patch turned in all eight ways."""
    table = augmentation.turns(len(patch), patch.shape[2])
    return augmentation.turned(patch[None], np.zeros(8, np.int64), [table[element] for element in EACH])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_patches_are_turned_as_albumentations_does(channels: int, dtype: type) -> None:
    patch = picture(0, 32, 32, channels).astype(dtype)
    seen = every_turn(patch)
    assert seen.dtype == dtype
    assert seen.flags.c_contiguous
    for turned, name in zip(seen, d4_group_elements, strict=True):
        expected = albumentations.D4(p=1).apply(patch, group_element=name)
        assert np.array_equal(turned, expected.reshape(patch.shape))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_turns_are_the_eight_of_a_square(channels: int) -> None:
    patch = picture(0, 32, 32, channels)
    expected = [np.rot90(side, k) for side in (patch, patch[:, ::-1]) for k in range(4)]
    assert {turned.tobytes() for turned in every_turn(patch)} == {np.ascontiguousarray(i).tobytes() for i in expected}


def test_each_turn_is_equally_likely_and_depends_on_seed_and_epoch_alone() -> None:
    first = augmentation.elements("dihedral", 3, 1, 80_000)
    assert first is not None
    counts = np.bincount(first, minlength=8)
    # Pearson's statistic with 7 degrees of freedom exceeds 29.9 once in 10,000 draws.
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 29.9
    assert np.array_equal(first, augmentation.elements("dihedral", 3, 1, 80_000))
    for other in ((4, 1), (3, 2)):
        assert (first == augmentation.elements("dihedral", *other, 80_000)).mean() < 0.14


def test_gathering_takes_the_rows_that_are_asked_for() -> None:
    patches = np.stack([picture(i, 32, 32) for i in range(4)])
    rows = np.array([2, 0, 2])
    assert augmentation.elements("none", 3, 1, 5) is None
    assert np.array_equal(augmentation.turned(patches, rows, None), patches[rows])
    table = augmentation.turns(32, 3)
    turned = augmentation.turned(patches, rows, [table[0], table[1], table[2]])
    assert np.array_equal(turned, [patches[2], np.rot90(patches[0]), np.rot90(patches[2], 2)])
