"""Camera raw files: DNG and whatever else LibRaw reads (CR2, CR3, NEF, ARW, ORF, RW2, RAF, PEF, ...).

LibRaw decodes in C, in this process. Damage that it notices is an error here; what a hostile file could do to it is not
contained. A headerless dump of sensor values (as some .raw files are) cannot be read: nothing in it says its shape.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from degrain.errors import DataError
from degrain.ingest.formats import archives, metadata, sizes, tiff_tags
from degrain.ingest.formats.bayer import PATTERNS, pack_bayer, positions
from degrain.ingest.formats.picture import Metadata, Picture
from degrain.pixels import Light

if TYPE_CHECKING:
    from rawpy import RawPy

__all__ = ["SUFFIXES", "Mode", "pack_bayer", "read"]

Mode = Literal["srgb", "linear", "bayer"]

SUFFIXES = tuple(
    f".{name}"
    for name in (
        *("3fr", "arw", "cr2", "cr3", "crw", "dcr", "dng", "erf", "iiq", "kdc", "mef", "mos", "mrw", "nef", "nrw"),
        *("orf", "pef", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw", "x3f"),
    )
)

# NOTE: without these LibRaw takes a headerless dump for some camera's whose files have as many bytes, and shows noise.
_SIGNATURES = (
    *(b"II*\0", b"MM\0*"),  # DNG and whatever else is built like a TIFF
    *(b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"II\x1a\0", b"IIII", b"MMMM"),  # Olympus, Panasonic, Canon CRW, Phase One
    *(b"FUJIFILM", b"\0MRM", b"FOVb"),  # Fuji, Minolta, Sigma
)
_UNKNOWN = "is no camera raw file that LibRaw can read; a headerless dump of sensor values is not supported"
_WHITE = 65535
_ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}  # LibRaw's flip -> Exif
_EXIF_ORIENTATION = 0x0112
_MAKE, _MODEL, _ISO, _DNG_VERSION = 271, 272, 34855, 50706
_EXIF, _GPS, _XMP, _MAKER_NOTES, _EXPOSURE_TIME = 34665, 34853, 700, 37500, 33434
# Tags of the first directory that are kept: what, with which program, when, who.
_SHOOTING = (270, 305, 306, 315, 316, 33432)
# Those that belong to the directory of Exif; TIFF/EP puts them into the first one.
_EXPOSURE = (33434, 33437, 34850, 34855, 36867, *range(37377, 37387), 37396, 41989, 42033, 42034, 42035, 42036)
# What follows the byte order: of TIFF, Olympus and Panasonic.
_LIKE_TIFF = (b"*\0", b"\0*", b"RO", b"RS", b"OR", b"U\0")
_SRGB_GAMMA = (2.4, 12.92)
_LINEAR_GAMMA = (1.0, 1.0)


def read(source: Path | bytes, mode: Mode = "srgb", name: str = "") -> Picture:
    """Decode a camera raw file, cropped to the visible area.

    The pixels stay as the sensor lies, in every mode, so that all modes of a file and all frames of a burst fit on each
    other; how to turn the picture is in shooting["orientation"] and, where colors are rendered, in its Exif.

    Args:
        source: A file, or its bytes.
        mode: "srgb" renders as a camera does: demosaiced (AHD), the camera's white balance, sRGB colors and curve,
            uint8. Brightness is not fitted to the picture, so that noisy and clean frames keep fitting together.
            "linear" does the same in linear light, uint16: 65535 is the white level of the color that the
            balance raises least, usually green, and others are clipped there.
            "bayer" does not demosaic: the mosaic, black level 0 and white level 65535, clipped, as
            uint16 (height / 2, width / 2, 4) in the order R, G1, G2, B; see `bayer.pack_bayer`.
        name: What messages call it; by default the path.

    Returns:
        The picture; its `shooting` has make, model, iso, exposure, black_levels, white_level, cfa, white_balance,
        orientation, width and height.

    Raises:
        DataError: The file is missing, damaged, truncated, no camera raw file, too large, or, in mode "bayer", not
            from a sensor with a Bayer mosaic.
    """
    name = name or (str(source) if isinstance(source, Path) else "the camera raw file")
    data = _bytes(source)
    with _decoded(data, name) as raw:
        shooting = _metadata(raw, data)
        light: Light = "srgb" if mode == "srgb" else "linear"
        if mode == "bayer":
            return Picture(_bayer(raw, name), light=light, shooting=shooting)
        kept, notes = _kept(data, shooting)
        return Picture(_rendered(raw, mode), None, kept, light=light, notes=notes, shooting=shooting)


def _bytes(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else archives.contents(source)


@contextmanager
def _decoded(data: bytes, name: str) -> Iterator[RawPy]:
    """Open and unpack; turn LibRaw's errors into one line."""
    import rawpy

    if not (data.startswith(_SIGNATURES) or data[4:8] == b"ftyp"):
        raise DataError(f"{name} {_UNKNOWN}")
    _check_whole(data, name)
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            sizes.check(raw.sizes.raw_width, raw.sizes.raw_height, name)
            raw.unpack()
            yield raw
    except rawpy.LibRawFileUnsupportedError:
        raise DataError(f"{name} {_UNKNOWN}") from None
    except (rawpy.LibRawError, rawpy.NotSupportedError, NotImplementedError, RuntimeError, OSError) as error:
        raise DataError(f"{name} is damaged: {_line(error)}") from error


def _check_whole(data: bytes, name: str) -> None:
    """Refuse a DNG that is cut off; LibRaw does not miss a single last byte. Other formats are less truthful."""
    parts = tiff_tags.directories(data)
    if parts and _DNG_VERSION in parts[0] and max(map(tiff_tags.extent, parts)) > len(data):
        raise DataError(f"{name} is truncated")


def _line(error: Exception) -> str:
    text = error.args[0].decode("utf-8", "replace") if error.args and isinstance(error.args[0], bytes) else str(error)
    return " ".join(text.split())


def _rendered(raw: RawPy, mode: Mode) -> np.ndarray:
    import rawpy

    linear = mode == "linear"
    return np.array(
        raw.postprocess(
            # NOTE: a camera that did not record its balance must not get one fitted to the picture.
            use_camera_wb=raw.camera_whitebalance[0] > 0,
            output_color=rawpy.ColorSpace.sRGB,
            output_bps=16 if linear else 8,
            gamma=_LINEAR_GAMMA if linear else _SRGB_GAMMA,
            no_auto_bright=True,
            adjust_maximum_thr=0.0,
            user_flip=0,
        )
    )


def _bayer(raw: RawPy, name: str) -> np.ndarray:
    pattern = _pattern(raw)
    if pattern is None:
        raise DataError(f"{name} has no Bayer mosaic (its sensor is {_sensor(raw)}); read it with raw: linear or srgb")
    packed = pack_bayer(raw.raw_image_visible, pattern)
    levels = _black_levels(raw, pattern)
    return np.stack([_scale(black, raw.white_level)[packed[..., i]] for i, black in enumerate(levels)], axis=-1)


def _scale(black: float, white: float) -> np.ndarray:
    """Return the table from sensor values to 0..65535: uint16 (65536,)."""
    values = (np.arange(_WHITE + 1) - black) * (_WHITE / max(white - black, 1))
    table: np.ndarray = np.rint(np.clip(values, 0, _WHITE)).astype(np.uint16)
    return table


def _cell(raw: RawPy) -> np.ndarray | None:
    """Return LibRaw's numbers of the colors of the visible area's repeating cell, or None if it has no mosaic."""
    pattern = raw.raw_pattern
    return None if pattern is None else np.roll(pattern, (-raw.sizes.top_margin, -raw.sizes.left_margin), (0, 1))


def _pattern(raw: RawPy) -> str | None:
    cell = _cell(raw)
    if cell is None or cell.shape != (2, 2):
        return None
    letters = "".join(chr(raw.color_desc[number]) for number in cell.flat).lower()
    return letters if letters in PATTERNS else None


def _sensor(raw: RawPy) -> str:
    cell = _cell(raw)
    if cell is None:
        return "layered, or its picture already demosaiced"
    known = {(1, 1): "monochrome", (6, 6): "an X-Trans"}
    return known.get(cell.shape, f"a mosaic of {raw.color_desc.decode('ascii', 'replace')}")


def _black_levels(raw: RawPy, pattern: str) -> list[float]:
    """Black levels of R, G1, G2 and B, which LibRaw keeps under its own numbers of the colors."""
    cell = _cell(raw)
    assert cell is not None  # noqa: S101  (there is a pattern)
    levels = raw.black_level_per_channel
    return [float(levels[cell.flat[place]]) for place in positions(pattern)]


def _metadata(raw: RawPy, data: bytes) -> dict[str, Any]:
    pattern = _pattern(raw)
    levels = raw.black_level_per_channel
    red, green, blue, second = raw.camera_whitebalance
    first = next(iter(tiff_tags.directories(data)), {})
    iso = first.get(_ISO, ())
    return {
        "make": first.get(_MAKE) or None,
        "model": first.get(_MODEL) or None,
        # NOTE: LibRaw looks for ISO in the Exif part only; Android's DNG files have it in the first directory.
        "iso": round(raw.other.iso_speed) or (iso[0] if iso else None),
        "exposure": float(raw.other.shutter_speed) or None,
        "black_levels": _black_levels(raw, pattern) if pattern else [float(levels[i]) for i in (0, 1, 3, 2)],
        "white_level": int(raw.white_level),
        "cfa": pattern,
        "white_balance": [value / green for value in (red, green, second or green, blue)]
        if min(red, green, blue) > 0
        else None,
        "orientation": _ORIENTATIONS.get(raw.sizes.flip, 1),
        "width": int(raw.sizes.width),
        "height": int(raw.sizes.height),
    }


def _kept(data: bytes, shooting: dict[str, Any]) -> tuple[Metadata, tuple[str, ...]]:
    """Gather what is to be kept of the directories of a file that is built like a TIFF, and say what is left out."""
    found = _directories(data)
    exif = Image.Exif()
    exif.update({tag: value for tag in _SHOOTING if (value := found.get(tag)) and not _is_blank(value)})
    exif.update({tag: shooting[name] for tag, name in ((_MAKE, "make"), (_MODEL, "model")) if shooting[name]})
    exif[_EXIF_ORIENTATION] = shooting["orientation"]
    detail = {tag: found[tag] for tag in _EXPOSURE if tag in found} | found.get_ifd(_EXIF)
    notes: tuple[str, ...] = ("its maker notes are left out",) if detail.pop(_MAKER_NOTES, None) else ()
    told = ((_ISO, "iso"), (_EXPOSURE_TIME, "exposure"))
    detail |= {tag: shooting[name] for tag, name in told if shooting[name] and tag not in detail}
    detail.pop(metadata.INTEROPERABILITY, None)  # where in the raw file it lies
    for tag, directory in ((_EXIF, detail), (_GPS, found.get_ifd(_GPS))):
        exif.get_ifd(tag).update(directory)
    if not dict(found):
        notes += ("its Exif is left out, but for camera, ISO and exposure",)
    if any(tag in found and not found.get_ifd(tag) for tag in (_EXIF, _GPS)):
        notes += (metadata.BROKEN_EXIF,)
    xmp = found.get(_XMP)
    try:
        return Metadata(exif=metadata.to_bytes(exif), xmp=xmp if isinstance(xmp, bytes) else b""), notes
    except Exception:  # a value that Pillow read and cannot write
        return Metadata(exif=_exif(shooting)), (metadata.BROKEN_EXIF,)


def _directories(data: bytes) -> Image.Exif:
    """Read the directories that Pillow knows; none where the file is not built like a TIFF, or they are damaged."""
    found = Image.Exif()
    order = {b"II": b"II*\0", b"MM": b"MM\0*"}.get(data[:2])
    if order is None or data[2:4] not in _LIKE_TIFF:
        return found
    try:
        with warnings.catch_warnings(action="ignore"):
            # NOTE: Olympus and Panasonic have a version of their own there.
            found.load(b"Exif\0\0" + order + data[4:])
            found.get_ifd(_EXIF), found.get_ifd(_GPS)
    except Exception:  # damaged directories make the parser raise whatever comes
        return Image.Exif()
    return found


def _is_blank(value: Any) -> bool:
    return isinstance(value, str) and not value.strip("\0 ")


def _exif(shooting: dict[str, Any]) -> bytes:
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = shooting["orientation"]
    for tag, name in ((_MAKE, "make"), (_MODEL, "model")):
        if shooting[name]:
            exif[tag] = shooting[name]
    return exif.tobytes().removeprefix(b"Exif\0\0")
