"""Image files written so that what came in goes out: depth, transparency, profile, Exif, XMP and resolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from degrain import files
from degrain.errors import OutputError
from degrain.ingest.formats import depths, jpeg, jxl, light, others, png, tiff
from degrain.ingest.formats.picture import Metadata, Picture
from degrain.pixels import to_8_bits

# What `Metadata` holds, by the words of messages.
NAMES = {
    "icc": "color profile",
    "exif": "Exif",
    "xmp": "XMP",
    "dpi": "resolution",
    "gamma": "gamma",
    "primaries": "primary colors",
    "cicp": "color space",
    "texts": "texts",
    "comment": "comment",
}
# Primaries and transfer functions of ITU-T H.273 that are those of sRGB, or close to it.
_SRGB_COLORS, _SRGB_CURVES = (1, 2), (1, 2, 6, 13, 14, 15)


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
        gray: Whether gray, transparent or not, stays gray.
        says_white: Whether the file says which value is white.
        unfit: From what is to be kept to the names of what of it this format cannot say as it is.
        longest: Pixels that width and height can have; None where no image that is read has more.
    """

    encode: Callable[[np.ndarray, bool, Metadata], bytes]
    deep: bool
    alpha: bool
    keeps: tuple[str, ...]
    lossless: bool = True
    gray: bool = True
    says_white: bool = False
    unfit: Callable[[Metadata], list[str]] = lambda _: []
    longest: int | None = None


_ALL = ("icc", "exif", "xmp", "dpi")
_PNG = Format(
    lambda values, _, kept: png.encode(values, kept),
    True,
    True,
    (*_ALL, "gamma", "primaries", "cicp", "texts"),
    longest=png.LONGEST_SIDE,
)
_JPEG = Format(
    lambda values, _, kept: jpeg.encode(values, kept),
    False,
    False,
    (*_ALL, "comment"),
    lossless=False,
    unfit=jpeg.unfit,
    longest=jpeg.LONGEST_SIDE,
)
_TIFF = Format(tiff.encode, deep=True, alpha=True, keeps=(*_ALL, "primaries", "gamma"))
_WEBP = Format(
    lambda values, _, kept: others.encode_webp(values, kept),
    False,
    True,
    ("icc", "exif", "xmp"),
    gray=False,
    longest=others.LONGEST_WEBP,
)
_AVIF = Format(
    lambda values, _, kept: others.encode_avif(values, kept),
    False,
    True,
    ("icc", "exif", "xmp", "cicp"),
    lossless=False,
    gray=False,
    unfit=others.unfit_avif,
    longest=others.LONGEST_AVIF,
)
_JXL = Format(lambda values, _, kept: jxl.encode(values, kept), True, True, ("exif", "xmp", "cicp"), unfit=jxl.unfit)
_BMP = Format(lambda values, _, kept: others.encode_bmp(values, kept), deep=False, alpha=False, keeps=("dpi",))
_PNM = Format(
    lambda values, _alpha, _kept: others.encode_pnm(values), deep=True, alpha=False, keeps=(), says_white=True
)

FORMATS: dict[str, Format] = {
    ".png": _PNG,
    **dict.fromkeys((".jpg", ".jpeg", ".jfif"), _JPEG),
    **dict.fromkeys((".tif", ".tiff"), _TIFF),
    ".webp": _WEBP,
    ".avif": _AVIF,
    ".jxl": _JXL,
    ".bmp": _BMP,
    **dict.fromkeys((".ppm", ".pgm", ".pnm"), _PNM),
}


def write(path: Path, picture: Picture, force: bool = True) -> tuple[str, ...]:
    """Encode an image, atomically; the suffix chooses the format.

    Args:
        path: The file.
        picture: Gray or color.
        force: Whether what stands there is replaced.

    Returns:
        What the format cannot hold and is lost, in a few words each.

    Raises:
        OutputError: As of `check` and `files.new_file`.
    """
    check(path, picture)
    suffix = path.suffix.lower()
    values, kept, lost = _fitted(picture, FORMATS[suffix])
    with files.new_file(path, replace=force) as partial:
        try:
            partial.write_bytes(FORMATS[suffix].encode(values, _has_alpha(values), kept))
        except OSError:
            raise
        except Exception as error:  # the encoders raise whatever comes
            raise OutputError(f"cannot encode {path}: {' '.join(str(error).split())}") from error
    return lost


def check(path: Path, picture: Picture) -> None:
    """Refuse a picture that the format of a file cannot hold at all.

    Raises:
        OutputError: The suffix is unknown, the picture is a Bayer mosaic, or it is too wide or too high.
    """
    target = FORMATS.get(path.suffix.lower())
    if target is None:
        raise OutputError(f"cannot write {path}: the name must end with {', '.join(FORMATS)}")
    height, width, channels = picture.pixels.shape
    if channels == 4:
        raise OutputError(f"cannot write {path}: image files have no place for a packed Bayer mosaic")
    if target.longest and max(width, height) > target.longest:
        limit = f"{target.longest} pixels in width or height"
        raise OutputError(f"cannot write {path}: {width} x {height} pixels, and the format has at most {limit}")


def lossy_by_name(picture: Picture, source: Path, target: Path) -> tuple[str, ...]:
    """Say that a file loses values only since its name is that of another format than its contents."""
    made, named, written = (FORMATS.get(suffix.lower()) for suffix in (picture.suffix, source.suffix, target.suffix))
    if made is None or named is None or written is None or written.lossless:
        return ()
    if named.encode is not written.encode or made.encode is written.encode:
        return ()
    return (f"a file of {picture.suffix} by its contents is written as {target.suffix.lower()}, with loss",)


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
        if alpha is not None and picture.alpha_white:
            alpha = depths.restored(alpha, picture.alpha_white)
    if alpha is not None and not target.alpha:
        lost.append("transparency is lost")
        alpha = None
    if alpha is not None:
        if pixels.shape[2] == 1 and not target.gray:
            pixels = np.repeat(pixels, 3, axis=2)
        pixels = np.dstack([pixels, alpha])
    held = picture.metadata
    kept, dropped = _kept(held, target)
    if kept.icc and pixels.shape[2] in (1, 2) and not target.gray and light.colors_of(kept.icc) == "GRAY":
        kept, dropped = replace(kept, icc=b""), [NAMES["icc"], *dropped]
    kept, words = _with_light(picture, kept, target)
    lost += words
    if picture.light == "linear" and NAMES["gamma"] in dropped:
        dropped.remove(NAMES["gamma"])  # it says the same
    if target.encode is _TIFF.encode and (tags := tiff.lost_of_exif(kept.exif)):
        dropped.append(f"Exif tags ({', '.join(tags)})")
    if dropped:
        several = len(dropped) > 1 or dropped[0].endswith(("s", ")"))
        lost.append(f"{' and '.join(dropped)} {'are' if several else 'is'} lost")
    return pixels, kept, tuple(lost)


def _with_light(picture: Picture, kept: Metadata, target: Format) -> tuple[Metadata, list[str]]:
    """Let a file say that its values are linear light, where it can and does not yet; else say that this is lost."""
    if picture.light != "linear":
        return kept, []
    if not (kept.icc or kept.cicp or kept.gamma):
        if "gamma" in target.keeps:
            kept = replace(kept, gamma=1.0)
        elif "cicp" in target.keeps:
            kept = replace(kept, cicp=(*jxl.LINEAR_SRGB, 0, 1))
    if not _is_linear(kept):
        return kept, ["that its values are linear light is lost"]
    deeper = target.encode is _JXL.encode and picture.pixels.dtype == np.uint8
    return kept, ["8 bits became 16"] if deeper else []


def _is_linear(kept: Metadata) -> bool:
    """Tell whether values beside which this is written are read as linear light."""
    name = "the picture"
    if kept.cicp:
        return light.of_transfer(kept.cicp[1], name) == "linear"
    if kept.icc:
        return light.of_profile(kept.icc, name) == "linear"
    return bool(kept.gamma) and light.of_exponent(1 / (kept.gamma or 1), "gamma", name) == "linear"


def _kept(held: Metadata, target: Format) -> tuple[Metadata, list[str]]:
    """Split what a picture holds into what the format can hold and the names of the rest."""
    unfit = target.unfit(held)
    told = {name for name in NAMES if getattr(held, name) and name not in _saying_nothing(held)}
    gone = [name for name in NAMES if name in told and (name not in target.keeps or name in unfit)]
    return replace(held, **{name: getattr(Metadata(), name) for name in gone}), [NAMES[name] for name in gone]


def _saying_nothing(held: Metadata) -> list[str]:
    """Names of what describes colors and says no more than a profile beside it, or no more than sRGB."""
    if held.icc and not held.cicp:
        return ["gamma", "primaries"]
    plain_gamma = held.gamma is not None and 0.44 < held.gamma < 0.47
    if not held.cicp:
        return ["gamma"] if plain_gamma else []
    primaries, transfer, *_ = held.cicp
    plain = primaries in _SRGB_COLORS and transfer in _SRGB_CURVES
    # NOTE: in a PNG it counts more than a profile.
    return ["gamma", "primaries", *(["cicp"] if plain else [])]
