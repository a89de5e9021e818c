"""Geometric augmentation against the group that it should be."""

from __future__ import annotations

import numpy as np
import pytest

from degrain.noise import augmentation
from tests.conftest import picture


@pytest.mark.parametrize("channels", [1, 3, 4])
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


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_pair_turns_together(dtype: type) -> None:
    clean = picture(0, 32, 32, 3).astype(dtype)
    augment = augmentation.build("dihedral", seed=3)
    for position in range(16):
        both = augment(np.concatenate([clean + 1, clean], axis=2), 0, position)
        assert both.dtype == dtype
        assert np.array_equal(both[..., :3], both[..., 3:] + 1)


def test_no_augmentation_leaves_the_patch() -> None:
    patch = picture(0)[::2, ::2]
    assert np.array_equal(augmentation.build("none", 0)(patch, 1, 2), patch)
