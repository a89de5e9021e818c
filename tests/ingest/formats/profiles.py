"""ICC profiles of any tone curve, made by hand after ICC.1:2022."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

_D50 = (0.9642, 1.0, 0.8249)
_COLORS = {b"rXYZ": (0.4361, 0.2225, 0.0139), b"gXYZ": (0.3851, 0.7169, 0.0971), b"bXYZ": (0.1431, 0.0606, 0.7141)}


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65_536))


def table(values: Sequence[float]) -> bytes:
    """A curve as a table of light, 0 to 1."""
    return b"curv\0\0\0\0" + struct.pack(f">I{len(values)}H", len(values), *(round(value * 65_535) for value in values))


def power(exponent: float) -> bytes:
    """A curve by its exponent."""
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256))


def formula(kind: int, *numbers: float) -> bytes:
    """A parametric curve."""
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + b"".join(map(_fixed, numbers))


def profile(curve: bytes, gray: bool = False) -> bytes:
    """A profile of a screen whose colors all have one curve."""

    def point(values: Sequence[float]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(_fixed, values))

    tags = {b"wtpt": point(_D50)}
    if gray:
        tags[b"kTRC"] = curve
    else:
        tags |= {name: point(values) for name, values in _COLORS.items()}
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    index, contents, start = b"", b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        padded = value + b"\0" * (-len(value) % 4)
        index += name + struct.pack(">II", start + len(contents), len(value))
        contents += padded
    head = bytearray(128)
    struct.pack_into(">I", head, 0, start + len(contents))
    head[8:12] = b"\x02\x40\0\0"
    head[12:24] = b"mntr" + (b"GRAY" if gray else b"RGB ") + b"XYZ "
    head[36:40] = b"acsp"
    head[68:80] = b"".join(map(_fixed, _D50))
    return bytes(head) + struct.pack(">I", len(tags)) + index + contents


_STEPS = np.linspace(0, 1, 256)


def _pq(values: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084, 1 for 10,000 cd/m2."""
    root = values ** (1 / 78.84375)
    light: np.ndarray = (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    return light


LINEAR = {
    "empty": b"curv\0\0\0\0\0\0\0\0",
    "power 1": power(1),
    "two entries": table([0, 1]),
    "256 entries": table(_STEPS.tolist()),
    "formula 0": formula(0, 1),
    "formula 3": formula(3, 1, 1, 0, 1, 0.04),
}
LIKE_SRGB = {
    "sRGB": formula(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    "power 2.2": power(2.2),
    "power 1.8": power(1.8),
    "dot gain": table((_STEPS**1.74).tolist()),
}
NEITHER = {
    "power 0.5": power(0.5),
    "power 4": power(4),
    "PQ": table(_pq(_STEPS).tolist()),
    "inverted": table((1 - _STEPS).tolist()),
}
