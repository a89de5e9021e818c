"""Reading and writing PNG, JPEG and TIFF files without losing bits, channels or silence about damage."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from degrain import files
from degrain.errors import DataError, OutputError
from degrain.ingest.formats import quick, sizes

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_CHUNK = struct.Struct(">I4s")
_END_OF_JPEG = b"\xff\xd9"
# Level 6, the default, takes 5.5 s for 12 megapixels, more than a network; 1 takes 1.0 s.
PNG_LEVEL = 1
KEPT = ("exif", "dpi", "icc_profile")


@dataclass(frozen=True)
class Picture:
    """A decoded image file.

    Attributes:
        pixels: uint8 or uint16 of shape (height, width, channels): 1 channel, 3 in RGB order, or 4 of a packed Bayer
            mosaic in the order R, G1, G2, B. It may be read-only.
        alpha: Same dtype, shape (height, width), or None when the file has no transparency.
        extras: What the file says beside pixels: Exif, ICC profile and resolution, which can be written back, and
            under "raw" what `camera_raw.metadata` says.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    extras: dict[str, Any] = field(default_factory=dict)

    @property
    def maximum(self) -> int:
        """The value of white: 255 or 65535."""
        return int(np.iinfo(self.pixels.dtype).max)


def read(path: Path) -> Picture:
    """Decode an image file.

    Args:
        path: PNG, JPEG or TIFF; gray, RGB, palette, with or without alpha; 8 or 16 bits a channel.

    Raises:
        DataError: The file is missing, is no image, is damaged or truncated, has more than `sizes.MAX_PIXELS` pixels,
            or a depth that is not supported.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    return decode(data, str(path))


def decode(data: bytes, name: str) -> Picture:
    """Decode the bytes of an image file.

    Args:
        data: The whole file; see `read`.
        name: What messages call it.

    Raises:
        DataError: As of `read`.
    """
    reader = _reader(data)
    if reader is None:
        raise DataError(f"{name} is not a PNG, JPEG or TIFF image")
    try:
        image = reader(io.BytesIO(data))
        sizes.check(image.width, image.height, name)
        _check_whole(image, data)
        pages = getattr(image, "n_frames", 1) if reader is _Tiff else 1
        plain = quick.decode(data) if reader is JpegImageFile else None
        # NOTE: Pillow notices when pixels are missing (OpenCV returns what it got of a truncated file), but gives only
        # 8 of 16 bits for color.
        pixels, converted = _pixels(image, data) if plain is None else (plain, False)
        extras = {key: image.info[key] for key in KEPT if image.info.get(key)}
    except DataError:
        raise
    except Exception as error:  # damaged files make the decoders raise whatever comes
        raise DataError(f"{name} is damaged: {' '.join(str(error).split())}") from error
    if converted:
        extras.pop("icc_profile", None)  # it speaks of the colors in the file, not of what they were converted to
    if pages > 1:
        raise DataError(f"{name} has {pages} pages; only single images are supported")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{name} has {pixels.dtype} values; only 8 and 16 bits a channel are supported")
    if pixels.shape[2] in (2, 4):
        return Picture(np.ascontiguousarray(pixels[..., :-1]), pixels[..., -1].copy(), extras)
    return Picture(pixels, None, extras)


def _check_whole(image: ImageFile, data: bytes) -> None:
    """Look for damage that Pillow passes over: it does not check the sums of a PNG, nor its very end or a JPEG's."""
    if isinstance(image, PngImageFile):
        _check_chunks(data)
    elif isinstance(image, JpegImageFile) and image.fp and data.find(_END_OF_JPEG, image.fp.tell()) < 0:
        raise ValueError("it ends too early")


def _check_chunks(data: bytes) -> None:
    view = memoryview(data)
    place, kind = 8, b""
    while kind != b"IEND":
        if place + 12 > len(data):
            raise ValueError("it ends too early")
        length, kind = _CHUNK.unpack_from(data, place)
        end = place + 8 + length
        if zlib.crc32(view[place + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise ValueError("it ends too early" if end + 4 > len(data) else "a checksum does not match")
        place = end + 4


class _Tiff(TiffImageFile):
    """A TIFF reader without Pillow's warning about large images: `decode` has a limit of its own."""

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size, None).im
        super().load_prepare()


def _reader(data: bytes) -> type[ImageFile] | None:
    """Choose by the first bytes.

    NOTE: `Image.open` would do the same, slower, and warn of images that are large but not too large.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return JpegImageFile
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImageFile
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return _Tiff
    return None


def _pixels(image: Image.Image, data: bytes) -> tuple[np.ndarray, bool]:
    """Return (height, width, channels), alpha last when there is one, and whether colors were converted."""
    image.load()
    if image.mode in ("RGB", "RGBA") and _bits(image, data) == 16:
        deep: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        return np.ascontiguousarray(deep[..., [2, 1, 0, *range(3, deep.shape[2])]]), False
    converted = image.mode in ("CMYK", "YCbCr", "LAB", "HSV")
    if image.mode in ("L", "RGB") and "transparency" in image.info:
        image = image.convert(f"{image.mode}A")
    if image.mode in ("P", "1", "CMYK", "YCbCr", "LAB", "HSV", "PA"):
        gray = image.mode == "1"
        transparent = "transparency" in image.info or image.mode == "PA"
        image = image.convert("L" if gray else "RGBA" if transparent else "RGB")
    pixels = np.asarray(image)
    if image.mode.startswith("I;16"):
        pixels = pixels.astype(np.uint16)
    return pixels if pixels.ndim == 3 else pixels[..., None], converted


def _bits(image: Image.Image, data: bytes) -> int:
    """Bits a channel that the file itself says; Pillow tells only what it made of them."""
    if isinstance(image, PngImageFile):
        return data[24]  # the ninth byte of the first chunk's contents
    if isinstance(image, TiffImageFile):
        return int(max(image.tag_v2.get(258, (8,))))
    return 8


def write(path: Path, picture: Picture) -> None:
    """Encode an image, atomically; the suffix chooses the format.

    PNG and TIFF are lossless and keep 16 bits and alpha. JPEG is written at quality 95, 8 bits, without alpha.

    Raises:
        OutputError: The suffix is unknown, the picture is a Bayer mosaic, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise OutputError(f"cannot write {path}: the name must end with {', '.join(SUFFIXES)}")
    if picture.pixels.shape[2] == 4:
        raise OutputError(f"cannot write {path}: image files have no place for a packed Bayer mosaic")
    pixels = picture.pixels
    jpeg = suffix in (".jpg", ".jpeg")
    if jpeg and pixels.dtype == np.uint16:
        pixels = np.round(pixels / 257).astype(np.uint8)
    if picture.alpha is not None and not jpeg:
        if pixels.dtype == np.uint16 and pixels.shape[2] == 1:
            pixels = np.repeat(pixels, 3, axis=2)  # no library at hand writes 16-bit gray with alpha
        pixels = np.dstack([pixels, picture.alpha])
    extras = {key: value for key, value in picture.extras.items() if key in KEPT}
    if jpeg and len(extras.get("exif", b"")) > 65_000:
        del extras["exif"]  # more than a JPEG file can hold
    with files.new_file(path) as partial:
        try:
            partial.write_bytes(_encode(pixels, suffix, extras))
        except (cv2.error, ValueError) as error:
            raise OutputError(f"cannot encode {path}: {' '.join(str(error).split())}") from error


def _encode(pixels: np.ndarray, suffix: str, extras: dict[str, Any]) -> bytes:
    if pixels.dtype == np.uint16 and pixels.shape[2] > 1:
        # NOTE: Pillow cannot write 16-bit color. OpenCV can, but drops Exif and ICC data.
        level = [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL] if suffix == ".png" else []
        _, encoded = cv2.imencode(suffix, pixels[..., [2, 1, 0, 3][: pixels.shape[2]]], level)
        return encoded.tobytes()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    formats = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "PNG": {"compress_level": PNG_LEVEL}}.get(formats[suffix], {})
    buffer = io.BytesIO()
    image.save(buffer, format=formats[suffix], **options, **extras)
    return buffer.getvalue()
