"""Bayer mosaics, packed into four planes of half the size: R, G of R's rows, G of B's rows, B.

The arithmetic is the same for arrays and tensors.

Source: Malvar, He, Cutler, "High-quality linear interpolation for demosaicing of Bayer-patterned color images",
ICASSP 2004.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from degrain.noise.arrays import Array, empty

# Row and column of each plane within a cell of 2x2 pixels, and its color.
CELL = ((0, 0), (0, 1), (1, 0), (1, 1))
COLORS = (0, 1, 1, 2)
# What an interpolated pixel depends on reaches so many pixels.
REACH = 2


def fielded(side: int, margin: int) -> int:
    """Return the even side of a demosaiced field that holds an image with a margin, wherever its first cell begins."""
    return 2 * ((side + 2 * margin + 2) // 2)


@lru_cache(maxsize=16)
def places(height: int, width: int, margin: int) -> np.ndarray:
    """Return which pixel of an image each value of a packed mosaic shows; the image goes on beyond its edges mirrored.

    Args:
        height, width: Of the image, in pixels.
        margin: Of the demosaiced field around the image, in pixels.

    Returns:
        int64 (4, 4, rows, columns): for each of the four places of the image in the mosaic and each plane, indices into
        the flat image. At place 2 * y + x the image begins y + margin rows and x + margin columns into the
        demosaiced field.
    """
    mirrored = [[_mirrored(side, margin, shift) for shift in (0, 1)] for side in (height, width)]
    flat = np.stack([mirrored[0][y][:, None] * width + mirrored[1][x] for y, x in CELL])
    return np.stack([flat[:, row::2, column::2] for row, column in CELL], axis=1)


def _mirrored(side: int, margin: int, shift: int) -> np.ndarray:
    """For each row of a mosaic the row of the image, which begins `shift` rows later."""
    row = np.arange(fielded(side, margin) + 2 * REACH) - REACH - margin - shift
    turn = max(1, 2 * side - 2)
    row = row % turn
    return np.minimum(row, turn - row) % side


def unpacked(planes: Array) -> Array:
    """Return the image that packed planes are of, without `REACH` pixels at each edge.

    Args:
        planes: (..., 4, rows, columns).

    Returns:
        The same type, (..., 2 * rows - 4, 2 * columns - 4).
    """
    inner = planes[..., 1:-1, 1:-1]
    image = empty((*planes.shape[:-3], 2 * inner.shape[-2], 2 * inner.shape[-1]), planes)
    for plane, (row, column) in enumerate(CELL):
        image[..., row::2, column::2] = inner[..., plane, :, :]
    return image


def demosaic(packed: Array, correction: Array) -> Array:
    """Interpolate the two colors that each pixel of a mosaic lacks.

    Args:
        packed: (N, 4, rows, columns).
        correction: (N, 1, 1): how much of the gradient of the color that is there is added: 0 for bilinear
            interpolation, 1 for that of Malvar, He, Cutler.

    Returns:
        The same type, (N, 3, 2 * rows - 4, 2 * columns - 4): R, G, B without `REACH` pixels at each edge.
    """
    rows, columns = (side - 2 for side in packed.shape[-2:])
    image = empty((len(packed), 3, 2 * rows, 2 * columns), packed)
    for plane, (row, column) in enumerate(CELL):
        fill = _fill_green if COLORS[plane] == 1 else _fill_red_or_blue
        fill(image[:, :, row::2, column::2], _Planes(packed, plane), correction / 8)
    return image


class _Planes:
    """What lies around the pixels of one plane; for those of a cell's second row all is mirrored: R and B trade places.

    Attributes:
        color: R or B, whichever the row has.
    """

    def __init__(self, packed: Array, plane: int) -> None:
        self._packed, self._mirror = packed, plane > 1
        self.color = 2 if self._mirror else 0

    def at(self, plane: int, down: int = 0, right: int = 0) -> Array:
        """Pixels of a plane, so many cells away."""
        if self._mirror:
            plane, down, right = 3 - plane, -down, -right
        rows, columns = self._packed.shape[-2:]
        return self._packed[:, plane, 1 + down : rows - 1 + down, 1 + right : columns - 1 + right]

    def beside(self, plane: int) -> Array:
        """Sum of the two pixels of the same plane to the left and right."""
        return self.at(plane, 0, -1) + self.at(plane, 0, 1)

    def above(self, plane: int) -> Array:
        """Sum of the two pixels of the same plane above and below."""
        return self.at(plane, -1, 0) + self.at(plane, 1, 0)


def _fill_red_or_blue(image: Array, planes: _Planes, eighth: Array) -> None:
    at = planes.at
    own = at(0)
    laplacian = eighth * (4 * own - planes.beside(0) - planes.above(0))
    greens = at(1) + at(1, 0, -1) + at(2) + at(2, -1, 0)
    diagonals = at(3) + at(3, 0, -1) + at(3, -1, 0) + at(3, -1, -1)
    image[:, planes.color] = own
    image[:, 1] = greens / 4 + laplacian
    image[:, 2 - planes.color] = diagonals / 4 + 1.5 * laplacian


def _fill_green(image: Array, planes: _Planes, eighth: Array) -> None:
    at = planes.at
    own, beside, above = at(1), planes.beside(1), planes.above(1)
    middle = 5 * own - (at(2) + at(2, 0, 1) + at(2, -1, 0) + at(2, -1, 1))
    image[:, 1] = own
    image[:, planes.color] = (at(0) + at(0, 0, 1)) / 2 + eighth * (middle - beside + above / 2)
    image[:, 2 - planes.color] = (at(3) + at(3, -1, 0)) / 2 + eighth * (middle - above + beside / 2)
