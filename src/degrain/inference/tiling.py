"""Running a network over an image of any size, one tile at a time, gray or color.

A tile is exact when it is computed together with a margin, its halo, as wide as the network's receptive radius, and on
the grid of the network's pooling and strides: without the halo, it equals that part of the network's output for the
whole image (`in_halos`). Networks that take images of one size only have no halo; their tiles are blended (`blended`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np

Forward = Callable[[np.ndarray], np.ndarray]


class Sliceable(Protocol):
    """An array (H, W, C), or what makes any part of one when it is asked for it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Return height, width and channels."""

    def __getitem__(self, part: tuple[slice, slice], /) -> np.ndarray:
        """Return some rows and columns, (h, w, C)."""


class Tile(NamedTuple):
    """A finished part of the output.

    Attributes:
        rows: Where it lies in the image.
        columns: The same.
        pixels: float32 (height, width, C).
    """

    rows: slice
    columns: slice
    pixels: np.ndarray


def adapted(forward: Forward, channels: int, images: np.ndarray) -> np.ndarray:
    """Run a network over gray or color images, whichever of the two it takes.

    Args:
        forward: The network, from float32 (N, H, W, channels) to the same shape.
        channels: That it takes, 1 for gray and 3 for color.
        images: float32 (N, H, W, C). A gray image goes through a color network as three equal channels and is averaged
            afterwards; a color image goes through a gray network channel by channel.

    Returns:
        float32 (N, H, W, C).
    """
    given = images.shape[3]
    if given == channels:
        return forward(images)
    if channels == 1:
        return np.concatenate([forward(images[..., i : i + 1]) for i in range(given)], axis=3)
    gray: np.ndarray = forward(np.repeat(images, channels, axis=3)).mean(axis=3, keepdims=True)
    return gray


def in_halos(
    forward: Forward, image: Sliceable, tile: int, radius: int, multiple: int = 1, least: int = 1
) -> Iterator[Tile]:
    """Run a network over an image in tiles that do not overlap, with the outcome of one run over the whole image.

    The whole image is continued by its mirror image at the right and at the bottom, to a size that the network takes.
    Tiles at its border get no halo there, so that the network's own padding acts where it does on the whole image; they
    get a wider one inside, so that the network sees one size only and the memory of one tile serves for the next.

    Args:
        forward: From part of the image as it is, (1, h, w, C), to float32 (1, h, w, C).
        image: (H, W, C), any size and type.
        tile: Largest side of the tiles, in pixels, without their halos, rounded down to a multiple of `multiple` (but
            not to 0).
        radius: How far from a pixel its output depends on others, in pixels (`ModelSpec.radius`).
        multiple: Height and width that the network takes must be multiples of this.
        least: They must be at least this, too.

    Yields:
        The tiles, row by row.
    """
    halo = _up(max(radius, least), multiple)
    rows, columns = (_Axis.of(side, tile, halo, multiple, least) for side in image.shape[:2])
    for top in rows.starts:
        for left in columns.starts:
            vertical, horizontal = rows.at(top), columns.at(left)
            part = image[vertical.seen, horizontal.seen]
            padding = (vertical.padding, horizontal.padding, (0, 0))
            if any(map(any, padding)):
                part = np.pad(part, padding, mode="symmetric")
            output = forward(part[None])[0]
            yield Tile(vertical.core, horizontal.core, output[vertical.kept, horizontal.kept])


class _Span(NamedTuple):
    """Along one axis: what of the image is seen, pixels to mirror at its end, what of the output is kept, and where."""

    seen: slice
    padding: tuple[int, int]
    kept: slice
    core: slice


class _Axis(NamedTuple):
    """The tiles along one axis: the image's length, its length with padding, the tiles' side and halo."""

    length: int
    padded: int
    side: int
    halo: int

    @classmethod
    def of(cls, length: int, tile: int, halo: int, multiple: int, least: int) -> _Axis:
        """Divide an axis into the fewest tiles, as equal as the grid allows."""
        padded = _up(max(length, least), multiple)
        count = -(-padded // max(multiple, tile // multiple * multiple))
        return cls(length, padded, _up(-(-padded // count), multiple), halo)

    @property
    def starts(self) -> range:
        """First pixels of the tiles; padding that is a tile of its own is left out."""
        return range(0, self.length, self.side)

    def at(self, start: int) -> _Span:
        """Return the tile that starts there."""
        end = min(start + self.side, self.length)
        window = min(self.padded, self.side + 2 * self.halo)
        first = min(max(0, start - self.halo), self.padded - window)
        last = first + window
        seen = min(last, self.length)
        return _Span(slice(first, seen), (0, last - seen), slice(start - first, end - first), slice(start, end))


def _up(number: int, multiple: int) -> int:
    """Round up to a multiple."""
    return -(-number // multiple) * multiple


def blended(forward: Forward, image: np.ndarray, side: int, overlap: int) -> Iterator[Tile]:
    """Run a network that takes images of one size over an image, in overlapping tiles that are blended linearly.

    Args:
        forward: From parts of the image as it is, (N, side, side, C), to float32 of the same shape.
        image: (H, W, C), any size and type. Where it is smaller than a tile it is continued by its mirror image.
        side: Of the tiles, in pixels.
        overlap: Least overlap of neighbouring tiles, in pixels, at most half of side.

    Yields:
        Bands as wide as the image, from top to bottom. Only one row of tiles is held as floats.
    """
    height, width, channels = image.shape
    if min(height, width) < side:
        padding = ((0, max(0, side - height)), (0, max(0, side - width)), (0, 0))
        image = np.pad(image, padding, mode="symmetric")
    ramp = _ramp(side, overlap)
    window = (ramp[:, None] * ramp[None, :])[..., None]
    lefts = _starts(image.shape[1], side, overlap)
    tops = _starts(image.shape[0], side, overlap)
    total = np.zeros((side, image.shape[1], channels), dtype=np.float32)
    weight = np.zeros((side, image.shape[1], 1), dtype=np.float32)
    for top, following in zip(tops, [*tops[1:], image.shape[0]], strict=True):
        tiles = np.stack([image[top : top + side, left : left + side] for left in lefts])
        for left, output in zip(lefts, forward(tiles), strict=True):
            total[:, left : left + side] += window * output
            weight[:, left : left + side] += window
        done = following - top
        end = min(following, height)
        yield Tile(slice(top, end), slice(0, width), (total[:done] / weight[:done])[: end - top, :width])
        for sums in (total, weight):
            sums[: side - done] = sums[done:].copy()
            sums[side - done :] = 0


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    """First pixels of the tiles along one axis; the last tile ends at the border."""
    if length <= tile:
        return [0]
    count = -(-(length - overlap) // (tile - overlap))
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def _ramp(length: int, overlap: int) -> np.ndarray:
    """Weight of a tile's pixels along one axis: rising over the overlap, flat, falling."""
    steps = np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1))
    return (np.minimum(steps, overlap + 1) / (overlap + 1)).astype(np.float32)
