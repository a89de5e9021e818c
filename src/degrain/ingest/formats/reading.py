"""Image files of every kind, read so that values mean what the file says, or refused by name.

What is understood of each format stands in its module: `png`, `jpeg`, `tiff`, `others`, `camera_raw`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from degrain.errors import DataError, DegrainError, Stopped
from degrain.ingest.formats import archives, camera_raw, jpeg, metadata, others, png, tiff
from degrain.ingest.formats.depths import White
from degrain.ingest.formats.picture import Picture

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".tif", ".tiff"),
    *(".bmp", ".webp", ".avif", ".jxl", ".ppm", ".pgm", ".pnm"),
)
# First bytes of what people have, too, and what may be done about it.
_FOREIGN = (
    (b"GIF8", 0, "a GIF, which has only 256 colors; save it as PNG"),
    (b"ftyphe", 4, "a HEIC or HEIF image; save it as PNG, TIFF or JPEG"),
    (b"ftypmi", 4, "a HEIC or HEIF image; save it as PNG, TIFF or JPEG"),
    (b"8BPS", 0, "a Photoshop file; save it as TIFF"),
    (b"\x76\x2f\x31\x01", 0, "an OpenEXR file; save it as TIFF"),
    (b"\0\0\0\x0cjP  ", 0, "a JPEG 2000 image; save it as PNG or TIFF"),
    (b"\xff\x4f\xff\x51", 0, "a JPEG 2000 image; save it as PNG or TIFF"),
    (b"%PDF", 0, "a PDF"),
    (b"PK\3\4", 0, "a zip archive"),
)


def read(path: Path, white: int | None = None, guess: bool = False, raw: camera_raw.Mode = "srgb") -> Picture:
    """Decode an image file.

    Args:
        path: Of a format whose suffix is in `SUFFIXES` or `camera_raw.SUFFIXES`; the contents decide.
        white: The value of white in files of more than 8 bits, such as 4095; None where it is that of the format.
        guess: Whether to take white from the values where a 16-bit file uses few of its bits, and to say so.
        raw: What camera raw files become.

    Returns:
        The picture, upright.

    Raises:
        DataError: The file is missing, is no image, is damaged or truncated, has more than `degrain.pixels.MAX_PIXELS`
            pixels, or says that its values mean something that is not supported.
    """
    return decode(archives.contents(path), str(path), white, guess, raw)


def decode(
    data: bytes, name: str, white: int | None = None, guess: bool = False, raw: camera_raw.Mode = "srgb"
) -> Picture:
    """Decode the bytes of an image file.

    Args:
        data: The whole file.
        name: What messages call it; its suffix tells camera raw files that are built like a TIFF.
        white: As of `read`.
        guess: As of `read`.
        raw: As of `read`.

    Raises:
        DataError: As of `read`.
    """
    with refused(name):
        return _upright(_decoded(data, name, White(white, guess), raw))


@contextmanager
def refused(name: str) -> Iterator[None]:
    """Turn whatever decoders and parsers raise, and nobody foresaw, into the error of a file that cannot be read.

    Args:
        name: What messages call the file.

    Raises:
        DataError: Anything was raised but what degrain raises itself, and want of memory.
    """
    try:
        yield
    except (DegrainError, Stopped, MemoryError):
        raise
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise DataError(f"{name} cannot be read: {type(error).__name__}{f': {text}' if text else ''}") from error


def _decoded(data: bytes, name: str, white: White, raw: camera_raw.Mode) -> Picture:
    if data.startswith(png.SIGNATURE):
        return replace(png.decode(data, name, white), suffix=".png")
    if data.startswith(jpeg.SIGNATURE):
        return replace(jpeg.decode(data, name), suffix=".jpg")
    if name.lower().endswith(camera_raw.SUFFIXES):
        return camera_raw.read(data, raw, name)
    if data.startswith(tiff.SIGNATURES):
        if tiff.is_dng(data):
            return camera_raw.read(data, raw, name)
        return replace(tiff.decode(data, name, white), suffix=".tif")
    if found := others.decoder(data):
        suffix, decoder = found
        return replace(decoder(data, name, white), suffix=suffix)
    kind = next((kind for first, at, kind in _FOREIGN if data.startswith(first, at)), None)
    if not data:
        raise DataError(f"{name} is empty")
    raise DataError(f"{name} is {kind}" if kind else f"{name} is not an image of a supported format")


def _upright(picture: Picture) -> Picture:
    """Turn the pixels as Exif says, and make what is kept fit them."""
    kept = picture.metadata
    if not kept.exif and not kept.xmp:
        return picture
    exif = b"" if metadata.is_empty(kept.exif) else kept.exif
    turned = metadata.turned(picture, metadata.orientation(exif, kept.xmp))
    height, width = turned.pixels.shape[:2]
    fitting = metadata.for_upright(exif, width, height) if exif else b""
    notes = picture.notes + ((metadata.BROKEN_EXIF,) if exif and not fitting else ())
    kept = replace(turned.metadata, exif=fitting, xmp=metadata.xmp_for_upright(kept.xmp))
    return replace(turned, metadata=kept, notes=notes)
