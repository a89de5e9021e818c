"""Near-copies: images that show the same picture, encoded anew, resized, recompressed, mirrored, or with noise on it.

An image is described by its luminance at 16x16 pixels, where noise and JPEG's blocks have averaged out; two are
near-copies where the correlation of these, or of one and the mirrored other, is above a limit. Crops, turned and
recolored pictures are not found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from degrain.pixels import to_8_bits

SIDE = 16
# The limit where a data set has no other. In FER-2013's test part the least alike of 62 pairs above it still show the
# same photograph.
LIMIT = 0.985
# Images that vary less at low resolution, in 8-bit levels, are flat: noise is all that could be compared.
LEAST_DEVIATION = 4.0
# Images that are compared with others at once: their products take 1 MB, which caches hold.
BLOCK = 512
# Numbers of each image by which most pairs are told apart; more take longer, and fewer leave more pairs to look at.
COARSE = 14
# Images whose principal axes these are.
SAMPLE = 4096
# By how much rounding may change what is computed of them.
SLACK = 1e-4


# Pairs that are shown side by side, and the height of their pictures in pixels.
SHOWN, SHOWN_HEIGHT = 24, 128
# Of an image that cannot be compared.
NOTHING = np.zeros(SIDE * SIDE, np.float32)


@dataclass(frozen=True)
class Pair:
    """Two images that are near-copies: their numbers, the correlation, and whether one is mirrored."""

    first: int
    second: int
    correlation: float
    mirrored: bool


def descriptor(pixels: np.ndarray) -> np.ndarray:
    """Describe an image.

    Args:
        pixels: uint8 or uint16 (height, width, channels).

    Returns:
        float32 (256,) of length 1 and mean 0; zeros of a flat image. The first half is the same for the mirrored image,
        and the second half has its sign changed.
    """
    small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA).reshape(SIDE, SIDE, -1)
    values = small.astype(np.float32).mean(axis=2)
    if pixels.dtype == np.uint16:
        values /= np.float32(257)
    values -= values.mean()
    if values.std() < LEAST_DEVIATION:
        return NOTHING
    values /= np.linalg.norm(values)
    left, right = values[:, : SIDE // 2], values[:, : SIDE // 2 - 1 : -1]
    both: np.ndarray = np.concatenate([(left + right).ravel(), (left - right).ravel()]) / np.float32(np.sqrt(2))
    return both


def find(descriptors: np.ndarray, limit: float) -> Iterator[Pair]:
    """Yield all pairs, in no order that means something.

    Only few numbers of each image are compared first, and only with images near by: with the second half of the
    descriptors made positive, images of a correlation c, mirrored or not, are at most sqrt(2 (1 - c)) apart, and along
    some of the axes no more than that. An eighth of all pairs are near enough along two axes, so time still grows with
    the square of the number of images, and memory does not.

    Args:
        descriptors: float32 (images, 256), as of `descriptor`.
        limit: Least correlation.
    """
    if len(descriptors) < 2:
        return
    coarse = _coarse(descriptors)
    least = limit - 1 - SLACK
    reach = float(np.sqrt(-2 * least))
    strips = np.floor(coarse[:, -1] / reach)
    order = np.lexsort((coarse[:, -2], strips))
    coarse, strips, place = coarse[order], strips[order], coarse[order, -2]
    # Half of the squared distance is (p.p + q.q) / 2 - p.q, here with its sign changed.
    halves, ones = (coarse**2).sum(axis=1, keepdims=True) / 2, np.ones((len(coarse), 1), np.float32)
    rows, columns = np.hstack([coarse, halves, ones]), np.hstack([coarse, -ones, -halves])
    for block, others in _within_reach(strips, place, reach):
        near = rows[block] @ columns[others].T >= least
        first, second = np.divmod(np.flatnonzero(near), near.shape[1])
        first, second = first + block.start, second + others.start
        later = first < second
        first, second = order[first[later]], order[second[later]]
        yield from _above(descriptors, np.minimum(first, second), np.maximum(first, second), limit)


def _within_reach(strips: np.ndarray, place: np.ndarray, reach: float) -> Iterator[tuple[slice, slice]]:
    """Yield blocks of images, each with every later one that may be near enough, no block larger than `BLOCK`.

    Args:
        strips: Along the first axis, in steps of the reach: whole numbers, ascending. Near ones are in the same strip
            or the next.
        place: Along the second axis; ascending in each strip.
        reach: How far near ones are apart at most along either axis.
    """
    for strip in np.unique(strips):
        start, end, after = np.searchsorted(strips, [strip, strip + 1, strip + 2])
        for top in range(start, end, BLOCK):
            bottom = min(top + BLOCK, end)
            low, high = place[top] - reach, place[bottom - 1] + reach
            same = top, start + np.searchsorted(place[start:end], high, "right")
            following = (
                end + np.searchsorted(place[end:after], low),
                end + np.searchsorted(place[end:after], high, "right"),
            )
            for left, right in (same, following):
                for at in range(left, right, BLOCK):
                    yield slice(top, bottom), slice(at, min(at + BLOCK, right))


def _coarse(descriptors: np.ndarray) -> np.ndarray:
    """Where images lie along the axes in which they differ most: float32 (images, `COARSE`)."""
    few = _unsigned(descriptors[:: max(1, len(descriptors) // SAMPLE)])
    few = few - few.mean(axis=0)
    axes = np.linalg.eigh(few.T @ few)[1][:, -COARSE:]
    blocks = [_unsigned(descriptors[top : top + SAMPLE]) @ axes for top in range(0, len(descriptors), SAMPLE)]
    return np.concatenate(blocks)


def _unsigned(descriptors: np.ndarray) -> np.ndarray:
    half = descriptors.shape[1] // 2
    return np.hstack([descriptors[:, :half], np.abs(descriptors[:, half:])])


def _above(descriptors: np.ndarray, first: np.ndarray, second: np.ndarray, limit: float) -> Iterator[Pair]:
    """Those of some pairs whose correlation is above the limit."""
    half = descriptors.shape[1] // 2
    for start in range(0, len(first), SAMPLE):
        one, other = (descriptors[numbers[start : start + SAMPLE]] for numbers in (first, second))
        of_odd = np.einsum("ij,ij->i", one[:, half:], other[:, half:], dtype=np.float64)
        # NOTE: mirroring changes the sign of the odd part's product, so the larger of both is even + |odd|.
        best = np.einsum("ij,ij->i", one[:, :half], other[:, :half], dtype=np.float64) + np.abs(of_odd)
        for place in np.flatnonzero(best >= limit):
            pair = int(first[start + place]), int(second[start + place])
            yield Pair(*pair, float(best[place]), bool(of_odd[place] < 0))


def side_by_side(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Put two images beside each other, for a person.

    Args:
        first: uint8 or uint16 (height, width, channels).
        second: The same, of any size.

    Returns:
        uint8 (128, about 264, 1 or 3): both 128 pixels high.
    """
    shown = []
    for pixels in (first, second):
        visible = to_8_bits(pixels[..., :1] if pixels.shape[2] == 4 else pixels)
        height, width = visible.shape[:2]
        size = max(1, round(width * SHOWN_HEIGHT / height)), SHOWN_HEIGHT
        small = cv2.resize(visible, size, interpolation=cv2.INTER_AREA if height > SHOWN_HEIGHT else cv2.INTER_NEAREST)
        shown.append(small.reshape(SHOWN_HEIGHT, size[0], -1))
    if len({part.shape[2] for part in shown}) > 1:
        shown = [np.repeat(part, 3 // part.shape[2], axis=2) for part in shown]
    gap = np.full((SHOWN_HEIGHT, 8, shown[0].shape[2]), 255, np.uint8)
    return np.concatenate([shown[0], gap, shown[1]], axis=1)


class Groups:
    """Images joined by pairs, also over others (Tarjan's union-find with path halving)."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def join(self, first: int, second: int) -> None:
        """Put two images, and all that are with them, into one group."""
        low, high = sorted((self.of(first), self.of(second)))
        self._parent[high] = low

    def of(self, image: int) -> int:
        """Return the number of the first image of a group."""
        parent = self._parent
        while parent[image] != image:
            parent[image] = parent[parent[image]]
            image = parent[image]
        return image
