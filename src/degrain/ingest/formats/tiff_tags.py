"""The tags of a file built like a TIFF, as DNG and many camera raw files are: what rawpy does not tell of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

Tags = dict[int, tuple[int, ...] | str]

SUB_DIRECTORIES = 330
_TEXT = 2
_LETTERS = {1: "B", 3: "H", 4: "I"}
_MOST_DIRECTORIES = 64
_LONGEST_TEXT = 256


def directories(data: bytes) -> list[Tags]:
    """Read all directories, the first one first, with those below them.

    Args:
        data: The file.

    Returns:
        Tags with values of 8, 16 or 32 bits, or of text; others are left out, and so is what lies beyond the file.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        return []
    places = list(struct.unpack_from(f"{order}I", data, 4))
    found: dict[int, Tags] = {}
    while places and len(found) < _MOST_DIRECTORIES:
        place = places.pop(0)
        if not place or place in found or place + 2 > len(data):
            continue
        found[place] = dict(_tags(data, place, order))
        after = place + 2 + 12 * struct.unpack_from(f"{order}H", data, place)[0]
        below = found[place].get(SUB_DIRECTORIES, ())
        places += [place for place in below if isinstance(place, int)][:_MOST_DIRECTORIES]
        places += struct.unpack_from(f"{order}I", data, after) if after + 4 <= len(data) else ()
    return list(found.values())


def _tags(data: bytes, place: int, order: str) -> Iterator[tuple[int, tuple[int, ...] | str]]:
    for i in range(struct.unpack_from(f"{order}H", data, place)[0]):
        entry = place + 2 + 12 * i
        if entry + 12 > len(data):
            return
        tag, kind, count, at = struct.unpack_from(f"{order}2H2I", data, entry)
        letter = _LETTERS.get(kind, "B" if kind == _TEXT else "")
        size = count * struct.calcsize(f"<{letter}")
        start = at if size > 4 else entry + 8
        if not letter or start + size > len(data):
            continue
        if kind == _TEXT:
            text = data[start : start + min(size, _LONGEST_TEXT)].partition(b"\0")[0]
            yield tag, text.decode("utf-8", "replace").strip()
        else:
            yield tag, struct.unpack_from(f"{order}{count}{letter}", data, start)


def extent(tags: Tags) -> int:
    """Return where the pixels of a directory end in the file: its strips or tiles; 0 if it does not say."""
    ends = [0]
    for places, sizes in ((273, 279), (324, 325)):
        ends += [
            place + size
            for place, size in zip(tags.get(places, ()), tags.get(sizes, ()), strict=False)
            if isinstance(place, int) and isinstance(size, int)
        ]
    return max(ends)
