"""TIFF files: every tag that says what values mean is looked at, or the file is refused.

Source: TIFF revision 6.0, Adobe 1992, and its technical notes; tifffile decodes.
"""

from __future__ import annotations

import io
import logging
import math
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import tifffile
from PIL import Image
from tifffile import TiffFile, TiffPage

from degrain.errors import DataError
from degrain.ingest.formats import depths, jpeg, light, metadata, sizes
from degrain.ingest.formats.depths import White
from degrain.ingest.formats.picture import Metadata, Picture
from degrain.pixels import Light


class _Complaints(logging.Handler):
    """What tifffile logs as errors and goes on without, such as a tag whose value is not there; for each thread."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._here = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        self._here.text = getattr(self._here, "text", "") or record.getMessage()

    @contextmanager
    def refused(self, name: str) -> Iterator[None]:
        """Refuse a file that it complains of."""
        self._here.text = ""
        yield
        if self._here.text:
            raise DataError(f"{name} is damaged: {' '.join(self._here.text.split())[:200]}")


_complaints = _Complaints()
_logger = logging.getLogger("tifffile")
_logger.addHandler(_complaints)
_logger.propagate = False

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_EXIF, _GPS, _XMP, _ICC, _DNG = 34665, 34853, 700, 34675, 50706
# Tags of the first directory that belong to Exif: what camera, who, when.
_SHOOTING = (269, 270, 271, 272, 285, 305, 306, 315, 316, 33432)
# Tags that say how pixels lie in the file, which tifffile sees to, that are looked at here, or that say nothing of the
# picture. Whatever else is there is left out with a word.
_STRUCTURE = (
    *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283, 284),
    *(288, 289, 290, 291, 292, 293, 296, 297, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 326, 327, 328, 330),
    *(332, 333, 334, 336, 337, 338, 339, 340, 341, 347, 529, 530, 531, 532, 32997, 32998),
)
# What TIFF/IT and others have that changes the meaning of pixels.
_FOREIGN = dict.fromkeys(range(34016, 34033), "TIFF/IT") | {33421: "camera raw", 33422: "camera raw"}
_GRAY_UNIT, _GRAY_CURVE, _CURVES, _WHITE_POINT, _PRIMARIES = 290, 291, 301, 318, 319
_ORIENTATION, _UNIT, _BELOW = 274, 296, 330
_INKS, _INK_COUNT, _DOTS, _BLACK_AND_WHITE, _TABLES, _WEIGHTS = 332, 334, 336, 532, 347, 529
# Red, green and blue of YCbCr as libjpeg has them, in thousandths (ITU-R BT.601).
_USUAL_WEIGHTS = (299, 587, 114)
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_PHOTOMETRIC = {4: "a mask", 8: "CIE L*a*b*", 9: "ICC L*a*b*", 10: "ITU L*a*b*", 32844: "LogL", 32845: "LogLuv"}
_PHOTOMETRIC |= {32803: "a color filter array, as of a camera raw file", 34892: "linear camera raw"}
_CHANNELS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3}
_JPEG = (7, 34892)
_UNSIGNED, _SIGNED, _FLOAT, _UNKNOWN = 1, 2, 3, 4
_ASSOCIATED = 1
_REDUCED, _MASK = 1, 4
_MEANING = 262
_FRACTIONS = (5, 10)
# Directories that are looked at.
_MOST_PAGES = 1000
# Numbers of white, red, green and blue.
_CHROMATICITIES = 8


def is_dng(data: bytes) -> bool:
    """Tell whether a TIFF is a camera raw file in Adobe's format."""
    try:
        with TiffFile(io.BytesIO(data)) as file:
            return _DNG in file.pages[0].tags  # type: ignore[union-attr]
    except Exception:  # what is wrong with it is found out when it is decoded
        return False


def decode(data: bytes, name: str, white: White = depths.OF_FORMAT) -> Picture:
    """Decode a TIFF of one page.

    Args:
        data: The whole file.
        name: What messages call it.
        white: Where white lies in files of more than 8 bits.

    Returns:
        Gray or RGB of 8 or 16 bits; CMYK and palettes become RGB, floating-point values 16 bits.

    Raises:
        DataError: It is damaged, too large, of several pages, or of a kind that is not supported.
    """
    try:
        _check_pages(data, name)
        with _complaints.refused(name), TiffFile(io.BytesIO(data)) as file:
            page = _only_page(file, name)
            sizes.check(page.imagewidth, page.imagelength, name)
            _refuse(page, name)
            _refuse_meanings(page, name)
            _check_whole(page, len(data), name)
            _check_jpegs(page, data, name)
            picture = _picture(page, data, name, white)
            return replace(picture, notes=(*picture.notes, *_left_out(file, page)))
    except DataError:
        raise
    except Exception as error:  # damaged files make the decoders raise whatever comes
        text = " ".join(str(error).split())[:200]
        if "not supported" in text:
            raise DataError(f"{name} is packed in a way that cannot be read: {text}") from error
        raise DataError(f"{name} is damaged: {text}") from error


def _check_pages(data: bytes, name: str) -> None:
    """Refuse directories that lead back to one before, and endless ones; tifffile would follow them."""
    seen: set[int] = set()
    for place in _directories(data):
        if place in seen:
            raise DataError(f"{name} is damaged: a page of it names an earlier one as the next")
        if len(seen) == _MOST_PAGES:
            raise DataError(f"{name} has more than {_MOST_PAGES} pages; only single images are supported")
        seen.add(place)


def _directories(data: bytes) -> Iterator[int]:
    """Yield where the directories of pages begin, one after the other, as far as they lie in the file."""
    order = "<" if data.startswith(b"II") else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    start, count, entry, following = (8, f"{order}Q", 20, f"{order}Q") if big else (4, f"{order}H", 12, f"{order}I")
    while start + struct.calcsize(following) <= len(data):
        (place,) = struct.unpack_from(following, data, start)
        if not place or place + struct.calcsize(count) > len(data):
            return
        yield place
        start = place + struct.calcsize(count) + entry * struct.unpack_from(count, data, place)[0]


def _only_page(file: TiffFile, name: str) -> TiffPage:
    """The page, beside those of lower resolution and masks."""
    pages = [page for page in file.pages if not _flags(page) & (_REDUCED | _MASK)]
    pages = pages or [page for page in file.pages if len(file.pages) == 1 and not _flags(page) & _MASK]
    if not pages:
        raise DataError(f"{name} is damaged: it has no page that can be read")
    # NOTE: some programs mark what they like as reduced; a larger one than the page is no reduction of it.
    pages += [page for page in file.pages if _flags(page) & _REDUCED and page.size > pages[0].size]
    if len(pages) != 1:
        raise DataError(f"{name} has {len(pages)} pages; only single images are supported")
    page = pages[0]
    if not isinstance(page, TiffPage):
        raise DataError(f"{name} is damaged: its directory cannot be read")
    stack = (file.imagej_metadata or {}).get("images", 1)
    described = [series.size for series in file.series if series.keyframe is page.keyframe]
    if stack != 1 or (described and described[0] != page.size):
        raise DataError(f"{name} has a stack of images; only single images are supported")
    return page


def _flags(page: Any) -> int:
    """NewSubfileType, or what the older SubfileType says in its terms."""
    tags = page.tags
    if 254 in tags:
        return int(tags[254].value)
    return _REDUCED if 255 in tags and tags[255].value == 2 else 0


def _refuse(page: TiffPage, name: str) -> None:
    """Refuse what is not understood."""
    if _MEANING not in page.tags:
        raise DataError(f"{name} is damaged: nothing in it says which end of its values is white")
    photometric = int(page.photometric)
    if photometric not in _CHANNELS:
        kind = _PHOTOMETRIC.get(photometric, f"photometric interpretation {photometric}")
        raise DataError(f"{name} is a TIFF of {kind}, which is not supported")
    samples, extra = page.samplesperpixel, len(page.extrasamples)
    if samples - extra != _CHANNELS[photometric] or extra > 1:
        raise DataError(f"{name} has {samples} channels, {extra} of them extra; one extra channel is supported, alpha")
    if page.imagedepth != 1:
        raise DataError(f"{name} is a volume of {page.imagedepth} slices; only single images are supported")
    if photometric == _YCBCR and int(page.compression) not in _JPEG:
        raise DataError(f"{name} is a TIFF of YCbCr that is not packed as JPEG, which is not supported")
    formats = page.tags[339].value if 339 in page.tags else _UNSIGNED
    if isinstance(formats, tuple) and len(set(formats)) > 1:
        raise DataError(f"{name} has channels of different kinds of numbers, which is not supported")
    values, bits = int(page.sampleformat or _UNSIGNED), page.bitspersample
    if not isinstance(bits, int):
        raise DataError(f"{name} has channels of {', '.join(map(str, bits))} bits; all must have the same")
    if values == _SIGNED:
        raise DataError(f"{name} has signed values, whose black and white nothing says; save it as unsigned")
    if values not in (_UNSIGNED, _FLOAT, _UNKNOWN):
        raise DataError(f"{name} has complex values")
    if values == _FLOAT and photometric not in (_BLACK_IS_ZERO, _RGB):
        raise DataError(f"{name} has floating-point values that are neither gray from black to white nor RGB")
    if values != _FLOAT and bits > 16 and bits != 32:
        raise DataError(f"{name} has {bits} bits a channel; 1 to 16 and 32 are supported")
    if photometric == _CMYK and (bits != 8 or extra):
        raise DataError(f"{name} has CMYK of {bits} bits{', and alpha' if extra else ''}; only plain 8 are supported")


def _check_whole(page: TiffPage, size: int, name: str) -> None:
    """Refuse a page whose pixels are not all there; tifffile would fill what is missing with black."""
    places, counts = page.dataoffsets, page.databytecounts
    expected = math.prod(page.chunked)
    whole = len(places) == len(counts) == expected and all(
        place > 0 and count > 0 and place + count <= size for place, count in zip(places, counts, strict=True)
    )
    if not whole:
        raise DataError(f"{name} is damaged: it ends too early, or pixels are missing")


def _refuse_meanings(page: TiffPage, name: str) -> None:
    """Refuse tags that say that values mean something else than what is made of them."""
    tags = page.tags
    if found := sorted({kind for tag, kind in _FOREIGN.items() if tag in tags}):
        raise DataError(f"{name} has tags of {found[0]}, which is not supported")
    top = 2 ** int(page.bitspersample) - 1
    if _value(tags, _INKS, 1) != 1 or _value(tags, _INK_COUNT, 4) != 4:
        raise DataError(f"{name} has other inks than cyan, magenta, yellow and black, which is not supported")
    dots = _numbers(tags, _DOTS)
    if dots and tuple(dots) != (0, top) * (len(dots) // 2):
        raise DataError(f"{name} has ink from {dots[0]:g} to {dots[1]:g}, not from 0 to {top} (DotRange)")
    ends = _numbers(tags, _BLACK_AND_WHITE)
    usual = ([0, top] * 3, [0, top, (top + 1) / 2, top, (top + 1) / 2, top])
    if ends and ends not in usual:
        raise DataError(f"{name} has black at {ends[0]:g} and white at {ends[1]:g} (ReferenceBlackWhite)")
    weights = [round(1000 * weight) for weight in _numbers(tags, _WEIGHTS)]
    if weights and tuple(weights) != _USUAL_WEIGHTS:
        raise DataError(f"{name} has YCbCr of other weights than those of JPEG, which is not supported")


def _value(tags: Any, tag: int, otherwise: int) -> int:
    return int(tags[tag].value) if tag in tags else otherwise


def _numbers(tags: Any, tag: int) -> list[float]:
    """The numbers of a tag, as they are or as fractions; none where it is not there."""
    if tag not in tags:
        return []
    values, kind = np.ravel(tags[tag].value).tolist(), int(tags[tag].dtype)
    if kind not in _FRACTIONS:
        return [float(number) for number in values]
    return [over / under if under else math.nan for over, under in zip(values[::2], values[1::2], strict=True)]


def _check_jpegs(page: TiffPage, data: bytes, name: str) -> None:
    """Refuse damaged JPEG inside; tifffile takes what it gets."""
    if int(page.compression) not in _JPEG:
        return
    tables = _bytes(page.tags, _TABLES)[:-2]
    for place, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        strip = data[place : place + count]
        jpeg.check_pixels(tables + strip[2:] if tables else strip, name)


def _left_out(file: TiffFile, page: TiffPage) -> Iterator[str]:
    """Say what is not kept of what stands beside the pixels."""
    if any(_flags(other) & _MASK for other in file.pages):
        yield "its mask is left out"
    if _BELOW in page.tags or any(_flags(other) & _REDUCED for other in file.pages if other is not page):
        yield "its previews are left out"
    sizes_of = [_numbers(page.tags, tag) for tag in (282, 283)]
    if _value(page.tags, _UNIT, 2) == 1 and all(sizes_of) and sizes_of != [[1], [1]]:
        yield "its resolution in units of its own is left out"
    known = (*_STRUCTURE, *_SHOOTING, _EXIF, _GPS, _XMP, _ICC)
    if others := sorted({tag.name if tag.name else str(tag.code) for tag in page.tags if tag.code not in known}):
        yield f"TIFF tags ({', '.join(others)}) are left out"


def _light(page: TiffPage, icc: bytes, name: str) -> tuple[Light, float | None]:
    """Tell what values stand for, by the profile or by curves of TIFF, and the gamma of those."""
    if icc:
        return light.of_profile(icc, name), None
    tags = page.tags
    if curves := _numbers(tags, _CURVES):
        size = 2 ** int(page.bitspersample)
        apart = [curves[start : start + size] for start in range(0, len(curves), size)]
        lights = [[value / max(curve[-1], 1) for value in curve] for curve in apart]
        found = {light.of_curve(curve, "transfer function", name) for curve in lights}
        if len(found) > 1 or len(curves) % size:
            raise DataError(f"{name} has transfer functions that do not fit each other")
        return found.pop(), _gamma(lights[0])
    if densities := _numbers(tags, _GRAY_CURVE):
        unit = 10 ** _value(tags, _GRAY_UNIT, 2)
        light_of = [10 ** -((density - min(densities)) / unit) for density in densities]
        if int(page.photometric) == _WHITE_IS_ZERO:
            light_of.reverse()
        return light.of_curve(light_of, "gray response curve", name), _gamma(light_of)
    return "srgb", None


def _gamma(curve: list[float]) -> float | None:
    exponent = light.middle_exponent(curve)
    return round(1 / exponent, 5) if exponent else None


def _picture(page: TiffPage, data: bytes, name: str, white: White) -> Picture:
    values = _channels_last(page)
    count = values.shape[2] - len(page.extrasamples)
    colors, alpha = np.ascontiguousarray(values[..., :count]), values[..., count].copy() if page.extrasamples else None
    kept, notes = _metadata(page, data)
    picture = _meant(page, colors, alpha, kept.icc, name, white)
    if int(page.photometric) == _CMYK:
        kept = metadata.without_profile(kept)
    if alpha is not None and int(page.extrasamples[0]) == _ASSOCIATED:
        picture = depths.unmultiplied(picture)
    elif alpha is not None and int(page.extrasamples[0]) == 0:
        notes += ("a last channel of no stated meaning is kept as alpha",)
    stands_for, gamma = _light(page, kept.icc, name)
    kept = replace(kept, gamma=gamma)
    return replace(_turned(page, picture, kept), light=stands_for, notes=picture.notes + notes)


def _turned(page: TiffPage, picture: Picture, kept: Metadata) -> Picture:
    """Turn the pixels as the tag of TIFF says, or XMP where there is none."""
    said = page.tags[_ORIENTATION].value if _ORIENTATION in page.tags else metadata.orientation(b"", kept.xmp)
    lies = said if said in range(1, 9) else metadata.UPRIGHT
    kept = replace(kept, xmp=metadata.xmp_for_upright(kept.xmp))
    return metadata.turned(replace(picture, metadata=kept), lies)


def _meant(
    page: TiffPage, colors: np.ndarray, alpha: np.ndarray | None, icc: bytes, name: str, white: White
) -> Picture:
    """From the values of a file to gray or RGB of 8 or 16 bits, 0 being black."""
    photometric, bits = int(page.photometric), int(page.bitspersample)
    inverted = photometric == _WHITE_IS_ZERO
    if int(page.sampleformat or _UNSIGNED) == _FLOAT:
        top = white.given or 1
        pixels = depths.from_floats(colors, white.given, name)
        if alpha is not None:
            alpha = depths.from_floats(alpha, None if alpha.max(initial=0) <= 1 else top, name)
        note = f"its floating-point values became 16 bits, white being {top}"
        return Picture(pixels, alpha, white=depths.FULL, notes=(note,))
    if bits == 32:
        if white.given is None:
            raise DataError(f"{name} has 32 bits a channel; give the value of white (--white, data.white)")
        picture = depths.picture(colors, alpha, white, name, inverted)
        return replace(
            picture, white=depths.FULL, alpha_white=None, notes=(f"its 32 bits became 16, white being {white.given}",)
        )
    if photometric == _PALETTE:
        scaled = None if alpha is None else depths.scaled(alpha, 2**bits - 1, np.dtype(np.uint8))
        return Picture(_from_palette(colors, page.colormap), scaled, notes=("its palette became RGB",))
    if photometric == _CMYK:
        return Picture(_from_cmyk(colors, icc), notes=("its CMYK became sRGB",))
    if bits in (8, 16):
        return depths.picture(colors, alpha, white, name, inverted)
    scaled = None if alpha is None else depths.whole(alpha, bits)
    picture = depths.picture(depths.whole(colors, bits), scaled, depths.OF_FORMAT, name, inverted)
    said = depths.ignored(white, 2**bits - 1) if bits > 8 else ()
    return replace(picture, alpha_white=None, notes=picture.notes + said)


def _channels_last(page: TiffPage) -> np.ndarray:
    """Decode: (height, width, channels), whatever the layout."""
    values = page.asarray()
    shape = page.imagelength, page.imagewidth, page.samplesperpixel
    if page.axes == "SYX":
        values = np.moveaxis(values, 0, 2)
    values = np.ascontiguousarray(values.reshape(shape))
    # NOTE: tifffile gives bits as booleans.
    return values.astype(np.uint8) if values.dtype == bool else values


def _from_palette(values: np.ndarray, colors: Any) -> np.ndarray:
    """Look up colors: 16 bits in the file, of which libtiff and all others take the upper 8."""
    table = np.asarray(colors).T
    # NOTE: some programs wrote 8-bit numbers; libtiff finds them likewise.
    table = table if table.max(initial=0) < 256 else table >> 8
    looked_up: np.ndarray = table.astype(np.uint8)[values[..., 0]]
    return looked_up


def _from_cmyk(values: np.ndarray, icc: bytes) -> np.ndarray:
    return np.asarray(metadata.to_srgb(Image.fromarray(values, "CMYK"), icc))


def _metadata(page: TiffPage, data: bytes) -> tuple[Metadata, tuple[str, ...]]:
    tags = page.tags
    per_inch = metadata.PER_INCH.get(_value(tags, _UNIT, 2))
    dpi = None
    if 282 in tags and 283 in tags and per_inch:
        dpi = metadata.resolution([_quotient(tags[tag].value) for tag in (282, 283)], per_inch)
    icc, notes = metadata.profile(_bytes(tags, _ICC), cmyk=int(page.photometric) == _CMYK)
    exif, whole = _exif(page, data)
    notes += () if whole else (metadata.BROKEN_EXIF,)
    primaries = _numbers(tags, _WHITE_POINT) + _numbers(tags, _PRIMARIES)
    kept = Metadata(
        icc=icc,
        exif=exif,
        xmp=_bytes(tags, _XMP),
        dpi=dpi,
        primaries=tuple(primaries) if len(primaries) == _CHROMATICITIES and not icc else (),
    )
    return kept, notes


def _quotient(value: Any) -> float | None:
    try:
        return float(value[0]) / float(value[1])
    except (TypeError, ValueError, ZeroDivisionError, IndexError):
        return None


def _bytes(tags: Any, tag: int) -> bytes:
    value = tags[tag].value if tag in tags else b""
    return value if isinstance(value, bytes) else bytes(value) if isinstance(value, (tuple, list)) else b""


def _exif(page: TiffPage, data: bytes) -> tuple[bytes, bool]:
    """Gather what of the first directory is Exif, and the directories of Exif and GPS, as Exif of their own.

    Returns:
        Exif, and whether it is all that there is.
    """
    parsed, whole = Image.Exif(), True
    parsed.endian = "<" if data.startswith(b"II") else ">"
    for tag in _SHOOTING:
        text = page.tags[tag].value if tag in page.tags else None
        # NOTE: tifffile describes arrays there, and would take its own word for the next one.
        if isinstance(text, str) and not text.startswith('{"shape"'):
            parsed[tag] = text.encode().decode("latin-1")
        elif text is not None and not isinstance(text, str):
            whole = False
    for tag, found in _below(data, [tag for tag in (_EXIF, _GPS) if tag in page.tags]).items():
        parsed.get_ifd(tag).update(found)
        whole = whole and bool(found)
    if not dict(parsed) and not parsed.get_ifd(_EXIF) and not parsed.get_ifd(_GPS):
        return b"", whole
    try:
        return metadata.to_bytes(parsed), whole
    except Exception:  # a value that Pillow read and cannot write
        return b"", False


def _below(data: bytes, tags: list[int]) -> dict[int, dict[int, Any]]:
    """Read directories below the first one; they are empty where Pillow cannot, as in some BigTIFFs."""
    found: dict[int, dict[int, Any]] = {tag: {} for tag in tags}
    if not tags:
        return found
    whole = Image.Exif()
    with warnings.catch_warnings(action="ignore"), suppress(Exception):  # damage makes the parser raise whatever comes
        whole.load(b"Exif\0\0" + data)
        for tag in tags:
            with suppress(Exception):
                found[tag] = dict(whole.get_ifd(tag))
    return found


def lost_of_exif(exif: bytes) -> list[str]:
    """Return the names of tags of Exif, most of them of its first directory, that `encode` does not write."""
    from PIL.ExifTags import Base

    written = (*_SHOOTING, *_STRUCTURE, _EXIF, _GPS, _ICC, _XMP)
    parsed = metadata.parsed_exif(exif)
    found = [tag for tag in parsed if tag not in written]
    found += [tag for tag in (metadata.INTEROPERABILITY,) if tag in parsed.get_ifd(_EXIF)]
    return sorted(Base(tag).name if tag in Base._value2member_map_ else str(tag) for tag in found)


def encode(values: np.ndarray, has_alpha: bool, kept: Metadata) -> bytes:
    """Encode gray or RGB values, alpha last where there is one, of 8 or 16 bits, without loss.

    Args:
        values: (height, width, 1 to 4) uint8 or uint16.
        has_alpha: Whether the last channel is alpha.
        kept: What is written beside them.
    """
    exif = metadata.parsed_exif(kept.exif)
    extra: list[tuple[int, Any, int, Any, bool]] = []
    if kept.xmp:
        extra.append((_XMP, 1, len(kept.xmp), kept.xmp, True))
    for tag in _SHOOTING:
        if isinstance(text := exif.get(tag), str) and text:
            extra.append((tag, 2, 0, text.encode("latin-1", "replace"), True))
    for tag, values_of in ((_WHITE_POINT, kept.primaries[:2]), (_PRIMARIES, kept.primaries[2:])):
        if values_of:
            fractions = [part for value in values_of for part in (round(value * 100_000), 100_000)]
            extra.append((tag, 5, len(values_of), tuple(fractions), True))
    if kept.gamma and not kept.icc:
        top = np.iinfo(values.dtype).max
        curve = np.rint((np.arange(top + 1) / top) ** (1 / kept.gamma) * 65_535).astype(int)
        extra.append((_CURVES, 3, top + 1, curve.tolist(), True))
    below = {tag: directory for tag in (_EXIF, _GPS) if (directory := exif.get_ifd(tag))}
    gray = values.shape[2] - has_alpha == 1
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        values[..., 0] if values.shape[2] == 1 else values,
        photometric="minisblack" if gray else "rgb",
        planarconfig="contig" if values.shape[2] > 1 else None,
        extrasamples=["unassalpha"] if has_alpha else None,
        compression="zlib",
        compressionargs={"level": 1},
        predictor=True,
        iccprofile=kept.icc or None,
        resolution=kept.dpi,
        resolutionunit="INCH" if kept.dpi else None,
        extratags=extra,
        metadata=None,
        software=False,
        byteorder="<",
    )
    return _with_directories(buffer.getvalue(), below)


def _with_directories(data: bytes, below: dict[int, Any]) -> bytes:
    """Put the directories of Exif and GPS behind a file, and a first directory that points to them, too."""
    if not below:
        return data
    written = bytearray(data)
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    entries = {
        data[place : place + 2]: data[place : place + 12] for place in range(first + 2, first + 2 + 12 * count, 12)
    }
    for tag, directory in below.items():
        written += b"\0" * (len(written) % 2)
        entries[struct.pack("<H", tag)] = struct.pack("<HHII", tag, 4, 1, len(written))
        written += _directory(directory, len(written))
    written += b"\0" * (len(written) % 2)
    struct.pack_into("<I", written, 4, len(written))
    ordered = [entries[tag] for tag in sorted(entries, key=lambda tag: int.from_bytes(tag, "little"))]
    return bytes(written) + struct.pack("<H", len(ordered)) + b"".join(ordered) + b"\0\0\0\0"


def _directory(values: Any, offset: int) -> bytes:
    """Write a directory as it is to lie at a place of a file."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    directory = ImageFileDirectory_v2(b"II*\0\x08\0\0\0")
    for tag, value in metadata.with_letters(values).items():
        if tag != metadata.INTEROPERABILITY:
            directory[tag] = value
    return directory.tobytes(offset)
