"""Run-length encoded BMP files: Pillow shifts the rows of those that leave pixels out, and cuts what does not fit.

Source: MS-WMF 2.1.1.7 (BI_RLE8, BI_RLE4) and 3.1.6.
"""

from __future__ import annotations

import struct

import numpy as np

# Values of biCompression.
PACKED = {1: 8, 2: 4}
# One in so many pixels at least is said.
_LEAST = 1000
_END_OF_LINE, _END, _DELTA = 0, 1, 2
_FILE_HEADER, _SIZE = 14, 40


def plain(data: bytes) -> tuple[bytes, bool]:
    """Return a BMP with its runs written out as 8 bits a pixel, and whether it leaves pixels out.

    Args:
        data: The whole file, of a compression in `PACKED`, whose size has been checked.

    Raises:
        ValueError: It is damaged.
    """
    start, width, height = struct.unpack_from("<10xI4xii", data)
    (packing,) = struct.unpack_from("<I", data, _FILE_HEADER + 16)
    if width <= 0 or height <= 0 or start < _FILE_HEADER + _SIZE:
        raise ValueError(f"its header says {width} x {height} runs")
    values, touched = _unpacked(data, start, width, height, PACKED[packing])
    # NOTE: a changed byte of the header would make a few runs a picture of any size.
    if touched * _LEAST < width * height:
        raise ValueError(f"it says nothing of all but {touched} of its {width * height} pixels")
    rows = np.zeros((height, -(-width // 4) * 4), np.uint8)
    rows[:, :width] = values
    header = bytearray(data[:start])
    struct.pack_into("<HII", header, _FILE_HEADER + 14, 8, 0, rows.size)
    (colors,) = struct.unpack_from("<I", header, _FILE_HEADER + 32)
    struct.pack_into("<I", header, _FILE_HEADER + 32, colors or 2 ** PACKED[packing])
    return bytes(header) + rows.tobytes(), touched < width * height


def _unpacked(data: bytes, place: int, width: int, height: int, bits: int) -> tuple[np.ndarray, int]:
    """Return the rows, the lowest one first, and how many pixels were set."""
    values = np.zeros((height, width), np.uint8)
    x = y = touched = 0
    while place + 2 <= len(data):
        count, code = data[place : place + 2]
        place += 2
        if not count and code == _END:
            return values, touched
        if not count and code == _END_OF_LINE:
            x, y = 0, y + 1
        elif not count and code == _DELTA:
            right, up = data[place : place + 2].ljust(2, b"\0")
            x, y, place = x + right, y + up, place + 2
        else:
            count, run, place = _run(data, place, count, code, bits)
            if y >= height or x + count > width or len(run) < count:
                raise ValueError("a run of its pixels does not fit")
            values[y, x : x + count] = run[:count]
            x, touched = x + count, touched + count
        if y > height or x > width:
            raise ValueError("its runs go beyond the picture")
    if touched < width * height:
        raise ValueError("it ends too early")
    return values, touched


def _run(data: bytes, place: int, count: int, code: int, bits: int) -> tuple[int, np.ndarray, int]:
    """Return the number of pixels of a run, they themselves, and where the next one begins."""
    if count:
        pair = [code] if bits == 8 else [code >> 4, code & 15]
        return count, np.resize(np.array(pair, np.uint8), count), place
    size = code if bits == 8 else (code + 1) // 2
    run = np.frombuffer(data[place : place + size], np.uint8)
    if bits == 4:
        run = np.stack([run >> 4, run & 15], axis=1).ravel()
    # NOTE: runs that are written out end at an even number of bytes.
    return code, run, place + size + size % 2
