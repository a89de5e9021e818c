"""Image files written so that what came in goes out: depth, transparency, profile, Exif, XMP and resolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from degrain import files
from degrain.errors import OutputError
from degrain.ingest.formats import depths, jpeg, others, png, tiff
from degrain.ingest.formats.picture import Metadata, Picture
from degrain.pixels import to_8_bits

# What `Metadata` holds, by the words of messages.
NAMES = {"icc": "color profile", "exif": "Exif", "xmp": "XMP", "dpi": "resolution", "gamma": "gamma"}


@dataclass(frozen=True)
class Format:
    """What a format can hold.

    Attributes:
        encode: From values (height, width, channels), alpha last where there is one, whether there is, and what is
            kept, to the bytes of a file.
        deep: Whether it holds 16 bits.
        alpha: Whether it holds transparency.
        keeps: Names of what of `Metadata` it holds.
        lossless: Whether values come back as they were.
        alpha_of_gray: Whether gray may be transparent.
        says_white: Whether the file says which value is white.
    """

    encode: Callable[[np.ndarray, bool, Metadata], bytes]
    deep: bool
    alpha: bool
    keeps: tuple[str, ...]
    lossless: bool = True
    alpha_of_gray: bool = True
    says_white: bool = False


_ALL = ("icc", "exif", "xmp", "dpi")
_PNG = Format(lambda values, _, kept: png.encode(values, kept), deep=True, alpha=True, keeps=(*_ALL, "gamma"))
_JPEG = Format(lambda values, _, kept: jpeg.encode(values, kept), False, False, _ALL, lossless=False)
_TIFF = Format(tiff.encode, deep=True, alpha=True, keeps=_ALL)
_WEBP = Format(lambda values, _, kept: others.encode_webp(values, kept), False, True, ("icc", "exif", "xmp"))
_AVIF = Format(
    lambda values, _, kept: others.encode_avif(values, kept), False, True, ("icc", "exif", "xmp"), lossless=False
)
_JXL = Format(lambda values, _alpha, _kept: others.encode_jxl(values), deep=True, alpha=True, keeps=())
_BMP = Format(lambda values, _, kept: others.encode_bmp(values, kept), deep=False, alpha=False, keeps=("dpi",))
_PNM = Format(
    lambda values, _alpha, _kept: others.encode_pnm(values), deep=True, alpha=False, keeps=(), says_white=True
)

FORMATS: dict[str, Format] = {
    ".png": _PNG,
    **dict.fromkeys((".jpg", ".jpeg", ".jfif"), _JPEG),
    **dict.fromkeys((".tif", ".tiff"), _TIFF),
    ".webp": replace(_WEBP, alpha_of_gray=False),
    ".avif": replace(_AVIF, alpha_of_gray=False),
    ".jxl": _JXL,
    ".bmp": _BMP,
    **dict.fromkeys((".ppm", ".pgm", ".pnm"), _PNM),
}


def write(path: Path, picture: Picture) -> tuple[str, ...]:
    """Encode an image, atomically; the suffix chooses the format.

    Args:
        path: The file; what stood there is replaced.
        picture: Gray or color.

    Returns:
        What the format cannot hold and is lost, in a few words each.

    Raises:
        OutputError: The suffix is unknown, the picture is a Bayer mosaic, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise OutputError(f"cannot write {path}: the name must end with {', '.join(FORMATS)}")
    if picture.pixels.shape[2] == 4:
        raise OutputError(f"cannot write {path}: image files have no place for a packed Bayer mosaic")
    values, kept, lost = _fitted(picture, FORMATS[suffix])
    with files.new_file(path) as partial:
        try:
            partial.write_bytes(FORMATS[suffix].encode(values, _has_alpha(values), kept))
        except OSError:
            raise
        except Exception as error:  # the encoders raise whatever comes
            raise OutputError(f"cannot encode {path}: {' '.join(str(error).split())}") from error
    return lost


def _has_alpha(values: np.ndarray) -> bool:
    return values.shape[2] in (2, 4)


def _fitted(picture: Picture, target: Format) -> tuple[np.ndarray, Metadata, tuple[str, ...]]:
    """Return the values that are written, alpha last, what is written beside them, and what is lost."""
    pixels, alpha, lost = picture.pixels, picture.alpha, []
    if pixels.dtype == np.uint16 and not target.deep:
        pixels = to_8_bits(pixels)
        alpha = None if alpha is None else to_8_bits(alpha)
        lost.append("16 bits became 8")
    elif picture.white not in (None, picture.maximum) and not target.says_white:
        pixels = depths.restored(pixels, picture.white or picture.maximum)
    if alpha is not None and not target.alpha:
        lost.append("transparency is lost")
        alpha = None
    if alpha is not None:
        if pixels.shape[2] == 1 and not target.alpha_of_gray:
            pixels = np.repeat(pixels, 3, axis=2)
        pixels = np.dstack([pixels, alpha])
    kept, dropped = _kept(picture.metadata, target)
    if dropped:
        lost.append(f"{' and '.join(dropped)} {'is' if len(dropped) == 1 else 'are'} lost")
    return pixels, kept, tuple(lost)


def _kept(held: Metadata, target: Format) -> tuple[Metadata, list[str]]:
    """Split what a picture holds into what the format can hold and the names of the rest."""
    too_long = {
        "exif": target.encode is _JPEG.encode and len(held.exif) > jpeg.LONGEST_EXIF,
        "xmp": target.encode is _JPEG.encode and len(held.xmp) > jpeg.LONGEST_XMP,
    }
    # NOTE: a gamma beside a profile, or close to that of sRGB, says nothing more.
    told = {name for name in NAMES if getattr(held, name) and not (name == "gamma" and _is_plain(held))}
    gone = [name for name in NAMES if name in told and (name not in target.keeps or too_long.get(name))]
    return replace(held, **{name: getattr(Metadata(), name) for name in gone}), [NAMES[name] for name in gone]


def _is_plain(held: Metadata) -> bool:
    return bool(held.icc) or (held.gamma is not None and 0.44 < held.gamma < 0.47)
