"""Whole images through networks with ideas of size."""

from __future__ import annotations

import numpy as np
import pytest

from degrain.inference import tiling


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (64, 64), (65, 63), (200, 131), (513, 40)])
@pytest.mark.parametrize(
    ("tile", "overlap", "multiple", "least", "fixed"),
    [(64, 16, 8, 8, True), (64, 32, 4, 4, False), (64, 0, 1, 1, True), (64, 16, 1, 5, False), (64, 16, 2, 12, False)],
)
def test_a_network_that_does_nothing_gives_back_the_image(
    shape: tuple[int, int], tile: int, overlap: int, multiple: int, least: int, fixed: bool
) -> None:
    image = np.random.default_rng(0).random((*shape, 3), dtype=np.float32)
    sizes = set()

    def forward(batch: np.ndarray) -> np.ndarray:
        sizes.add(batch.shape[1:3])
        return batch

    output = tiling.denoise(forward, image, tile, overlap, multiple, least, fixed)
    assert output.shape == image.shape
    assert np.allclose(output, image, atol=1e-6)
    assert all(side % multiple == 0 and least <= side <= tile for size in sizes for side in size)
    if fixed:
        assert sizes == {(tile, tile)}


def test_tiles_are_blended_without_a_step() -> None:
    """Each tile gets another brightness: the seams must become ramps no steeper than 1 / (overlap + 1) each."""
    image = np.zeros((64, 256, 1), np.float32)

    def forward(batch: np.ndarray) -> np.ndarray:
        levels = np.arange(len(batch), dtype=np.float32) % 2
        return np.broadcast_to(levels[:, None, None, None], batch.shape)

    output = tiling.denoise(forward, image, 64, 16, fixed=True)
    assert output.min() == 0
    assert output.max() == 1
    assert np.abs(np.diff(output[0, :, 0])).max() <= 1 / 16


def test_neighbouring_tiles_overlap_at_least_as_much_as_asked() -> None:
    for length in range(65, 400, 7):
        starts = tiling._starts(length, 64, 16)
        assert starts[0] == 0
        assert starts[-1] == length - 64
        assert max(np.diff(starts)) <= 48
