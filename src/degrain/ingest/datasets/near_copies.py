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
# Images that are compared with others at once: their products take 16 MB.
BLOCK = 2048


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
    """Yield all pairs, a block of images after the other; memory does not grow with their number.

    Args:
        descriptors: float32 (images, 256), as of `descriptor`.
        limit: Least correlation.
    """
    half = descriptors.shape[1] // 2
    even, odd = np.ascontiguousarray(descriptors[:, :half]), np.ascontiguousarray(descriptors[:, half:])
    for top in range(0, len(even), BLOCK):
        for left in range(top, len(even), BLOCK):
            # NOTE: mirroring changes the sign of the odd part's product, so the larger of both is even + |odd|.
            of_odd = odd[top : top + BLOCK] @ odd[left : left + BLOCK].T
            best = np.abs(of_odd)
            best += even[top : top + BLOCK] @ even[left : left + BLOCK].T
            if best.max() < limit:
                continue
            for row, column in np.argwhere(best >= limit):
                first, second = top + int(row), left + int(column)
                if first < second:
                    yield Pair(first, second, float(best[row, column]), bool(of_odd[row, column] < 0))


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
