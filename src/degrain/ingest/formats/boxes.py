"""The boxes of ISO base media files, of which AVIF and JPEG XL containers are made.

Source: ISO/IEC 14496-12, section 4.2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

# Boxes that hold boxes -> bytes before the first of them.
_HOLDING = {b"meta": 4, b"iprp": 0, b"ipco": 0}


def walk(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind of each box and where its contents begin and end; what does not fit ends the walk.

    Args:
        data: The file.
        start: Where the first box begins.
        end: Where the last one ends; the end of the file if None.
    """
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1 and start + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        after = start + size if size else end
        if size and not start + head <= after <= end:
            return
        yield kind, start + head, after
        start = after


def find(data: bytes, *path: bytes) -> list[bytes]:
    """Return the contents of all boxes at a path such as (b"meta", b"iprp", b"ipco", b"colr")."""
    places = [(0, len(data))]
    for kind in path:
        places = [
            (start + _HOLDING.get(kind, 0), end)
            for inside in places
            for found, start, end in walk(data, *inside)
            if found == kind
        ]
    return [data[start:end] for start, end in places]


def box(kind: bytes, contents: bytes) -> bytes:
    """Return a box."""
    return struct.pack(">I", len(contents) + 8) + kind + contents
