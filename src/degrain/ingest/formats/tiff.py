"""TIFF files: every tag that says what values mean is looked at, or the file is refused.

Source: TIFF revision 6.0, Adobe 1992, and its technical notes; tifffile decodes.
"""

from __future__ import annotations

import io
import logging
import math
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tifffile
from PIL import Image
from tifffile import TiffFile, TiffPage

from degrain.errors import DataError
from degrain.ingest.formats import depths, metadata, sizes
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
_SHOOTING = (270, 271, 272, 305, 306, 315, 33432)
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_PHOTOMETRIC = {4: "a mask", 8: "CIE L*a*b*", 9: "ICC L*a*b*", 10: "ITU L*a*b*", 32844: "LogL", 32845: "LogLuv"}
_PHOTOMETRIC |= {32803: "a color filter array, as of a camera raw file", 34892: "linear camera raw"}
_CHANNELS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3}
_JPEG = (7, 34892)
_UNSIGNED, _SIGNED, _FLOAT, _UNKNOWN = 1, 2, 3, 4
_ASSOCIATED = 1
_REDUCED, _MASK = 1, 4
_FULL, _MEANING = 65_535, 262
# Units per inch, by ResolutionUnit.
_PER_INCH = {2: 1.0, 3: 2.54}


def is_dng(data: bytes) -> bool:
    """Tell whether a TIFF is a camera raw file in Adobe's format."""
    try:
        with TiffFile(io.BytesIO(data)) as file:
            return _DNG in file.pages[0].tags  # type: ignore[union-attr]
    except Exception:  # what is wrong with it is found out when it is decoded
        return False


def decode(data: bytes, name: str, white: int | None = None) -> Picture:
    """Decode a TIFF of one page.

    Args:
        data: The whole file.
        name: What messages call it.
        white: The value of white in files of more than 8 bits; None where it is that of the format.

    Returns:
        Gray or RGB of 8 or 16 bits; CMYK and palettes become RGB, floating-point values 16 bits.

    Raises:
        DataError: It is damaged, too large, of several pages, or of a kind that is not supported.
    """
    try:
        with _complaints.refused(name), TiffFile(io.BytesIO(data)) as file:
            page = _only_page(file, name)
            sizes.check(page.imagewidth, page.imagelength, name)
            _refuse(page, name)
            _check_whole(page, len(data), name)
            return _picture(page, data, name, white)
    except DataError:
        raise
    except Exception as error:  # damaged files make the decoders raise whatever comes
        raise DataError(f"{name} is damaged: {' '.join(str(error).split())[:200]}") from error


def _only_page(file: TiffFile, name: str) -> TiffPage:
    """The page, beside those of lower resolution and masks."""
    pages = [page for page in file.pages if not _flags(page) & (_REDUCED | _MASK)]
    if not pages:
        raise DataError(f"{name} is damaged: it has no page that can be read")
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


def _picture(page: TiffPage, data: bytes, name: str, white: int | None) -> Picture:
    values = _channels_last(page)
    photometric, bits = int(page.photometric), int(page.bitspersample)
    kept = _metadata(page, data)
    notes: tuple[str, ...] = ()
    if int(page.sampleformat or _UNSIGNED) == _FLOAT:
        pixels = depths.from_floats(values, white, name)
        notes = (f"its floating-point values became 16 bits, white being {white or 1}",)
        white = _FULL
    elif bits == 32:
        if white is None:
            raise DataError(f"{name} has 32 bits a channel; give the value of white (--white, data.white)")
        pixels = depths.with_white(values, white, name)
        notes, white = (f"its 32 bits became 16, white being {white}",), _FULL
    elif photometric == _PALETTE:
        pixels, notes, white = _from_palette(values, page.colormap), ("its palette became RGB",), None
    elif photometric == _CMYK:
        pixels, notes, white = _from_cmyk(values, kept.icc), ("its CMYK became sRGB",), None
        kept = Metadata(exif=kept.exif, xmp=kept.xmp, dpi=kept.dpi)
    else:
        pixels = depths.whole(values, bits)
        white = 2**bits - 1 if bits not in (1, 2, 4, 8, 16) else None
        if photometric == _WHITE_IS_ZERO:
            pixels = _inverted(pixels, len(page.extrasamples))
    return _with_alpha(pixels, page, kept, white, notes)


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


def _inverted(pixels: np.ndarray, extra: int) -> np.ndarray:
    colors = pixels.shape[2] - extra
    inverted = pixels.copy()
    inverted[..., :colors] = np.iinfo(pixels.dtype).max - pixels[..., :colors]
    return inverted


def _with_alpha(
    pixels: np.ndarray, page: TiffPage, kept: Metadata, white: int | None, notes: tuple[str, ...]
) -> Picture:
    light: Light = "linear" if metadata.is_linear(kept.icc) else "srgb"
    if pixels.shape[2] not in (2, 4):
        return Picture(pixels, None, kept, white, light, notes)
    alpha = pixels[..., -1].copy()
    colors = np.ascontiguousarray(pixels[..., :-1])
    if int(page.extrasamples[0]) == _ASSOCIATED:
        colors = _divided(colors, alpha)
        notes += ("its colors were multiplied by alpha, and no longer are",)
    elif int(page.extrasamples[0]) == 0:
        notes += ("a last channel of no stated meaning is kept as alpha",)
    return Picture(colors, alpha, kept, white, light, notes)


def _divided(colors: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Undo a multiplication by alpha; where nothing is seen, colors stay as they are."""
    top = np.iinfo(colors.dtype).max
    share = np.maximum(alpha, 1)[..., None] / top
    divided = np.rint(np.minimum(colors / share, top)).astype(colors.dtype)
    result: np.ndarray = np.where(alpha[..., None] == 0, colors, divided)
    return result


def _metadata(page: TiffPage, data: bytes) -> Metadata:
    tags = page.tags
    per_inch = _PER_INCH.get(int(tags[296].value) if 296 in tags else 2)
    dpi = None
    if 282 in tags and 283 in tags and per_inch:
        dpi = metadata.resolution([_quotient(tags[tag].value) for tag in (282, 283)], per_inch)
    return Metadata(
        icc=_bytes(tags, _ICC),
        exif=_exif(page, data),
        xmp=_bytes(tags, _XMP),
        dpi=dpi,
    )


def _quotient(value: Any) -> float | None:
    try:
        return float(value[0]) / float(value[1])
    except (TypeError, ValueError, ZeroDivisionError, IndexError):
        return None


def _bytes(tags: Any, tag: int) -> bytes:
    value = tags[tag].value if tag in tags else b""
    return value if isinstance(value, bytes) else bytes(value) if isinstance(value, (tuple, list)) else b""


def _exif(page: TiffPage, data: bytes) -> bytes:
    """Gather what of the first directory is Exif, and the directories of Exif and GPS, as Exif of their own."""
    parsed = Image.Exif()
    try:
        parsed.endian = "<" if data.startswith(b"II") else ">"
        whole = Image.Exif()
        whole.load(b"Exif\0\0" + data)
        for tag in _SHOOTING:
            # NOTE: tifffile describes arrays there, and would take its own word for the next one.
            if tag in whole and not str(whole[tag]).startswith('{"shape"'):
                parsed[tag] = whole[tag]
        for tag in (_EXIF, _GPS):
            if found := whole.get_ifd(tag):
                parsed.get_ifd(tag).update(found)
        lies = page.tags[274].value if 274 in page.tags else metadata.UPRIGHT
        if lies != metadata.UPRIGHT or dict(parsed) or parsed.get_ifd(_EXIF) or parsed.get_ifd(_GPS):
            parsed[metadata.ORIENTATION] = int(lies)
            return parsed.tobytes().removeprefix(b"Exif\0\0")
    except Exception:  # damaged directories make the parser raise whatever comes
        return b""
    return b""


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
            extra.append((tag, 2, 0, text.encode("utf-8", "replace"), True))
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
    for tag, value in dict(values).items():
        if not isinstance(value, dict):
            directory[tag] = value
    return directory.tobytes(offset)
