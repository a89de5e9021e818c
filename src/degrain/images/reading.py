"""Reading and writing PNG, JPEG and TIFF files without losing bits, channels or silence about damage."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from degrain import files
from degrain.errors import DataError, OutputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


@dataclass(frozen=True)
class Picture:
    """A decoded image file.

    Attributes:
        pixels: uint8 or uint16 of shape (height, width, channels), 1 or 3 channels, RGB order.
        alpha: Same dtype, shape (height, width), or None when the file has no transparency.
        extras: What the file says beside pixels (Exif, ICC profile, resolution) and can be written back.
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
        DataError: The file is missing, is no image, is damaged or truncated, or has a depth that is not supported.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "TIFF")) as image:
            pages = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
            # NOTE: Pillow checks that the file is whole (OpenCV returns what it got of a truncated one), but gives
            # only 8 of 16 bits for color.
            image.load()
            pixels, converted = _pixels(image, data)
            # A color profile speaks of the colors in the file, not of what they were converted to.
            kept = ("exif", "dpi") if converted else ("exif", "dpi", "icc_profile")
            extras = {key: image.info[key] for key in kept if image.info.get(key)}
    except UnidentifiedImageError:
        raise DataError(f"{path} is not a PNG, JPEG or TIFF image") from None
    except Exception as error:  # damaged files make the decoders raise whatever comes
        raise DataError(f"{path} is damaged: {' '.join(str(error).split())}") from error
    if pages > 1:
        raise DataError(f"{path} has {pages} pages; only single images are supported")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{path} has {pixels.dtype} values; only 8 and 16 bits a channel are supported")
    if pixels.shape[2] in (2, 4):
        return Picture(np.ascontiguousarray(pixels[..., :-1]), pixels[..., -1].copy(), extras)
    return Picture(pixels, None, extras)


def _pixels(image: Image.Image, data: bytes) -> tuple[np.ndarray, bool]:
    """Return (height, width, channels), alpha last when there is one, and whether colors were converted."""
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
        OutputError: The suffix is unknown or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise OutputError(f"cannot write {path}: the name must end with {', '.join(SUFFIXES)}")
    pixels = picture.pixels
    jpeg = suffix in (".jpg", ".jpeg")
    if jpeg and pixels.dtype == np.uint16:
        pixels = np.round(pixels / 257).astype(np.uint8)
    if picture.alpha is not None and not jpeg:
        if pixels.dtype == np.uint16 and pixels.shape[2] == 1:
            pixels = np.repeat(pixels, 3, axis=2)  # no library at hand writes 16-bit gray with alpha
        pixels = np.dstack([pixels, picture.alpha])
    extras = dict(picture.extras)
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
        _, encoded = cv2.imencode(suffix, pixels[..., [2, 1, 0, 3][: pixels.shape[2]]])
        return encoded.tobytes()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    formats = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
    options = {"quality": 95, "subsampling": 0} if formats[suffix] == "JPEG" else {}
    buffer = io.BytesIO()
    image.save(buffer, format=formats[suffix], **options, **extras)
    return buffer.getvalue()
