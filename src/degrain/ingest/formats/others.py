"""Formats beside PNG, JPEG and TIFF: BMP, WebP, AVIF, JPEG XL and the netpbm family."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.WebPImagePlugin import WebPImageFile

from degrain.errors import DataError
from degrain.ingest.formats import depths, metadata, sizes
from degrain.ingest.formats.picture import Metadata, Picture

QUALITY = 90
# A word of a netpbm header, after blanks and comments.
_WORD = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*([^\s#]+)")


def _bmp(data: bytes, name: str) -> Picture:
    return _by_pillow(BmpImageFile, data, name)


def _webp(data: bytes, name: str) -> Picture:
    return _by_pillow(WebPImageFile, data, name)


def _avif(data: bytes, name: str) -> Picture:
    return _by_pillow(AvifImageFile, data, name)


def _by_pillow(reader: type[ImageFile], data: bytes, name: str) -> Picture:
    try:
        image = reader(io.BytesIO(data))
        sizes.check(image.width, image.height, name)
        _check_single(image, name)
        image.load()
        notes: tuple[str, ...] = ("its palette became RGB",) if image.mode == "P" else ()
        transparent = "transparency" in image.info or image.mode in ("LA", "RGBA", "PA")
        if image.mode not in ("L", "LA", "RGB", "RGBA"):
            image = image.convert("L" if image.mode == "1" else "RGBA" if transparent else "RGB")  # type: ignore[assignment]
        values = np.asarray(image)
    except DataError:
        raise
    except Exception as error:  # damaged files make the decoders raise whatever comes
        raise DataError(f"{name} is damaged: {' '.join(str(error).split())}") from error
    dpi = image.info.get("dpi")
    kept = Metadata(
        icc=image.info.get("icc_profile") or b"",
        exif=(image.info.get("exif") or b"").removeprefix(b"Exif\0\0"),
        xmp=image.info.get("xmp") or b"",
        dpi=metadata.resolution(dpi, 1) if dpi else None,
    )
    return _apart(values if values.ndim == 3 else values[..., None], kept, notes)


def _check_single(image: ImageFile, name: str) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise DataError(f"{name} is an animation of {frames} frames; only single images are supported")


def _apart(values: np.ndarray, kept: Metadata, notes: tuple[str, ...] = ()) -> Picture:
    """Make a picture of values whose last channel is alpha if there are two or four."""
    light = "linear" if metadata.is_linear(kept.icc) else "srgb"
    if values.shape[2] in (2, 4):
        colors = np.ascontiguousarray(values[..., :-1])
        return Picture(colors, values[..., -1].copy(), kept, light=light, notes=notes)  # type: ignore[arg-type]
    return Picture(np.ascontiguousarray(values), None, kept, light=light, notes=notes)  # type: ignore[arg-type]


def _jxl(data: bytes, name: str) -> Picture:
    try:
        values = imagecodecs.jpegxl_decode(data)
    except Exception as error:  # libjxl's errors
        raise DataError(f"{name} is damaged: {' '.join(str(error).split())}") from error
    if values.ndim == 4 or (values.ndim == 3 and values.shape[2] > 4):
        raise DataError(f"{name} is an animation; only single images are supported")
    sizes.check(values.shape[1], values.shape[0], name)
    if values.dtype.kind == "f":
        values = depths.from_floats(values, None, name)
    return _apart(values if values.ndim == 3 else values[..., None], Metadata())


def _pnm_header(data: bytes) -> tuple[Any, ...]:
    """Return the words of a header, as far as there are any, and where the values begin: one blank behind it."""
    words: list[bytes] = []
    place = 0
    while len(words) < 4 and (found := _WORD.match(data, place)):
        words.append(found[1])
        place = found.end()
    return *words, place + 1


def _pnm(data: bytes, name: str) -> Picture:
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
    if white in (255, 65_535):
        return Picture(values, white=white)
    if values.max() > white:
        raise DataError(f"{name} is damaged: it has values above its white, {white}")
    return Picture(depths.scaled(values, white, values.dtype), white=white)


# First bytes -> decoder.
Decoder = Callable[[bytes, str], Picture]


def decoder(data: bytes) -> Decoder | None:
    """Choose by the first bytes; None where it is none of these."""
    if data.startswith(b"BM"):
        return _bmp
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return _avif
    if data.startswith(b"\xff\x0a") or data.startswith(b"\0\0\0\x0cJXL \r\n\x87\n"):
        return _jxl
    return _pnm if re.match(rb"P[1-7][\s#]", data) else None


def encode_bmp(values: np.ndarray, kept: Metadata) -> bytes:
    """Encode 8-bit gray or RGB values, with their resolution."""
    return _saved(values, "BMP", {"dpi": kept.dpi} if kept.dpi else {})


def encode_webp(values: np.ndarray, kept: Metadata) -> bytes:
    """Encode 8-bit gray or RGB values, alpha last where there is one, without loss."""
    return _saved(values, "WEBP", {"lossless": True, "exact": True, "quality": 20, "method": 2, **_kept(kept)})


def encode_avif(values: np.ndarray, kept: Metadata) -> bytes:
    """Encode 8-bit gray or RGB values, alpha last where there is one, at quality 90, colors at full resolution."""
    return _saved(values, "AVIF", {"quality": QUALITY, "subsampling": "4:4:4", "speed": 8, **_kept(kept)})


def _kept(kept: Metadata) -> dict[str, bytes]:
    found = {"exif": kept.exif, "xmp": kept.xmp, "icc_profile": kept.icc}
    return {name: value for name, value in found.items() if value}


def _saved(values: np.ndarray, kind: str, options: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values[..., 0] if values.shape[2] == 1 else values).save(buffer, kind, **options)
    return buffer.getvalue()


def encode_jxl(values: np.ndarray) -> bytes:
    """Encode gray or RGB values, alpha last where there is one, of 8 or 16 bits, without loss."""
    encoded = imagecodecs.jpegxl_encode(
        np.ascontiguousarray(values[..., 0] if values.shape[2] == 1 else values), lossless=True, effort=3
    )
    return bytes(encoded)


def encode_pnm(values: np.ndarray) -> bytes:
    """Encode 8- or 16-bit gray or RGB values as binary PGM or PPM."""
    height, width, channels = values.shape
    header = f"P{6 if channels == 3 else 5}\n{width} {height}\n{np.iinfo(values.dtype).max}\n".encode()
    return header + values.astype(values.dtype.newbyteorder(">")).tobytes()
