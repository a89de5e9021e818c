"""PNG files: chunks, and pixels by libpng.

Source: Portable Network Graphics, third edition, W3C 2025 (https://www.w3.org/TR/png-3/).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import imagecodecs
import numpy as np

from degrain.errors import DataError
from degrain.ingest.formats import metadata, sizes
from degrain.ingest.formats.picture import Metadata, Picture
from degrain.pixels import Light

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Level 6, the default, takes 5.5 s for 12 megapixels, more than a network; 1 takes 1.0 s.
LEVEL = 1
_XMP = b"XML:com.adobe.xmp"
_METERS_PER_INCH = 0.0254
# Transfer functions of cICP, after ITU-T H.273, that are close to the sRGB curve.
_SRGB_LIKE = (1, 6, 13, 14, 15)
_LINEAR = 8
# Bytes of a profile or of text, unpacked.
_MOST_TEXT = 1 << 24


def decode(data: bytes, name: str) -> Picture:
    """Decode a PNG.

    Args:
        data: The whole file.
        name: What messages call it.

    Returns:
        Gray or RGB of 8 or 16 bits, fewer bits scaled up; palettes become RGB, and color keys transparency.

    Raises:
        DataError: It is damaged, animated, too large, or of a brightness range that is not supported.
    """
    chunks = dict(_chunks(data, name))
    width, height, bits, color = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    sizes.check(width, height, name)
    if b"acTL" in chunks:
        frames = int.from_bytes(chunks[b"acTL"][:4], "big")
        raise DataError(f"{name} is an animation of {frames} frames; only single images are supported")
    light = _light(chunks, name)
    try:
        values = imagecodecs.png_decode(data)
    except Exception as error:  # libpng's errors, and whatever damaged headers raise
        raise DataError(f"{name} is damaged: {' '.join(str(error).split())}") from error
    values = values if values.ndim == 3 else values[..., None]
    if values.shape[:2] != (height, width) or values.dtype != (np.uint16 if bits == 16 else np.uint8):
        raise DataError(f"{name} is damaged: its pixels are not those that its header announces")
    color_and_alpha = values.shape[2] in (2, 4)
    pixels = np.ascontiguousarray(values[..., :-1]) if color_and_alpha else values
    alpha = values[..., -1].copy() if color_and_alpha else None
    notes = ("its palette became RGB",) if color == 3 else ()
    return Picture(pixels, alpha, _metadata(chunks), light=light, notes=notes)


def _chunks(data: bytes, name: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and contents of each chunk but those of pixels; check all sums, which libpng and Pillow do not."""
    view, place, kind = memoryview(data), 8, b""
    while kind != b"IEND":
        if place + 12 > len(data):
            raise DataError(f"{name} is damaged: it ends too early")
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 8 + length
        if end + 4 > len(data):
            raise DataError(f"{name} is damaged: it ends too early")
        if zlib.crc32(view[place + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise DataError(f"{name} is damaged: a checksum does not match")
        if (place == 8) != (kind == b"IHDR" and length == 13):
            raise DataError(f"{name} is damaged: it does not begin with its header")
        if kind == b"iTXt" and not data.startswith(_XMP, place + 8):
            kind = b"text"
        if kind not in (b"IDAT", b"fdAT"):
            yield kind, data[place + 8 : end]
        place = end + 4


def _light(chunks: dict[bytes, bytes], name: str) -> Light:
    """Tell what values stand for, by the chunk that counts most."""
    if b"cICP" in chunks:
        transfer = chunks[b"cICP"][1]
        if transfer not in (*_SRGB_LIKE, _LINEAR):
            raise DataError(
                f"{name} has the transfer function {transfer} (ITU-T H.273), as of HDR; only sRGB and linear light "
                "are supported"
            )
        return "linear" if transfer == _LINEAR else "srgb"
    if b"iCCP" in chunks:
        return "linear" if metadata.is_linear(_profile(chunks)) else "srgb"
    gamma = _gamma(chunks)
    return "linear" if gamma is not None and b"sRGB" not in chunks and 0.9 < gamma < 1.1 else "srgb"


def _gamma(chunks: dict[bytes, bytes]) -> float | None:
    return int.from_bytes(chunks[b"gAMA"][:4], "big") / 100_000 if b"gAMA" in chunks else None


def _metadata(chunks: dict[bytes, bytes]) -> Metadata:
    return Metadata(
        icc=_profile(chunks),
        exif=chunks.get(b"eXIf", b"").removeprefix(b"Exif\0\0"),
        xmp=_xmp(chunks),
        dpi=_dpi(chunks),
        gamma=_gamma(chunks),
    )


def _profile(chunks: dict[bytes, bytes]) -> bytes:
    return _inflated(chunks.get(b"iCCP", b"").partition(b"\0")[2][1:])


def _xmp(chunks: dict[bytes, bytes]) -> bytes:
    # NOTE: keyword, NUL, compressed, method, language, NUL, translated keyword, NUL, text.
    rest = chunks.get(b"iTXt", b"").partition(b"\0")[2]
    text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    return _inflated(text) if rest[:1] == b"\1" else text


def _inflated(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, _MOST_TEXT) if packed else b""
    except zlib.error:
        return b""


def _dpi(chunks: dict[bytes, bytes]) -> tuple[float, float] | None:
    physical = chunks.get(b"pHYs", b"")
    if len(physical) != 9 or physical[8] != 1:
        return None
    return metadata.resolution(struct.unpack(">II", physical[:8]), _METERS_PER_INCH)


def encode(values: np.ndarray, kept: Metadata) -> bytes:
    """Encode gray or RGB values, alpha last where there is one, of 8 or 16 bits.

    Args:
        values: (height, width, 1 to 4) uint8 or uint16.
        kept: What is written beside them, all of it.
    """
    plain = imagecodecs.png_encode(np.ascontiguousarray(values.squeeze(2) if values.shape[2] == 1 else values), LEVEL)
    header_end = len(SIGNATURE) + 12 + 13
    return b"".join((plain[:header_end], *_written(kept), plain[header_end:]))


def _written(kept: Metadata) -> Iterator[bytes]:
    if kept.gamma is not None:
        yield _chunk(b"gAMA", struct.pack(">I", round(kept.gamma * 100_000)))
    if kept.icc:
        yield _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(kept.icc))
    if kept.dpi:
        yield _chunk(b"pHYs", struct.pack(">IIB", *(round(value / _METERS_PER_INCH) for value in kept.dpi), 1))
    if kept.exif:
        yield _chunk(b"eXIf", kept.exif)
    if kept.xmp:
        yield _chunk(b"iTXt", _XMP + b"\0\0\0\0\0" + kept.xmp)


def _chunk(kind: bytes, contents: bytes) -> bytes:
    return struct.pack(">I", len(contents)) + kind + contents + struct.pack(">I", zlib.crc32(kind + contents))
