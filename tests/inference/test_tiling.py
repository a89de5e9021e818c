"""Whole images through networks with ideas of size."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from torch import nn

from degrain.inference import tiling
from degrain.inference.denoiser import Denoiser
from degrain.networks import catalog
from degrain.pixels import to_unit
from tests.conftest import with_slow

SHAPES = [(1, 1), (7, 300), (64, 64), (65, 63), (200, 131), (513, 40)]
ANY_SIZE = [name for name, spec in catalog.MODELS.items() if not spec.fixed_size]


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


def photograph(height: int, width: int) -> np.ndarray:
    """The top left of a photograph of 1000 x 1004 pixels."""
    enlarged = cv2.resize(skimage.data.astronaut(), (1004, 1000), interpolation=cv2.INTER_CUBIC)
    return np.asarray(enlarged[:height, :width])


def network_of(name: str) -> nn.Module:
    """Untrained, and none of its layers computes nothing, as a fresh U-Net's last one does."""
    torch.manual_seed(0)
    network = catalog.build(name, 3, 64).eval()
    with torch.no_grad():
        for weight in network.parameters():
            if not weight.any():
                weight.normal_(std=0.02)
    return network


def mirrored(image: np.ndarray, multiple: int) -> np.ndarray:
    padding = [(0, -side % multiple) for side in image.shape[:2]]
    return np.pad(image, [*padding, (0, 0)], mode="symmetric")


# Networks that see an image enlarged, so that their own grid is finer than the image's.
ENLARGED = ("sinha2018-x4", "unet-x2", "machinecurve2019-x2", "unet-x3", "sinha2018-x3", "machinecurve2019-x3")
# Networks of many layers or weights, which take up to a minute; rednet10 and resunet-small are built like most of them.
DEEP = (
    "rednet20",
    "rednet30",
    "yilmaz2020",
    "yilmaz2020-no-skips",
    "dncnn",
    "dncnn-20",
    "ffdnet",
    "resunet-medium",
    "resunet-medium-mean",
    "resunet-large",
)
NAMES = with_slow((*ANY_SIZE, *ENLARGED), DEEP)


@pytest.mark.parametrize("name", NAMES)
def test_tiles_are_computed_as_the_whole_image_is(name: str) -> None:
    """In float64, where rounding is no excuse, and whatever the scale of what an untrained network makes of it."""
    spec, network = catalog.spec(name), network_of(name).double()
    # Odd, so on no network's grid, and so large that a tile at one side does not reach the other.
    height, width = 2 * spec.radius + 41, 2 * spec.radius + 63
    image = photograph(height, width).astype(np.float64) / 255

    @torch.inference_mode()
    def forward(batch: np.ndarray) -> np.ndarray:
        return network(torch.from_numpy(batch).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()

    whole = forward(mirrored(image, spec.multiple)[None])[0, :height, :width]
    scale = max(1.0, float(np.abs(whole).max()))
    # A third and a half of the image, rounded up to the network's grid: without slivers, of which each costs a tile.
    parts = (-(-width // (count * spec.multiple)) * spec.multiple for count in (3, 2))
    for tile in (*parts, height - 15):
        output = np.full(image.shape, np.nan)
        for rows, columns, pixels in tiling.in_halos(forward, image, tile, spec.radius, spec.multiple, spec.smallest):
            output[rows, columns] = pixels
        assert np.abs(output - whole).max() <= 1e-9 * scale


def rounding(network: nn.Module, image: np.ndarray) -> float:
    """By how much float32 alone changes what the network makes of a float64 image, on this processor."""
    inputs = torch.from_numpy(image.copy()).permute(2, 0, 1)[None]
    with torch.inference_mode():
        single, double = network.float()(inputs.float()), network.double()(inputs)
    network.float()
    return float((single - double).abs().max())


def check_photograph(name: str) -> None:
    """Compare tiles of the whole photograph, in float32 as in use, with one run over all of it."""
    height, width = 1000, 1004
    image, spec, network = photograph(height, width), catalog.spec(name), network_of(name)
    # Both are rounded, and by which kernels the processor decides; deep networks round by more than a millionth.
    tolerance = max(1e-6, 2 * rounding(network, image[:256, :256] / 255))
    denoiser = Denoiser(network, name, 3, 64)
    whole = denoiser.outputs(to_unit(mirrored(image, spec.multiple))[None])[0, :height, :width]
    for tile in (100, 333, 512):
        output = joined(denoiser.tiles(image, tile), image)
        assert np.abs(output - whole).max() <= tolerance


def test_tiles_of_a_photograph_equal_the_whole() -> None:
    check_photograph("unet")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ANY_SIZE if name not in ("unet", *DEEP)])
def test_tiles_of_a_photograph_equal_the_whole_for_slower_networks(name: str) -> None:
    check_photograph(name)


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
