"""The common case, fast: whole PNG and JPEG files with 8-bit gray or RGB pixels, by OpenCV.

OpenCV decodes three times as fast as Pillow and does not hold Python's lock meanwhile, but it returns what it got of a
damaged file, and turns what is unusual into something else. So a file is looked at first, and whatever is not plainly
whole and plain is left to `degrain.ingest.formats.reading`, which decides with Pillow and has the words for what is
wrong.
"""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np

from degrain.pixels import MAX_PIXELS

_PNG = b"\x89PNG\r\n\x1a\n"
_GRAY, _RGB = 0, 2
# Start of frame: baseline and progressive, by Huffman codes.
_FRAMES = (0xC0, 0xC1, 0xC2)
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
_SCAN = 0xDA
# Application segments.
_EXIF, _PROFILE = 0xE1, 0xE2
# Chunks of a PNG that say what values stand for, or how the picture lies.
_MEANING = (b"gAMA", b"iCCP", b"cICP", b"eXIf")


def decode(data: bytes, bare: bool = False) -> np.ndarray | None:
    """Decode a file.

    Args:
        data: The file.
        bare: Whether it must not say anything of how values are meant or how the picture lies.

    Returns:
        uint8 (height, width, 1 or 3), or None where the file is damaged, large, or not as plain as this.
    """
    if not (_plain_png(data, bare) if data.startswith(_PNG) else _plain_jpeg(data, bare)):
        return None
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint8:
        return None
    if pixels.ndim == 2:
        return pixels[..., None]
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if pixels.shape[2] == 3 else None


def _plain_png(data: bytes, bare: bool) -> bool:
    """Tell whether every chunk is whole and none says more than width, height and 8-bit gray or RGB."""
    view, place = memoryview(data), 8
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if end > len(data) or zlib.crc32(view[place + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            return False
        if place == 8:
            if kind != b"IHDR" or length != 13:
                return False
            width, height, depth, color = struct.unpack_from(">IIBB", data, 16)
            if depth != 8 or color not in (_GRAY, _RGB) or width * height > MAX_PIXELS:
                return False
        elif kind in (b"tRNS", b"acTL") or (bare and kind in _MEANING):
            return False
        elif kind == b"IEND":
            return bool(end == len(data))
        place = end
    return False


def _plain_jpeg(data: bytes, bare: bool) -> bool:
    """Tell whether a file begins and ends as a JPEG and has one or three components of 8 bits."""
    if not (data.startswith(b"\xff\xd8") and data.endswith(b"\xff\xd9")):
        return False
    place = 2
    while place + 10 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker in _FRAMES:
            precision, height, width, components = struct.unpack_from(">BHHB", data, place + 4)
            return bool(precision == 8 and components in (1, 3) and 0 < width * height <= MAX_PIXELS)
        if marker == _SCAN or (bare and marker in (_EXIF, _PROFILE)):
            return False
        length = 0 if marker in _WITHOUT_LENGTH else int.from_bytes(data[place + 2 : place + 4], "big")
        place += 2 + length
    return False
