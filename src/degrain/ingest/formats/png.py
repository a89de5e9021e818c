"""PNG files: chunks, and pixels by libpng.

Source: Portable Network Graphics, third edition, W3C 2025 (https://www.w3.org/TR/png-3/).
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field, replace

import imagecodecs
import numpy as np
from PIL.PngImagePlugin import PngImageFile

from degrain.errors import DataError
from degrain.ingest.formats import depths, light, metadata, sizes
from degrain.ingest.formats.depths import White
from degrain.ingest.formats.picture import Metadata, Picture
from degrain.pixels import Light

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Level 6, the default, takes 5.5 s for 12 megapixels, more than a network; 1 takes 1.0 s.
LEVEL = 1
# Pixels that libpng writes, and reads, in a row or column.
LONGEST_SIDE = 1_000_000
_XMP = b"XML:com.adobe.xmp"
_METERS_PER_INCH = 0.0254
_PALETTE = 3
# Bits that gray, RGB and palettes may have, without alpha and with it.
_BITS = {0: (1, 2, 4, 8, 16), 2: (8, 16), _PALETTE: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# What the pixels are made of; the others are not shown to libpng, which would print what it thinks of them.
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
# Size of those chunks that have one, in bytes.
_SIZES = {b"gAMA": 4, b"cHRM": 32, b"cICP": 4, b"sRGB": 1, b"pHYs": 9, b"acTL": 8}
# Bytes of a profile or of XMP, unpacked, and of hexadecimal text.
_MOST_TEXT, _MOST_DIGITS = 1 << 24, 1 << 18
# Keywords of texts in which ImageMagick keeps Exif and XMP.
_HEXADECIMAL = tuple(b"Raw profile type " + kind for kind in (b"exif", b"APP1", b"xmp"))
_RGB_OF_SRGB = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)


@dataclass
class _Chunks:
    """The chunks of a file, checked.

    Attributes:
        single: Contents by kind, the first of each.
        texts: Those of text but XMP: keyword, and the whole chunk.
        xmp: The XMP packet.
        others: Kinds that say nothing of the picture: hints, and those of programs.
        bare: A file of those chunks that pixels are made of.
        behind: Bytes behind the last chunk.
    """

    single: dict[bytes, bytes] = field(default_factory=dict)
    texts: list[tuple[bytes, bytes]] = field(default_factory=list)
    xmp: bytes = b""
    others: set[str] = field(default_factory=set)
    bare: list[memoryview | bytes] = field(default_factory=lambda: [SIGNATURE])
    behind: int = 0


def decode(data: bytes, name: str, white: White = depths.OF_FORMAT) -> Picture:
    """Decode a PNG.

    Args:
        data: The whole file.
        name: What messages call it.
        white: Where white lies in files of 16 bits.

    Returns:
        Gray or RGB of 8 or 16 bits, fewer bits scaled up; palettes become RGB, and color keys transparency.

    Raises:
        DataError: It is damaged, animated, too large, or of a brightness range that is not supported.
    """
    chunks = _chunks(data, name)
    width, height, bits, color, *ways = struct.unpack(">IIBBBBB", chunks.single[b"IHDR"])
    if bits not in _BITS.get(color, ()) or ways not in ([0, 0, 0], [0, 0, 1]) or not width * height:
        raise DataError(f"{name} is damaged: no PNG has such a header")
    sizes.check(width, height, name)
    _check_transparency(chunks, name)
    frames = int.from_bytes(chunks.single.get(b"acTL", b"")[:4], "big")
    if frames > 1:
        raise DataError(f"{name} is an animation of {frames} frames; only single images are supported")
    kept, notes = _metadata(chunks)
    stands_for = _light(chunks.single, kept.icc, name)
    bare = b"".join(chunks.bare)
    try:
        if color == _PALETTE:
            # NOTE: Image.open has a limit of its own, below that of degrain.
            indices = np.asarray(PngImageFile(io.BytesIO(bare)))
            depths.check_indices(indices, len(chunks.single.get(b"PLTE", b"")) // 3)
        # NOTE: libpng prints a warning about each interlaced file, and refuses wider ones.
        other = ways[2] or max(width, height) > LONGEST_SIDE
        values = imagecodecs.spng_decode(bare) if other else imagecodecs.png_decode(bare)
    except Exception as error:  # libpng's errors, and whatever damaged headers raise
        raise DataError(f"{name} is damaged: {' '.join(str(error).split())}") from error
    values = values if values.ndim == 3 else values[..., None]
    if values.shape[:2] != (height, width) or values.dtype != (np.uint16 if bits == 16 else np.uint8):
        raise DataError(f"{name} is damaged: its pixels are not those that its header announces")
    if color == _PALETTE:
        notes += ("its palette became RGB",)
    picture = depths.picture(*depths.apart(values), white, name)
    return replace(picture, metadata=kept, light=stands_for, notes=picture.notes + notes)


def _chunks(data: bytes, name: str) -> _Chunks:
    """Read the chunks and check all sums, which libpng and Pillow do not."""
    chunks, view, place, kind = _Chunks(), memoryview(data), 8, b""
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
        if not kind.isalpha():
            raise DataError(f"{name} is damaged: at byte {place} no chunk has its name")
        if length != _SIZES.get(kind, length):
            raise DataError(f"{name} is damaged: its chunk {kind.decode()} has {length} bytes")
        _take(chunks, kind, view[place : end + 4], name)
        place = end + 4
    if b"IDAT" not in chunks.single:
        raise DataError(f"{name} is damaged: it has no pixels")
    chunks.behind = len(data) - place
    return chunks


def _take(chunks: _Chunks, kind: bytes, chunk: memoryview, name: str) -> None:
    if kind in _PIXELS and not (kind == b"PLTE" and _color(chunks) != _PALETTE):
        chunks.bare.append(chunk)
    contents = b"" if kind in (b"IDAT", b"fdAT") else bytes(chunk[8:-4])
    if kind in _TEXTS:
        keyword = contents.partition(b"\0")[0]
        if keyword == _XMP and kind == b"iTXt":
            chunks.xmp = _international(contents)
        else:
            chunks.texts.append((keyword, bytes(chunk)))
        return
    known = kind in (*_PIXELS, *_SIZES, b"iCCP", b"eXIf", b"fcTL", b"fdAT")
    if not known and not kind[0] & 32:
        raise DataError(f"{name} has an unknown chunk {kind.decode()} without which it cannot be understood")
    if not known:
        chunks.others.add(kind.decode())
    chunks.single.setdefault(kind, contents)


def _color(chunks: _Chunks) -> int:
    """The color type: gray, RGB or palette, with alpha or without."""
    return chunks.single[b"IHDR"][9]


def _check_transparency(chunks: _Chunks, name: str) -> None:
    """Refuse color keys and transparency of a palette that do not fit; libpng leaves them out."""
    if b"tRNS" in chunks.single:
        size, colors = len(chunks.single[b"tRNS"]), len(chunks.single.get(b"PLTE", b"")) // 3
        fits = {0: size == 2, 2: size == 6, _PALETTE: size <= colors}.get(_color(chunks), False)
        if not fits:
            raise DataError(f"{name} is damaged: its transparency does not fit its colors")


def _light(chunks: dict[bytes, bytes], icc: bytes, name: str) -> Light:
    """Tell what values stand for, by the chunk that counts most."""
    if b"cICP" in chunks:
        _, transfer, matrix, full = chunks[b"cICP"]
        if matrix or full != 1:
            raise DataError(f"{name} has values that are not RGB of full range (cICP), which is not supported")
        return light.of_transfer(transfer, name)
    if icc:
        return light.of_profile(icc, name)
    if b"gAMA" not in chunks or b"sRGB" in chunks:
        return "srgb"
    gamma = _gamma(chunks)
    if not gamma:
        raise DataError(f"{name} is damaged: its gamma is 0")
    return light.of_exponent(1 / gamma, "gamma", name)


def _gamma(chunks: dict[bytes, bytes]) -> float | None:
    return int.from_bytes(chunks[b"gAMA"], "big") / 100_000 if b"gAMA" in chunks else None


def _metadata(chunks: _Chunks) -> tuple[Metadata, tuple[str, ...]]:
    """Gather what is to be kept, and say what is left out."""
    single = chunks.single
    packed = single.get(b"iCCP", b"").partition(b"\0")[2][1:]
    unpacked = _inflated(packed)
    icc, notes = metadata.profile(unpacked)
    if b"iCCP" in single and not unpacked:
        notes = (metadata.BROKEN_PROFILE,)
    if chunks.others:
        notes += (f"chunks ({', '.join(sorted(chunks.others))}) are left out",)
    if single.get(b"pHYs", b"").endswith(b"\0") and single[b"pHYs"][:4] != single[b"pHYs"][4:8]:
        notes += (metadata.OBLONG,)
    notes += metadata.behind(chunks.behind)
    first = dict(reversed([text for text in chunks.texts if text[0] in _HEXADECIMAL]))
    hexadecimal = {keyword: _from_hexadecimal(chunk) for keyword, chunk in first.items()}
    exif = single.get(b"eXIf") or hexadecimal.get(_HEXADECIMAL[0]) or hexadecimal.get(_HEXADECIMAL[1]) or b""
    kept = Metadata(
        icc=icc,
        exif=exif.removeprefix(b"Exif\0\0"),
        xmp=chunks.xmp or hexadecimal.get(_HEXADECIMAL[2], b""),
        dpi=_dpi(single),
        gamma=_gamma(single),
        intent=single[b"sRGB"][0] if b"sRGB" in single else None,
        primaries=_primaries(single),
        cicp=tuple(single.get(b"cICP", b"")),
        texts=b"".join(chunk for keyword, chunk in chunks.texts if not hexadecimal.get(keyword)),
    )
    return kept, notes


def _international(contents: bytes) -> bytes:
    # NOTE: keyword, NUL, compressed, method, language, NUL, translated keyword, NUL, text.
    rest = contents.partition(b"\0")[2]
    text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    return _inflated(text) if rest[:1] == b"\1" else text


def _from_hexadecimal(chunk: bytes) -> bytes:
    """Read what ImageMagick puts into text: a name, a length, and hexadecimal digits."""
    contents = chunk[8:-4].partition(b"\0")[2]
    text = _inflated(contents[1:], _MOST_DIGITS) if chunk[4:8] == b"zTXt" else contents[:_MOST_DIGITS]
    try:
        return bytes.fromhex("".join(text.decode("ascii").split()[2:]))
    except ValueError:
        return b""


def _inflated(packed: bytes, most: int = _MOST_TEXT) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, most) if packed else b""
    except zlib.error:
        return b""


def _dpi(chunks: dict[bytes, bytes]) -> tuple[float, float] | None:
    physical = chunks.get(b"pHYs", b"")
    if not physical or physical[8] != 1:
        return None
    return metadata.resolution(struct.unpack(">II", physical[:8]), _METERS_PER_INCH)


def _primaries(chunks: dict[bytes, bytes]) -> tuple[float, ...]:
    if b"cHRM" not in chunks:
        return ()
    found = tuple(value / 100_000 for value in struct.unpack(">8I", chunks[b"cHRM"]))
    return () if np.allclose(found, _RGB_OF_SRGB, atol=0.002) else found


def encode(values: np.ndarray, kept: Metadata) -> bytes:
    """Encode gray or RGB values, alpha last where there is one, of 8 or 16 bits.

    Args:
        values: (height, width, 1 to 4) uint8 or uint16.
        kept: What is written beside them, all of it.
    """
    pixels = np.ascontiguousarray(values.squeeze(2) if values.shape[2] == 1 else values)
    # NOTE: imagecodecs by itself makes no room for the byte with which each row begins, and narrow images do not fit.
    filtered = pixels.nbytes + len(pixels)
    plain = imagecodecs.png_encode(pixels, LEVEL, out=filtered + filtered // 256 + 4096)
    header_end = len(SIGNATURE) + 12 + 13
    return b"".join((plain[:header_end], _written(kept), plain[header_end:]))


def _written(kept: Metadata) -> bytes:
    parts = [
        (b"cICP", bytes(kept.cicp)),
        (b"sRGB", b"" if kept.intent is None or kept.icc else bytes([kept.intent])),
        (b"gAMA", struct.pack(">I", round(kept.gamma * 100_000)) if kept.gamma is not None else b""),
        (b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in kept.primaries)) if kept.primaries else b""),
        (b"iCCP", b"ICC profile\0\0" + zlib.compress(kept.icc) if kept.icc else b""),
        (
            b"pHYs",
            struct.pack(">IIB", *(round(value / _METERS_PER_INCH) for value in kept.dpi), 1) if kept.dpi else b"",
        ),
        (b"eXIf", kept.exif),
        (b"iTXt", _XMP + b"\0\0\0\0\0" + kept.xmp if kept.xmp else b""),
    ]
    return b"".join(_chunk(kind, contents) for kind, contents in parts if contents) + kept.texts


def _chunk(kind: bytes, contents: bytes) -> bytes:
    return struct.pack(">I", len(contents)) + kind + contents + struct.pack(">I", zlib.crc32(kind + contents))
