"""MATLAB files of version 5: their elements and their numeric arrays (MAT-File Format, version 5, chapter 1).

NOTE: SciPy reads these files, too. But it takes memory for whatever a header announces, copies large arrays once more
than needed to give them their type, and a single wrong byte can make it crash the whole process.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple

import numpy as np

HEADER = 128
MOST_VARIABLES = 1000
MATRIX, COMPRESSED = 14, 15
LETTERS = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 9: "d", 12: "q", 13: "Q"}  # types as of `struct`
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_COMPLEX_OR_LOGICAL = 0x0A00
_HEAD = 1024
_PIECE = 1 << 20


class Variable(NamedTuple):
    """A numeric array in a file, as announced: its shape in MATLAB's order of axes."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def bytes(self) -> int:
        """Bytes of the array in memory."""
        return math.prod(self.shape) * self.dtype.itemsize


class _Place(NamedTuple):
    """Where a variable's values lie: in an element of the file, behind so many bytes, as values of a type."""

    element: int
    size: int
    packed: bool
    skip: int
    stored: np.dtype[Any]


def read(file: IO[bytes], choose: Callable[[list[Variable]], Variable]) -> np.ndarray:
    """Read the array that is chosen of those announced, in Fortran's order in memory.

    Raises:
        ValueError, struct.error, zlib.error, UnicodeDecodeError: The file is damaged.
    """
    found = list(_announced(file))
    chosen = choose([variable for variable, _ in found])
    place = next(place for variable, place in found if variable is chosen)
    values = np.empty(math.prod(chosen.shape), place.stored)
    file.seek(place.element)
    _fill(values.view(np.uint8), _pieces(file, place), place.skip)
    # NOTE: MATLAB stores whole numbers of any type as short as they fit.
    return values.astype(chosen.dtype, copy=False).reshape(chosen.shape, order="F")


def elements(file: IO[bytes]) -> Iterator[tuple[int, int]]:
    """Yield type and bytes of each element of a file, which then stands at the element's start."""
    size = file.seek(0, io.SEEK_END)
    place = HEADER
    for _ in range(MOST_VARIABLES):
        if place == size:
            return
        file.seek(place)
        tag = file.read(8)
        kind, count = struct.unpack("<2I", tag) if len(tag) == 8 else (0, size)
        place += 8 + count
        if place > size:
            raise ValueError("it is truncated")
        yield kind, count
    raise ValueError(f"it has more than {MOST_VARIABLES} variables")


def element(data: bytes, place: int) -> tuple[int, bytes, int]:
    """Return an element's type, its bytes, and where the next one starts; a small one lies within its tag."""
    kind, count = struct.unpack_from("<2I", data, place)
    if kind >> 16:
        return kind & 0xFFFF, data[place + 4 : place + 4 + (kind >> 16)], place + 8
    end = place + 8 + count
    if end > len(data):
        raise ValueError("an element does not end")
    return kind, data[place + 8 : end], end + -count % 8


def _announced(file: IO[bytes]) -> Iterator[tuple[Variable, _Place]]:
    for outer, count in elements(file):
        start = file.tell()
        kind, head, skip = outer, file.read(min(count, _HEAD)), 0
        if outer == COMPRESSED:
            head, skip = zlib.decompressobj().decompress(head, _HEAD), 8
            kind, head = struct.unpack_from("<I", head)[0], head[skip:]
        if kind != MATRIX:
            raise ValueError(f"there is an element of type {kind} where a variable should be")
        found = _variable(head)
        if found:
            variable, stored, after = found
            yield variable, _Place(start, count, outer == COMPRESSED, skip + after, stored)


def _variable(head: bytes) -> tuple[Variable, np.dtype[Any], int] | None:
    """Parse what stands in front of a variable's values, and say of which type and where they are.

    Returns:
        None for a variable that is not numeric.
    """
    flags = struct.unpack_from("<I", head, 8)[0]
    dtype = _CLASSES.get(flags & 0xFF)
    if dtype is None or flags & _COMPLEX_OR_LOGICAL:
        return None
    _, lengths, place = element(head, 16)
    _, name, place = element(head, place)
    if not name:  # what MATLAB stores about functions
        return None
    shape = struct.unpack(f"<{len(lengths) // 4}i", lengths)
    if min(shape, default=-1) < 0:
        raise ValueError(f"it has the shape {shape}")
    kind, count = struct.unpack_from("<2I", head, place)
    small = kind >> 16  # the bytes of a small element lie within its tag
    stored = np.dtype(LETTERS.get(kind & 0xFFFF, "V0"))
    if (small or count) != math.prod(shape) * stored.itemsize:
        raise ValueError(f"{small or count} bytes of values do not fit the shape {shape}")
    return Variable(name.decode("ascii"), shape, np.dtype(dtype)), stored, place + (4 if small else 8)


def _pieces(file: IO[bytes], place: _Place) -> Iterator[bytes]:
    """Yield an element's bytes, unpacked, to its end, where its checksum is."""
    left = place.size
    decoder = zlib.decompressobj()
    while left or (place.packed and not decoder.eof):
        data = decoder.unconsumed_tail
        if not data:
            data = file.read(min(left, _PIECE))
            left -= len(data)
        unpacked = decoder.decompress(data, _PIECE) if place.packed else data
        if not data and not unpacked:
            raise ValueError("it is truncated")
        if decoder.unused_data:
            raise ValueError("more follows its values")
        yield unpacked


def _fill(target: np.ndarray, pieces: Iterator[bytes], skip: int) -> None:
    """Copy what follows the first bytes; after it there may only be what fills up 8 bytes."""
    done = -skip
    for piece in pieces:
        part = piece[max(0, -done) :][: len(target) - max(0, done)]
        target[max(0, done) : max(0, done) + len(part)] = np.frombuffer(part, np.uint8)
        done += len(piece)
        if done > len(target) + 8:
            raise ValueError("more follows its values")
    if done < len(target):
        raise ValueError("it is truncated")
