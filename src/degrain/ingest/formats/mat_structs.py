"""Structs in MATLAB files of version 5 as plain Python values."""

from __future__ import annotations

import math
import struct
import zlib
from typing import IO, Any

from degrain.ingest.formats.mat_v5 import COMPRESSED, LETTERS, MATRIX, element, elements

_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMERIC = range(6, 16)
_ENCODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16-le", 16: "utf-8", 17: "utf-16-le"}
_DEEPEST = 16
_TAG = 8


def read(file: IO[bytes], name: str, most: int) -> Any:
    """Read a variable.

    Args:
        file: The file.
        name: The variable's name.
        most: Bytes, unpacked, that the file's variables must stay below.

    Returns:
        For a struct of one a dict, otherwise for structs and cells a list, for text a str, for numbers a list in
        MATLAB's order (down the columns), for anything else, and if there is no such variable, None.

    Raises:
        ValueError, struct.error, zlib.error, UnicodeDecodeError: The file is damaged, or too large.
    """
    found = None
    for kind, count in elements(file):
        data = file.read(count)
        if kind == COMPRESSED:
            kind, data, _ = element(_inflated(data, most), 0)  # noqa: PLW2901
        most -= len(data)
        if most <= 0:
            raise ValueError("it is larger than metadata can be")
        if kind == MATRIX and element(data, _after_shape(data))[1] == name.encode():
            found = _value(data, 0)
    return found


def _inflated(data: bytes, most: int) -> bytes:
    decoder = zlib.decompressobj()
    values = decoder.decompress(data, most)
    if not decoder.eof:
        raise ValueError("it is larger than metadata can be" if len(values) == most else "it is truncated")
    return values


def _after_shape(data: bytes) -> int:
    return element(data, element(data, 0)[2])[2]


def _value(data: bytes, depth: int) -> Any:
    """Parse an array; its flags, shape and name come first, then what its class calls for."""
    if not data:
        return []
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    code = struct.unpack_from("<I", data, _TAG)[0] & 0xFF
    shape = _numbers(*element(data, element(data, 0)[2])[:2])
    if min(shape, default=-1) < 0:
        raise ValueError(f"it has the shape {shape}")
    place = element(data, _after_shape(data))[2]
    if code == _CELL:
        return _many(data, place, math.prod(shape), depth)
    if code == _STRUCT:
        return _structs(data, place, math.prod(shape), depth)
    kind, values, _ = element(data, place)
    if code == _CHAR:
        return values.decode(_ENCODINGS.get(kind, "latin-1"))
    return _numbers(kind, values) if code in _NUMERIC else None


def _structs(data: bytes, place: int, count: int, depth: int) -> Any:
    _, width, place = element(data, place)
    _, text, place = element(data, place)
    step = struct.unpack("<i", width)[0]
    if step <= 0:
        raise ValueError("the names of its fields have no length")
    names = [text[i : i + step].partition(b"\0")[0].decode("ascii") for i in range(0, len(text), step)]
    values = iter(_many(data, place, count * len(names), depth))
    structs = [{name: next(values) for name in names} for _ in range(count if names else 0)]
    return structs[0] if count == 1 and structs else structs


def _many(data: bytes, place: int, count: int, depth: int) -> list[Any]:
    if count > (len(data) - place) // _TAG:
        raise ValueError(f"{count} values are not there")
    values = []
    for _ in range(count):
        kind, contents, place = element(data, place)
        if kind != MATRIX:
            raise ValueError(f"there is an element of type {kind} where an array should be")
        values.append(_value(contents, depth + 1))
    return values


def _numbers(kind: int, values: bytes) -> list[Any]:
    letter = LETTERS.get(kind)
    if letter is None:
        raise ValueError(f"it has numbers of type {kind}")
    return list(struct.unpack(f"<{len(values) // struct.calcsize(letter)}{letter}", values))
