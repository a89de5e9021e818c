"""Whole images through networks with ideas of size."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import pytest
import skimage.data
import torch

from degrain.depth import to_unit
from degrain.inference import tiling
from degrain.inference.denoiser import Denoiser
from degrain.models import catalog

SHAPES = [(1, 1), (7, 300), (64, 64), (65, 63), (200, 131), (513, 40)]
ANY_SIZE = [name for name, spec in catalog.MODELS.items() if not spec.fixed_size]
# The other networks take a corner of the photograph, which is smaller by a factor of 20.
FAST = ("unet", "venkataraman2022", "sinha2018")


def joined(tiles: Iterable[tiling.Tile], image: np.ndarray) -> np.ndarray:
    """The image that tiles make up; each pixel must be in one tile."""
    output, times = np.full(image.shape, np.nan, np.float32), np.zeros(image.shape[:2], int)
    for rows, columns, pixels in tiles:
        output[rows, columns] = pixels
        times[rows, columns] += 1
    assert (times == 1).all()
    return output


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("tile", "radius", "multiple", "least"), [(64, 5, 1, 5), (64, 23, 4, 4), (50, 9, 8, 12)])
def test_tiles_with_halos_lie_on_the_grid_of_the_network(
    shape: tuple[int, int], tile: int, radius: int, multiple: int, least: int
) -> None:
    image = np.random.default_rng(0).random((*shape, 3), dtype=np.float32)

    def forward(batch: np.ndarray) -> np.ndarray:
        assert all(side % multiple == 0 and side >= least for side in batch.shape[1:3])
        assert all(side <= max(tile, least + multiple) + 2 * (radius + least + multiple) for side in batch.shape[1:3])
        return batch

    tiles = list(tiling.in_halos(forward, image, tile, radius, multiple, least))
    assert np.array_equal(joined(tiles, image), image)
    assert all(part.start % multiple == 0 for each in tiles for part in (each.rows, each.columns))


@pytest.mark.parametrize("name", [*ANY_SIZE, "sinha2018-x4", "unet-x2", "machinecurve2019-x2"])
def test_tiles_are_what_the_network_makes_of_the_whole_photograph(name: str) -> None:
    torch.manual_seed(0)
    height, width, tiles = (1000, 1004, (100, 333, 512)) if name in FAST else (202, 251, (48, 100, 150))
    photograph = cv2.resize(skimage.data.astronaut(), (1004, 1000), interpolation=cv2.INTER_CUBIC)[:height, :width]
    spec, network = catalog.spec(name), catalog.build(name, 3, 64)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.std() == 0:  # an untrained U-Net computes nothing
                weight.normal_(std=0.02)
        if name.startswith("rednet"):  # untrained, it adds noise of many times white; trained networks, a tenth of it
            network.up[-1].weight.mul_(0.01)
    denoiser = Denoiser(network, name, 3, 64, {})
    padding = [(0, -side % spec.multiple) for side in (height, width)]
    whole = denoiser.outputs(to_unit(np.pad(photograph, [*padding, (0, 0)], mode="symmetric"))[None])[0]
    whole = whole[:height, :width]
    for tile in tiles:
        output = joined(denoiser.tiles(photograph, tile), photograph)
        assert np.abs(output - whole).max() <= 1e-6


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("side", "overlap"), [(64, 16), (64, 32), (64, 0)])
def test_a_network_of_one_size_that_does_nothing_gives_back_the_image(
    shape: tuple[int, int], side: int, overlap: int
) -> None:
    image = np.random.default_rng(0).random((*shape, 3), dtype=np.float32)

    def forward(batch: np.ndarray) -> np.ndarray:
        assert batch.shape[1:] == (side, side, 3)
        return batch

    assert np.allclose(joined(tiling.blended(forward, image, side, overlap), image), image, atol=1e-6)


def test_tiles_are_blended_without_a_step() -> None:
    """Each tile gets another brightness: the seams must become ramps no steeper than 1 / (overlap + 1) each."""
    image = np.zeros((64, 256, 1), np.float32)

    def forward(batch: np.ndarray) -> np.ndarray:
        levels = np.arange(len(batch), dtype=np.float32) % 2
        return np.broadcast_to(levels[:, None, None, None], batch.shape)

    output = joined(tiling.blended(forward, image, 64, 16), image)
    assert output.min() == 0
    assert output.max() == 1
    assert np.abs(np.diff(output[0, :, 0])).max() <= 1 / 16


def test_neighbouring_tiles_overlap_at_least_as_much_as_asked() -> None:
    for length in range(65, 400, 7):
        starts = tiling._starts(length, 64, 16)
        assert starts[0] == 0
        assert starts[-1] == length - 64
        assert max(np.diff(starts)) <= 48
