"""JPEG files: what lies in their segments, and pixels by libjpeg-turbo, whose warnings are errors here.

Source: ITU-T T.81 for segments and scans, T.871 (JFIF), CIPA DC-008 (Exif), ICC.1:2022 appendix B.4.
"""

from __future__ import annotations

import io
import itertools
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image

from degrain.errors import DataError
from degrain.ingest.formats import light, metadata, sizes
from degrain.ingest.formats.picture import Metadata, Picture

SIGNATURE = b"\xff\xd8\xff"
QUALITY = 95
# Pixels of width or height, of libjpeg.
LONGEST_SIDE = 65_500
# What one segment can hold of Exif and of XMP, with their prefixes, and of a comment.
LONGEST_EXIF, LONGEST_XMP, LONGEST_COMMENT = 65_533 - 6, 65_533 - 29, 65_533
_EXIF, _XMP, _LONG_XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_ICC, _MORE_PICTURES, _PHOTOSHOP = b"ICC_PROFILE\0", b"MPF\0", b"Photoshop 3.0\0"
# Segments of applications whose loss nobody misses: JFIF, a preview, how colors are packed.
_PLAIN = (b"JFIF\0", b"JFXX\0", b"Adobe")
_MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_END, _SCAN, _COMMENT, _APPLICATION, _LAST_APPLICATION, _ADOBE = 0xD9, 0xDA, 0xFE, 0xE0, 0xEF, 0xEE
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
_FRAMES, _PROGRESSIVE = (0xC0, 0xC1, 0xC2), 0xC2
# Start of frame -> what it is; libjpeg decodes none of them.
_UNSUPPORTED = {0xC3: "lossless JPEG", 0xF7: "JPEG-LS", **dict.fromkeys((0xC5, 0xC6, 0xC7), "hierarchical JPEG")}
_UNSUPPORTED |= dict.fromkeys((0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF), "JPEG with arithmetic coding")
# Colors by the number of components.
_CMYK = 4
_COLORS = {1: "GRAY", 3: "RGB", _CMYK: "CMYK"}
# Each takes as long as the whole picture. Ten are usual; libjpeg-turbo advises to refuse more than so many.
_MOST_SCANS = 500
# Pixels per unit of JFIF -> units per inch.
_PER_INCH = {1: 1.0, 2: 2.54}
_CMYK_NOTE = "its CMYK became sRGB"


@dataclass(frozen=True)
class _Frame:
    """What the header of the pixels says."""

    progressive: bool
    width: int
    height: int
    components: bytes  # their identifiers


def decode(data: bytes, name: str) -> Picture:
    """Decode a JPEG.

    Args:
        data: The whole file.
        name: What messages call it.

    Returns:
        8-bit gray or RGB; CMYK is converted.

    Raises:
        DataError: It is damaged, too large, or of a kind that is not supported.
    """
    segments, end = _segments(data, name)
    frame = _frame(segments, name)
    _check_scans(frame, [contents for marker, contents in segments if marker == _SCAN], name)
    kept, notes = _metadata(segments, len(frame.components) == _CMYK)
    # NOTE: libjpeg would warn of a profile that is broken or there twice; it has been looked at.
    pixels = _pixels(data.replace(_ICC, b"NO_PROFILE \0"), frame, name)
    if len(frame.components) == _CMYK:
        pixels = _from_cmyk(pixels, _is_adobe(segments), kept.icc)
        kept, notes = metadata.without_profile(kept), (*notes, _CMYK_NOTE)
    notes += _behind(data[end:], any(contents.startswith(_MORE_PICTURES) for _, contents in segments))
    return Picture(pixels, None, kept, light=light.of_profile(kept.icc, name), notes=notes)


def _is_adobe(segments: list[tuple[int, bytes]]) -> bool:
    return any(marker == _ADOBE and contents.startswith(b"Adobe") for marker, contents in segments)


def _from_cmyk(values: np.ndarray, inverted: bool, icc: bytes) -> np.ndarray:
    """Convert to sRGB what Adobe's programs write as 255 for no ink, and others as 0."""
    image = Image.fromarray(np.ascontiguousarray(255 - values if inverted else values), "CMYK")
    return np.asarray(metadata.to_srgb(image, icc))


def check_pixels(data: bytes, name: str) -> None:
    """Refuse a JPEG inside of another file whose pixels are damaged.

    Args:
        data: From start to end of image, its tables included.
        name: What messages call the file.

    Raises:
        DataError: libjpeg warns of it.
    """
    _pixels(data, _frame(_segments(data, name)[0], name), name)


def _pixels(data: bytes, frame: _Frame, name: str) -> np.ndarray:
    """Decode to the colors of the file: uint8 (height, width, 1, 3 or 4)."""
    try:
        pixels: np.ndarray = simplejpeg.decode_jpeg(data, _COLORS[len(frame.components)])
    except Exception as error:  # damaged files make the decoder raise whatever comes
        raise DataError(f"{name} is damaged: {' '.join(str(error).split())}") from error
    return pixels


def _segments(data: bytes, name: str) -> tuple[list[tuple[int, bytes]], int]:
    """Return marker and contents of each segment, and where the picture ends in the file."""
    segments: list[tuple[int, bytes]] = []
    place = 2
    while found := _MARKER.match(data, place):
        marker, place = found[1][0], found.end()
        if marker == _END:
            return segments, place
        if marker in _WITHOUT_LENGTH:
            continue
        length = int.from_bytes(data[place : place + 2], "big")
        segments.append((marker, data[place + 2 : place + length]))
        place += max(length, 2)
        if marker == _SCAN:
            behind = _END_OF_SCAN.search(data, place)
            place = behind.start() if behind else len(data)
    if place >= len(data) - 1:
        raise DataError(f"{name} is damaged: it ends too early")
    raise DataError(f"{name} is damaged: no segment begins at byte {place}, where one should")


def _frame(segments: list[tuple[int, bytes]], name: str) -> _Frame:
    """Read the header of the pixels; refuse by name what is not supported."""
    frames = [(marker, contents) for marker, contents in segments if marker in (*_FRAMES, *_UNSUPPORTED)]
    if not frames:
        raise DataError(f"{name} is damaged: it has no header of pixels")
    marker, contents = frames[0]
    if marker in _UNSUPPORTED:
        raise DataError(f"{name} is a {_UNSUPPORTED[marker]}, which is not supported")
    if len(contents) < 6 or len(contents) < 6 + 3 * contents[5]:
        raise DataError(f"{name} is damaged: its header of pixels is not whole")
    bits, height, width, count = struct.unpack_from(">BHHB", contents)
    if bits != 8:
        raise DataError(f"{name} is a JPEG of {bits} bits a channel; only 8 are supported")
    if count not in _COLORS:
        raise DataError(f"{name} is a JPEG of {count} channels; 1, 3 and 4 are supported")
    if not height:
        raise DataError(f"{name} is a JPEG that tells its height behind the pixels, which is not supported")
    sizes.check(width, height, name)
    if max(width, height) > LONGEST_SIDE:
        raise DataError(f"{name} has {width} x {height} pixels; JPEG files are read up to {LONGEST_SIDE} a side")
    return _Frame(marker == _PROGRESSIVE, width, height, contents[6 : 6 + 3 * count : 3])


def _check_scans(frame: _Frame, scans: list[bytes], name: str) -> None:
    """Refuse a file without all scans; libjpeg shows what is there, blurred or without color."""
    if len(scans) > _MOST_SCANS:
        raise DataError(f"{name} has {len(scans)} scans; more than {_MOST_SCANS} are refused")
    every = range(64) if frame.progressive else (0,)
    lowest: dict[tuple[int, int], int] = {}  # of each component's coefficients, the lowest bit that is there
    for scan in scans:
        count = scan[0] if scan else 0
        if len(scan) < 4 + 2 * count:
            raise DataError(f"{name} is damaged: a scan's header is not whole")
        first, last, bits = scan[1 + 2 * count : 4 + 2 * count] if frame.progressive else (0, 0, 0)
        parts = itertools.product(scan[1 : 1 + 2 * count : 2], range(first, min(last, 63) + 1))
        above, low = divmod(bits, 16)
        here = dict.fromkeys(parts, low)
        # NOTE: libjpeg warns of it, too, but only when it has decoded all scans.
        if any(lowest.get(part, 0) != above for part in here):
            raise DataError(f"{name} is damaged: a scan does not begin where the one before ends")
        lowest |= here
    if any(lowest.get((component, place)) != 0 for component in frame.components for place in every):
        raise DataError(f"{name} is damaged: it ends too early, before its last scan")


def _metadata(segments: list[tuple[int, bytes]], cmyk: bool) -> tuple[Metadata, tuple[str, ...]]:
    """Gather what is to be kept, and say what is left out."""
    applications = [part for marker, part in segments if _APPLICATION <= marker <= _LAST_APPLICATION]
    exif = b"".join(part[len(_EXIF) :] for part in applications if part.startswith(_EXIF))
    icc, broken = _profile((part[len(_ICC) :] for part in applications if part.startswith(_ICC)), cmyk)
    kept = Metadata(
        icc=icc,
        exif=exif,
        xmp=next((part[len(_XMP) :] for part in applications if part.startswith(_XMP)), b""),
        dpi=_resolution(applications) or metadata.exif_resolution(exif),
        comment=b"\n".join(part for marker, part in segments if marker == _COMMENT),
    )
    return kept, broken + tuple(_left_out(segments))


def _left_out(segments: list[tuple[int, bytes]]) -> Iterator[str]:
    known = (_EXIF, _XMP, _ICC, _MORE_PICTURES, *_PLAIN)
    rest = [
        (marker, part)
        for marker, part in segments
        if _APPLICATION <= marker <= _LAST_APPLICATION and part and not part.startswith(known)
    ]
    if any(part.startswith(_LONG_XMP) for _, part in rest):
        yield "the rest of its long XMP is left out"
    if any(part.startswith(_PHOTOSHOP) for _, part in rest):
        yield "its IPTC and other data of Photoshop are left out"
    if any(_is_oblong(part) for _, part in segments):
        yield metadata.OBLONG
    others = sorted({marker for marker, part in rest if not part.startswith((_LONG_XMP, _PHOTOSHOP))})
    if others:
        yield f"data of programs ({', '.join(f'APP{marker - _APPLICATION}' for marker in others)}) are left out"


def _profile(parts: Iterator[bytes], cmyk: bool) -> tuple[bytes, tuple[str, ...]]:
    """Put a profile together from its numbered parts, and say whether one is missing."""
    # NOTE: some programs write the whole profile twice.
    apart = {(part[0], part[1], part[2:]) for part in parts if len(part) > 2}
    if not apart:
        return b"", ()
    numbers, totals, contents = zip(*sorted(apart), strict=True)
    whole = numbers == tuple(range(1, len(apart) + 1)) and set(totals) == {len(apart)}
    return metadata.profile(b"".join(contents), cmyk) if whole else (b"", (metadata.BROKEN_PROFILE,))


def _resolution(applications: list[bytes]) -> tuple[float, float] | None:
    header = next((part for part in applications if part.startswith(b"JFIF\0") and len(part) >= 12), b"")
    if not header or header[7] not in _PER_INCH:
        return None
    return metadata.resolution(struct.unpack_from(">HH", header, 8), _PER_INCH[header[7]])


def _is_oblong(part: bytes) -> bool:
    """Tell whether a header of JFIF says that pixels are not as wide as high."""
    return part.startswith(b"JFIF\0") and len(part) >= 12 and part[7] == 0 and part[8:10] != part[10:12]


def _behind(rest: bytes, pictures: bool) -> tuple[str, ...]:
    """Say what phones and others put behind the picture."""
    if pictures or rest.startswith(SIGNATURE):
        return ("further pictures behind it (such as a preview, a depth or a gain map) are left out",)
    if b"ftyp" in rest[:64]:
        return ("the video behind it is left out",)
    return metadata.behind(len(rest) if rest.strip(b"\0\r\n ") else 0)


def unfit(kept: Metadata) -> list[str]:
    """Return the names of what is too long for a segment, or no number that JFIF can say."""
    found = {
        "exif": len(kept.exif) > LONGEST_EXIF,
        "xmp": len(kept.xmp) > LONGEST_XMP,
        "comment": len(kept.comment) > LONGEST_COMMENT,
        "dpi": not all(0.5 < value < 65_535.5 for value in kept.dpi or ()),
    }
    return [name for name, does_not_fit in found.items() if does_not_fit]


def encode(values: np.ndarray, kept: Metadata) -> bytes:
    """Encode 8-bit gray or RGB values at quality 95, with all colors at full resolution.

    Args:
        values: (height, width, 1 or 3) uint8.
        kept: What is written beside them; Exif and XMP no longer than a segment.
    """
    image = Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)
    buffer = io.BytesIO()
    extras = {"exif": _EXIF + kept.exif if kept.exif else b"", "xmp": kept.xmp, "icc_profile": kept.icc or None}
    options = {"dpi": kept.dpi} if kept.dpi else {}
    image.save(buffer, "JPEG", quality=QUALITY, subsampling=0, comment=kept.comment, **extras, **options)
    return buffer.getvalue()
