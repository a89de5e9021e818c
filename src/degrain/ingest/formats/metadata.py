"""Exif, XMP and ICC profiles: made to fit the pixels that are written, and otherwise left as they are."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from degrain.ingest.formats import light
from degrain.ingest.formats.picture import Metadata, Picture

ORIENTATION = 0x0112
UPRIGHT = 1
# Orientations that change width and height.
_ACROSS = (5, 6, 7, 8)
# Directories below the first one, of Exif and of GPS, and one below that of Exif.
_DIRECTORIES, INTEROPERABILITY = (0x8769, 0x8825), 0xA005
_EXIF_IFD, _WIDTH, _HEIGHT = 0x8769, 0xA002, 0xA003
_PREFIX = b"Exif\0\0"
_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|>))\s*([1-8])""")
_HORIZONTAL, _VERTICAL, _UNIT = 0x011A, 0x011B, 0x0128
# Units per inch, by ResolutionUnit of TIFF and Exif.
PER_INCH = {2: 1.0, 3: 2.54}
OBLONG = "that its pixels are not square is left out"
BROKEN_EXIF = "its Exif is damaged and left out"
BROKEN_PROFILE = "its color profile is damaged and left out"


def behind(count: int) -> tuple[str, ...]:
    """Say how many bytes lie behind the end of a picture in its file, if any do."""
    return (f"{count} bytes behind its end are left out",) if count else ()


def orientation(exif: bytes, xmp: bytes = b"") -> int:
    """Return how the pixels lie, 1 to 8 as Exif numbers it; 1, upright, where neither Exif nor XMP says it."""
    found = _parsed(exif).get(ORIENTATION)
    if found is None and (told := _XMP_ORIENTATION.search(xmp)):
        found = int(told[2])
    return found if isinstance(found, int) and 1 <= found <= 8 else UPRIGHT


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror pixels (height, width, ...) that lie as an Exif orientation says; a view."""
    if orientation in (2, 4, 5, 7):
        pixels = pixels[:, ::-1]
    turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    return np.rot90(pixels, turns)


def turned(picture: Picture, orientation: int) -> Picture:
    """Turn a picture, transparency, resolution and all, that lies as an Exif orientation says."""
    if orientation == UPRIGHT:
        return picture
    pixels = np.ascontiguousarray(upright(picture.pixels, orientation))
    alpha = None if picture.alpha is None else np.ascontiguousarray(upright(picture.alpha, orientation))
    kept = picture.metadata
    if kept.dpi and orientation in _ACROSS:
        kept = replace(kept, dpi=(kept.dpi[1], kept.dpi[0]))
    return replace(picture, pixels=pixels, alpha=alpha, metadata=kept)


def for_upright(exif: bytes, width: int, height: int) -> bytes:
    """Return Exif that fits upright pixels of a size: no other orientation, and no thumbnail of what was before.

    Args:
        exif: As `picture.Metadata` holds it.
        width: In pixels.
        height: In pixels.

    Returns:
        The same bytes where nothing is to be changed; nothing where they cannot be read.
    """
    parsed = _parsed(exif)
    if not dict(parsed):
        return b""
    detail = parsed.get_ifd(_EXIF_IFD)
    sizes = {tag: value for tag, value in ((_WIDTH, width), (_HEIGHT, height)) if tag in detail}
    fits = parsed.get(ORIENTATION, UPRIGHT) == UPRIGHT and all(detail[tag] == value for tag, value in sizes.items())
    if fits and not _has_thumbnail(exif):
        return exif
    if parsed.get(ORIENTATION, UPRIGHT) in _ACROSS:
        across, down = parsed.get(_HORIZONTAL), parsed.get(_VERTICAL)
        parsed.update({tag: value for tag, value in ((_HORIZONTAL, down), (_VERTICAL, across)) if value is not None})
    if ORIENTATION in parsed:
        parsed[ORIENTATION] = UPRIGHT
    detail.update(sizes)
    try:
        return to_bytes(parsed)
    except Exception:  # a value that Pillow read and cannot write
        return b""


class _Letters(str):
    """A text as Pillow reads it, as Latin-1 whatever it is, and does not write it: with all its letters."""

    def encode(self, *_: Any, **__: Any) -> bytes:
        return super().encode("latin-1", "replace")


def with_letters(directory: Mapping[int, Any]) -> dict[int, Any]:
    """Return a directory of Exif whose texts Pillow writes as it read them; as they are, it writes them in ASCII."""
    return {tag: _Letters(value) if isinstance(value, str) else value for tag, value in dict(directory).items()}


def to_bytes(exif: Image.Exif) -> bytes:
    """Write Exif, with texts as they were read, and without directories that are empty."""
    made = Image.Exif()
    made.endian = exif.endian
    made.update(with_letters({tag: value for tag, value in dict(exif).items() if tag not in _DIRECTORIES}))
    for tag in _DIRECTORIES:
        if directory := exif.get_ifd(tag):
            made.get_ifd(tag).update(with_letters(directory))
        if INTEROPERABILITY in directory:
            made.get_ifd(tag)[INTEROPERABILITY] = with_letters(exif.get_ifd(INTEROPERABILITY))
    return made.tobytes().removeprefix(_PREFIX)


def without_orientation(exif: bytes) -> bytes:
    """Return Exif that says nothing of how the picture lies; the same bytes where it does not, or cannot be read."""
    parsed = _parsed(exif)
    if parsed.pop(ORIENTATION, None) is None:
        return exif
    return to_bytes(parsed) if dict(parsed) else b""


def is_empty(exif: bytes) -> bool:
    """Tell whether Exif is whole and says nothing: its first directory has no entries."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return not exif
    (first,) = struct.unpack_from(f"{order}I", exif, 4)
    return first + 2 <= len(exif) and exif[first : first + 2] == b"\0\0"


def xmp_for_upright(xmp: bytes) -> bytes:
    """Return XMP that says no other orientation than upright."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def parsed_exif(exif: bytes) -> Image.Exif:
    """Return Exif by tags; empty where it cannot be read."""
    return _parsed(exif)


def _parsed(exif: bytes) -> Image.Exif:
    parsed = Image.Exif()
    try:
        parsed.load(_PREFIX + exif if exif else b"")
        parsed.get_ifd(_EXIF_IFD)
    except Exception:  # damaged ones make the parser raise whatever comes
        return Image.Exif()
    return parsed


def _has_thumbnail(exif: bytes) -> bool:
    """Tell whether there is a second directory, which is the thumbnail's."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return False
    (first,) = struct.unpack_from(f"{order}I", exif, 4)
    if first + 2 > len(exif):
        return False
    after = first + 2 + 12 * struct.unpack_from(f"{order}H", exif, first)[0]
    return after + 4 <= len(exif) and exif[after : after + 4] != b"\0\0\0\0"


def resolution(values: Sequence[Any], per_inch: float) -> tuple[float, float] | None:
    """Return pixels per inch, or None where a file's numbers mean nothing.

    Args:
        values: Horizontal and vertical, in pixels per unit.
        per_inch: Units per inch.
    """
    try:
        horizontal, vertical = (float(value) * per_inch for value in values)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return (horizontal, vertical) if 0 < horizontal < 1e6 and 0 < vertical < 1e6 else None


def exif_resolution(exif: bytes) -> tuple[float, float] | None:
    """Return pixels per inch as Exif says them, or None."""
    parsed = _parsed(exif) if exif else {}
    per_inch = PER_INCH.get(parsed.get(_UNIT, 2))
    return resolution([parsed.get(_HORIZONTAL), parsed.get(_VERTICAL)], per_inch) if per_inch else None


def without_profile(kept: Metadata) -> Metadata:
    """Return what is kept of a file whose colors are no longer what its profile says."""
    return replace(kept, icc=b"", gamma=None, primaries=(), cicp=())


def profile(icc: bytes, cmyk: bool = False) -> tuple[bytes, tuple[str, ...]]:
    """Return an ICC profile, or nothing and a word about it where it cannot be read or is not of the file's colors.

    Args:
        icc: The profile; empty if there is none.
        cmyk: Whether the file's colors are CMYK, not gray or RGB.
    """
    colors = light.colors_of(icc) if icc else ""
    if not icc or colors in (("CMYK",) if cmyk else ("RGB", "GRAY")):
        return icc, ()
    return b"", (f"its color profile is one of {colors} and left out" if colors.isalpha() else BROKEN_PROFILE,)


def to_srgb(image: Image.Image, icc: bytes) -> Image.Image:
    """Convert an image of other colors to RGB: by its profile to sRGB, or without one by Pillow's formulas."""
    from PIL import ImageCms

    if icc:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except ImageCms.PyCMSError:
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")
