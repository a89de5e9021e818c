"""Reading and writing PNG, JPEG and TIFF files without losing bits, channels or silence about damage."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

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
        with Image.open(io.BytesIO(data)) as image:
            # NOTE: Pillow checks that the file is whole (OpenCV returns what it got of a truncated one), but gives
            # only 8 of 16 bits for color.
            image.load()
            extras = {key: image.info[key] for key in ("exif", "icc_profile", "dpi") if image.info.get(key)}
            pixels = _pixels(image, data)
    except UnidentifiedImageError:
        raise DataError(f"{path} is not a PNG, JPEG or TIFF image") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} is damaged: {error}") from error
    if pixels.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{path} has {pixels.dtype} values; only 8 and 16 bits a channel are supported")
    if pixels.shape[2] in (2, 4):
        return Picture(np.ascontiguousarray(pixels[..., :-1]), pixels[..., -1].copy(), extras)
    return Picture(pixels, None, extras)


def _pixels(image: Image.Image, data: bytes) -> np.ndarray:
    """Return (height, width, channels), alpha last when there is one."""
    deep = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if image.mode in ("RGB", "RGBA") else None
    if deep is not None and deep.dtype == np.uint16:
        return np.ascontiguousarray(deep[..., [2, 1, 0, *range(3, deep.shape[2])]])
    if image.mode in ("P", "1", "CMYK", "YCbCr", "LAB", "HSV", "PA"):
        gray = image.mode == "1"
        transparent = "transparency" in image.info or image.mode == "PA"
        image = image.convert("L" if gray else "RGBA" if transparent else "RGB")
    pixels = np.asarray(image)
    if image.mode.startswith("I;16"):
        pixels = pixels.astype(np.uint16)
    return pixels if pixels.ndim == 3 else pixels[..., None]


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
        pixels = np.dstack([pixels, picture.alpha])
    with files.new_file(path) as partial:
        if pixels.dtype == np.uint16 and pixels.shape[2] > 1:
            # NOTE: Pillow cannot write 16-bit color. OpenCV can, but drops Exif and ICC data.
            order = [2, 1, 0, 3][: pixels.shape[2]] if pixels.shape[2] > 2 else [0, 1]
            done, encoded = cv2.imencode(suffix, pixels[..., order])
            if not done:
                raise OutputError(f"cannot encode {path}")
            partial.write_bytes(encoded.tobytes())
            return
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        formats = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
        options = {"quality": 95, "subsampling": 0} if jpeg else {}
        image.save(partial, format=formats[suffix], **options, **picture.extras)
