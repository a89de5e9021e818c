"""Formats beside PNG, JPEG, TIFF and JPEG XL: BMP, WebP, AVIF and the netpbm family."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.WebPImagePlugin import WebPImageFile

from degrain.errors import DataError
from degrain.ingest.formats import bmp_rle, boxes, depths, jxl, light, metadata, sizes
from degrain.ingest.formats.depths import White
from degrain.ingest.formats.picture import Metadata, Picture
from degrain.pixels import Light

QUALITY = 90
# Pixels of width or height: what the format can say of WebP, and what libavif reads.
LONGEST_WEBP, LONGEST_AVIF = 16_383, 32_768
# A word of a netpbm header, after blanks and comments.
_WORD = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*([^\s#]+)")
# Sizes of BMP headers that say more of colors, and where in the file they begin.
_V3, _V4, _V5, _BMP_HEADER = 40, 108, 124, 14
_EMBEDDED, _LINKED, _CALIBRATED = b"DEBM", b"KNIL", b"\0\0\0\0"
_WEBP_CHUNKS = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP", b"EXIF", b"XMP ", b"ANIM", b"ANMF")
_BMP_BITS = (1, 4, 8, 16, 24, 32)
_PROPERTIES = (b"meta", b"iprp", b"ipco")
# Numbers of ITU-T H.273 for the primary colors of sRGB, and for those that are not said.
_PLAIN_PRIMARIES = (1, 2)


def _bmp(data: bytes, name: str, _: White) -> Picture:
    size = int.from_bytes(data[_BMP_HEADER : _BMP_HEADER + 4], "little")
    place = 24 if size == 12 else 28
    bits = int.from_bytes(data[place : place + 2], "little")
    if bits not in _BMP_BITS and len(data) >= 30:
        raise DataError(f"{name} is a BMP of {bits} bits a pixel; {', '.join(map(str, _BMP_BITS))} are supported")
    header = data[_BMP_HEADER : _BMP_HEADER + size]
    icc, stands_for = b"", None
    notes: tuple[str, ...] = ()
    if size >= _V4 and len(header) == size:
        space, points, curves = header[56:60], header[60:96], struct.unpack_from("<3I", header, 96)
        if space == _EMBEDDED and size >= _V5:
            start, length = struct.unpack_from("<II", header, 112)
            icc = data[_BMP_HEADER + start : _BMP_HEADER + start + length]
        if space == _CALIBRATED and any(curves):
            stands_for = light.of_exponent(curves[1] / 65_536, "gamma", name)
        if space == _CALIBRATED and any(points):
            notes = ("its primary colors are left out",)
        if space == _LINKED:
            notes += ("its color profile is in another file and left out",)
    notes += _behind(data, max(int.from_bytes(data[2:6], "little"), 54))
    if size >= _V3 and len(header) == size and int.from_bytes(header[16:20], "little") in bmp_rle.PACKED:
        data, left_out = _without_runs(data, name)
        notes += ("pixels that it says nothing of have the first color of its palette",) if left_out else ()
    return _by_pillow(BmpImageFile, data, name, icc, stands_for=stands_for, notes=notes)


def _without_runs(data: bytes, name: str) -> tuple[bytes, bool]:
    width, height = struct.unpack_from("<ii", data, 18)
    sizes.check(abs(width), abs(height), name)
    try:
        return bmp_rle.plain(data)
    except ValueError as error:
        raise DataError(f"{name} is damaged: {error}") from error


def _webp(data: bytes, name: str, _: White) -> Picture:
    end, place, others = 8 + int.from_bytes(data[4:8], "little"), 12, set()
    while place + 8 <= min(end, len(data)):
        kind, size = struct.unpack_from("<4sI", data, place)
        others |= {kind} - set(_WEBP_CHUNKS)
        place += 8 + size + size % 2
    titles = ", ".join(sorted(kind.decode("ascii", "replace") for kind in others))
    notes = (f"chunks ({titles}) are left out",) if others else ()
    return _by_pillow(WebPImageFile, data, name, notes=notes + _behind(data, end + end % 2))


def _behind(data: bytes, end: int) -> tuple[str, ...]:
    """Say what lies behind the end that a file announces."""
    return metadata.behind(len(data[end:].rstrip(b"\0")))


def _avif(data: bytes, name: str, _: White) -> Picture:
    colors = [found for found in boxes.find(data, *_PROPERTIES, b"colr") if found[:4] == b"nclx" and len(found) >= 8]
    profiles = [found for found in boxes.find(data, *_PROPERTIES, b"colr") if found[:4] in (b"prof", b"rICC")]
    coding = [found for found in boxes.find(data, *_PROPERTIES, b"av1C") if len(found) >= 3]
    stands_for: Light | None = None
    cicp: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    for found in boxes.find(data, *_PROPERTIES, b"ispe"):
        if len(found) >= 12 and max(sides := struct.unpack_from(">II", found, 4)) > LONGEST_AVIF:
            raise DataError(
                f"{name} has {sides[0]} x {sides[1]} pixels; AVIF files are read up to {LONGEST_AVIF} a side"
            )
    if colors and not profiles:
        primaries, transfer = struct.unpack_from(">HH", colors[0], 4)
        stands_for = light.of_transfer(transfer, name)
        if stands_for == "linear" or primaries not in _PLAIN_PRIMARIES:
            cicp = (primaries, transfer, 0, 1)
    if coding and coding[0][2] & 0x40:
        notes = (f"its {12 if coding[0][2] & 0x20 else 10} bits became 8",)
    picture = _by_pillow(AvifImageFile, data, name, cicp=cicp, stands_for=stands_for, notes=notes)
    # NOTE: the boxes irot and imir say how the picture lies, which Pillow puts into Exif; XMP does not count.
    kept = replace(picture.metadata, xmp=metadata.xmp_for_upright(picture.metadata.xmp))
    turned = any(boxes.find(data, *_PROPERTIES, kind) for kind in (b"irot", b"imir"))
    if turned and any(isinstance(text, str) and "?" in text for text in metadata.parsed_exif(kept.exif).values()):
        # NOTE: Pillow writes Exif anew then, in ASCII.
        picture = replace(
            picture, notes=(*picture.notes, "question marks in its Exif may stand for letters that are not ASCII")
        )
    return replace(picture, metadata=kept)


def _by_pillow(
    reader: type[ImageFile],
    data: bytes,
    name: str,
    icc: bytes = b"",
    cicp: tuple[int, ...] = (),
    stands_for: Light | None = None,
    notes: tuple[str, ...] = (),
) -> Picture:
    """Decode a file, and put what Pillow knows of it beside what it does not look at."""
    try:
        image = reader(io.BytesIO(data))
        sizes.check(image.width, image.height, name)
        _check_single(image, name)
        image.load()
        if image.mode == "P":
            assert image.palette is not None  # noqa: S101  (mode P)
            depths.check_indices(np.asarray(image), len(image.palette.palette) // len(image.palette.mode))
            notes += ("its palette became RGB",)
        transparent = "transparency" in image.info or image.mode in ("LA", "RGBA", "PA")
        if image.mode not in ("L", "LA", "RGB", "RGBA"):
            image = image.convert("L" if image.mode == "1" else "RGBA" if transparent else "RGB")  # type: ignore[assignment]
        values = np.asarray(image)
    except DataError:
        raise
    except Exception as error:  # damaged files make the decoders raise whatever comes
        text = " ".join(str(error).split())
        if text.startswith("Unsupported"):
            raise DataError(f"{name} is of a kind that is not supported ({text})") from error
        raise DataError(f"{name} is damaged: {text}") from error
    dpi = image.info.get("dpi")
    profile, said = metadata.profile(image.info.get("icc_profile") or icc)
    kept = Metadata(
        icc=profile,
        exif=(image.info.get("exif") or b"").removeprefix(b"Exif\0\0"),
        xmp=image.info.get("xmp") or b"",
        dpi=metadata.resolution(dpi, 1) if dpi else None,
        cicp=cicp,
    )
    colors, alpha = depths.apart(values if values.ndim == 3 else values[..., None])
    return Picture(colors, alpha, kept, light=stands_for or light.of_profile(profile, name), notes=notes + said)


def _check_single(image: ImageFile, name: str) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise DataError(f"{name} is an animation of {frames} frames; only single images are supported")


def _pnm_header(data: bytes) -> tuple[Any, ...]:
    """Return the words of a header, as far as there are any, and where the values begin: one blank behind it."""
    words: list[bytes] = []
    place = 0
    while len(words) < 4 and (found := _WORD.match(data, place)):
        words.append(found[1])
        place = found.end()
    return *words, place + 1


def _pnm(data: bytes, name: str, given: White) -> Picture:
    kind, *numbers, end = _pnm_header(data)
    if kind not in (b"P5", b"P6"):
        raise DataError(f"{name} is of a netpbm format other than binary PGM and PPM (P5, P6)")
    if len(numbers) != 3 or not all(number.isdigit() and len(number) < 10 for number in numbers):
        raise DataError(f"{name} is damaged: its header is not whole")
    channels = 3 if kind == b"P6" else 1
    width, height, white = (int(number) for number in numbers)
    sizes.check(width, height, name)
    if not (0 < white < 65_536 and width and height):
        raise DataError(f"{name} is damaged: its header says {width} x {height} pixels, white {white}")
    dtype = np.dtype(np.uint8 if white < 256 else ">u2")
    count = width * height * channels
    if len(data) - end < count * dtype.itemsize:
        raise DataError(f"{name} is damaged: it ends too early")
    values = np.frombuffer(data, dtype, count, end).reshape(height, width, channels)
    values = values.astype(dtype.newbyteorder("="))
    if values.max() > white:
        raise DataError(f"{name} is damaged: it has values above its white, {white}")
    rest = data[end + count * dtype.itemsize :]
    if re.match(rb"P[1-7]\s", rest):
        raise DataError(f"{name} holds several images; only single images are supported")
    notes = metadata.behind(len(rest) if rest.strip() else 0)
    notes += depths.ignored(given, white) if white > 255 else ()
    return Picture(depths.scaled(values, white, values.dtype), notes=notes)


# First bytes -> decoder.
Decoder = Callable[[bytes, str, White], Picture]


def decoder(data: bytes) -> tuple[str, Decoder] | None:
    """Choose by the first bytes, and name the suffix of such files; None where it is none of these."""
    if data.startswith(b"BM"):
        return ".bmp", _bmp
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return ".webp", _webp
    brands = data[8 : int.from_bytes(data[:4], "big")][:256] if data[4:8] == b"ftyp" else b""
    if {b"avif", b"avis"} & {brands[i : i + 4] for i in range(0, len(brands), 4)}:
        return ".avif", _avif
    if data.startswith(jxl.SIGNATURES):
        return ".jxl", jxl.decode
    return (".ppm", _pnm) if re.match(rb"P[1-7][\s#]", data) else None


def encode_bmp(values: np.ndarray, kept: Metadata) -> bytes:
    """Encode 8-bit gray or RGB values, with their resolution."""
    return _saved(values, "BMP", {"dpi": kept.dpi} if kept.dpi else {})


def encode_webp(values: np.ndarray, kept: Metadata) -> bytes:
    """Encode 8-bit gray or RGB values, alpha last where there is one, without loss."""
    return _saved(values, "WEBP", {"lossless": True, "exact": True, "quality": 20, "method": 2, **_kept(kept)})


def encode_avif(values: np.ndarray, kept: Metadata) -> bytes:
    """Encode 8-bit gray or RGB values, alpha last where there is one, at quality 90, colors at full resolution."""
    # NOTE: Pillow would take its orientation out, and with it all letters that are not ASCII.
    kept = replace(kept, exif=metadata.without_orientation(kept.exif)) if kept.exif else kept
    encoded = _saved(values, "AVIF", {"quality": QUALITY, "subsampling": "4:4:4", "speed": 8, **_kept(kept)})
    place = encoded.find(b"colrnclx")
    if not kept.cicp or place < 0:
        return encoded
    # NOTE: Pillow cannot be told which colors these are, and says sRGB.
    return encoded[: place + 8] + struct.pack(">HH", *kept.cicp[:2]) + encoded[place + 12 :]


def unfit_avif(kept: Metadata) -> list[str]:
    """Return the names of what would count more than it does in a PNG: a profile beside a color space."""
    return ["icc"] if kept.cicp else []


def _kept(kept: Metadata) -> dict[str, bytes]:
    found = {"exif": kept.exif, "xmp": kept.xmp, "icc_profile": kept.icc}
    return {name: value for name, value in found.items() if value}


def _saved(values: np.ndarray, kind: str, options: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values[..., 0] if values.shape[2] == 1 else values).save(buffer, kind, **options)
    return buffer.getvalue()


def encode_pnm(values: np.ndarray) -> bytes:
    """Encode 8- or 16-bit gray or RGB values as binary PGM or PPM."""
    height, width, channels = values.shape
    header = f"P{6 if channels == 3 else 5}\n{width} {height}\n{np.iinfo(values.dtype).max}\n".encode()
    return header + values.astype(values.dtype.newbyteorder(">")).tobytes()
