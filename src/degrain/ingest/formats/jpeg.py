"""JPEG files: what lies in their segments, and pixels by libjpeg."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from degrain.errors import DataError
from degrain.ingest.formats import metadata, quick, sizes
from degrain.ingest.formats.picture import Metadata, Picture

SIGNATURE = b"\xff\xd8\xff"
QUALITY = 95
# What one segment can hold of Exif and of XMP, with their prefixes.
LONGEST_EXIF, LONGEST_XMP = 65_533 - 6, 65_533 - 29
_END = b"\xff\xd9"
# Start of frame -> what it is; libjpeg as it is built today decodes none of them.
_UNSUPPORTED = {0xC3: "lossless", **dict.fromkeys((0xC5, 0xC6, 0xC7), "hierarchical")}
_UNSUPPORTED |= dict.fromkeys((0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF), "arithmetically coded")
_FRAMES = (0xC0, 0xC1, 0xC2)
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
_SCAN = 0xDA


def decode(data: bytes, name: str) -> Picture:
    """Decode a JPEG.

    Args:
        data: The whole file.
        name: What messages call it.

    Returns:
        8-bit gray or RGB, upright; CMYK is converted.

    Raises:
        DataError: It is damaged, too large, or of a kind that is not supported.
    """
    _check_frame(data, name)
    try:
        image = JpegImageFile(io.BytesIO(data))
        sizes.check(image.width, image.height, name)
        _check_end(data, image, name)
        notes = _left_out(data, image)
        pixels = quick.decode(data)
        # NOTE: Pillow notices when pixels are missing; OpenCV returns what it got of a damaged file.
        if pixels is None:
            image.load()
            if image.mode == "CMYK":
                notes += ("its CMYK became sRGB",)
                pixels = np.asarray(metadata.to_srgb(image, image.info.get("icc_profile", b"")))
            else:
                pixels = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    except DataError:
        raise
    except Exception as error:  # damaged files make the decoders raise whatever comes
        raise DataError(f"{name} is damaged: {' '.join(str(error).split())}") from error
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    return Picture(pixels, None, _metadata(image), notes=notes)


def _check_frame(data: bytes, name: str) -> None:
    """Refuse by name what libjpeg does not decode."""
    place = 2
    while place + 10 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker in _UNSUPPORTED:
            raise DataError(f"{name} is a {_UNSUPPORTED[marker]} JPEG, which is not supported")
        if marker in _FRAMES and data[place + 4] != 8:
            raise DataError(f"{name} is a JPEG of {data[place + 4]} bits a channel; only 8 are supported")
        if marker in _FRAMES or marker == _SCAN:
            return
        length = 0 if marker in _WITHOUT_LENGTH else int.from_bytes(data[place + 2 : place + 4], "big")
        place += 2 + length if marker != 0xFF else 1


def _check_end(data: bytes, image: JpegImageFile, name: str) -> None:
    if image.fp and data.find(_END, image.fp.tell()) < 0:
        raise DataError(f"{name} is damaged: it ends too early")


def _left_out(data: bytes, image: JpegImageFile) -> tuple[str, ...]:
    """What phones put behind the picture or around it."""
    if "mp" in image.info or "mpoffset" in image.info:
        return ("further pictures in it (such as a preview, a depth or a gain map) are left out",)
    return ("the video behind it is left out",) if b"ftyp" in data[data.rfind(_END) :][:64] else ()


def _metadata(image: JpegImageFile) -> Metadata:
    icc = b"" if image.mode == "CMYK" else image.info.get("icc_profile") or b""
    dpi = image.info.get("dpi")
    return Metadata(
        icc=icc,
        exif=image.info.get("exif", b"").removeprefix(b"Exif\0\0"),
        xmp=image.info.get("xmp", b""),
        dpi=metadata.resolution(dpi, 1) if dpi else None,
    )


def encode(values: np.ndarray, kept: Metadata) -> bytes:
    """Encode 8-bit gray or RGB values at quality 95, with all colors at full resolution.

    Args:
        values: (height, width, 1 or 3) uint8.
        kept: What is written beside them; Exif and XMP no longer than a segment.
    """
    image = Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)
    buffer = io.BytesIO()
    extras = {"exif": b"Exif\0\0" + kept.exif if kept.exif else b"", "xmp": kept.xmp, "icc_profile": kept.icc or None}
    options = {"dpi": kept.dpi} if kept.dpi else {}
    image.save(buffer, "JPEG", quality=QUALITY, subsampling=0, **extras, **options)
    return buffer.getvalue()
