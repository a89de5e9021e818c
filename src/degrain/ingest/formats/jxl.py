"""JPEG XL files: what their header says, and pixels by libjxl.

Source: ISO/IEC 18181-1:2022, annexes A and D (codestream header), and 18181-2, annex A (boxes).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import imagecodecs
import numpy as np

from degrain.errors import DataError, OutputError
from degrain.ingest.formats import boxes, depths, light, metadata, sizes
from degrain.ingest.formats.depths import White
from degrain.ingest.formats.picture import Metadata, Picture
from degrain.pixels import Light, to_16_bits

SIGNATURES = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
# Bytes of Exif or XMP, unpacked.
_MOST_TEXT = 1 << 24
_BOXES = (b"JXL ", b"ftyp", b"jxll", b"jxlc", b"jxlp", b"jxli", b"jbrd", b"Exif", b"xml ", b"brob", b"free", b"skip")
# Of white; lossy floating-point values go so far beyond black and white.
_RINGING = 0.1
# Primaries and transfer function, of ITU-T H.273.
LINEAR_SRGB = (1, 8)
# Bytes in which a header lies, however it is made up.
_LONGEST_HEADER = 8192
# Ratios of width to height that are numbered.
_RATIOS = ((1, 1), (6, 5), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_ALPHA, _XYB, _GRAY, _CUSTOM, _SRGB_PRIMARIES, _SRGB_CURVE, _LINEAR_CURVE = 0, 2, 1, 2, 1, 13, 8
# P3 here is either of two in ITU-T H.273, by its white.
_P3, _DISPLAY_P3, _D65 = 11, 12, 1

# Each way to write a number: (bits, what is added).
_SIDE = ((9, 1), (13, 1), (18, 1), (30, 1))
_ENUM = ((0, 0), (0, 1), (4, 2), (6, 18))
_BITS = ((0, 8), (0, 10), (0, 12), (6, 1))
_FLOAT_BITS = ((0, 32), (0, 16), (0, 24), (6, 1))
_COUNT = ((0, 0), (0, 1), (4, 2), (12, 1))
_SHIFT = ((0, 0), (0, 3), (0, 4), (3, 1))
_NAME = ((0, 0), (4, 0), (5, 16), (10, 48))
_CHROMATICITY = ((19, 0), (19, 524_288), (20, 1_048_576), (21, 2_097_152))


@dataclass(frozen=True)
class _Header:
    """What is said of the pixels."""

    width: int
    height: int
    bits: int = 8
    floating: bool = False
    animated: bool = False
    extra: tuple[int, ...] = ()  # kinds of channels beside color
    associated: bool = False
    profile: bool = False
    primaries: int = _SRGB_PRIMARIES  # in ITU-T H.273; 2 is "not specified"
    transfer: int = _SRGB_CURVE  # likewise
    gamma: float | None = None
    transfer_place: int = 0  # where the last bit of the transfer function ends, counted from the header's first


class _Bits:
    """A stream of bits, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._end = int.from_bytes(data[:_LONGEST_HEADER], "little"), 8 * min(len(data), _LONGEST_HEADER)
        self.place = 0

    def number(self, bits: int) -> int:
        value = self._value >> self.place & ((1 << bits) - 1)
        self.place += bits
        if self.place > self._end:
            raise ValueError("its header is not whole")
        return value

    def flag(self) -> bool:
        return bool(self.number(1))

    def one_of(self, ways: tuple[tuple[int, int], ...]) -> int:
        bits, added = ways[self.number(2)]
        return self.number(bits) + added


def decode(data: bytes, name: str, white: White = depths.OF_FORMAT) -> Picture:
    """Decode a JPEG XL file.

    Args:
        data: The whole file.
        name: What messages call it.
        white: Where white lies in files of 16 bits.

    Returns:
        Gray or RGB of 8 or 16 bits, upright.

    Raises:
        DataError: It is damaged, too large, animated, or of a kind that is not supported.
    """
    try:
        header = _header(_codestream(data))
        _refuse(header, name)
        sizes.check(header.width, header.height, name)
        values = imagecodecs.jpegxl_decode(data)
    except DataError:
        raise
    except Exception as error:  # libjxl's errors, and whatever damaged headers raise
        raise DataError(f"{name} is damaged: {' '.join(str(error).split())}") from error
    values = values if values.ndim == 3 else values[..., None]
    if {values.shape[0], values.shape[1]} != {header.width, header.height} or values.shape[2] > 4:
        raise DataError(f"{name} is damaged: its pixels are not those that its header announces")
    kept, notes = _metadata(data, header, values)
    stands_for = _light(header, name)
    if header.floating:
        top = white.given or 1
        cut = np.clip(values, 0, top)
        if np.abs(values - cut).max(initial=0) <= _RINGING * top:
            notes += ("values beyond black and white were cut",) if not np.array_equal(values, cut) else ()
            values = cut
        colors, alpha = depths.apart(depths.from_floats(values, white.given, name))
        picture = Picture(colors, alpha, white=depths.FULL)
        notes += ("its floating-point values became 16 bits",)
    elif header.bits == 16:
        picture = depths.picture(*depths.apart(values), white, name)
    else:
        colors, alpha = depths.apart(depths.whole(values, header.bits))
        picture = Picture(colors, alpha, white=depths.FULL if header.bits > 8 else None)
        notes += depths.ignored(white, 2**header.bits - 1) if header.bits > 8 else ()
    if header.associated:
        picture = depths.unmultiplied(picture)
    return replace(picture, metadata=kept, light=stands_for, notes=notes + picture.notes)


def _codestream(data: bytes) -> bytes:
    if data.startswith(SIGNATURES[0]):
        return data
    parts = boxes.find(data, b"jxlc") or [part[4:] for part in boxes.find(data, b"jxlp")]
    if not parts:
        raise ValueError("it has no picture")
    return b"".join(parts)


def _header(stream: bytes) -> _Header:
    bits = _Bits(stream[2:])
    width, height = _size(bits)
    if bits.flag():
        return _Header(width, height)
    if bits.flag():
        bits.number(3)  # orientation, which libjxl sees to
        if bits.flag():
            _size(bits)
        if bits.flag():
            raise ValueError("its header has a preview, which is not supported")
        if bits.flag():
            return _Header(width, height, animated=True)
    floating, depth = _depth(bits)
    bits.flag()  # whether 16 bits are enough to decode it
    extra = [_extra(bits) for _ in range(bits.one_of(_COUNT))]
    bits.flag()  # whether it is kept as XYB
    profile, primaries, transfer, gamma, place = _colors(bits)
    return _Header(
        width,
        height,
        bits=depth,
        floating=floating,
        extra=tuple(kind for kind, _ in extra),
        associated=any(associated for _, associated in extra),
        profile=profile,
        primaries=primaries,
        transfer=transfer,
        gamma=gamma,
        transfer_place=place,
    )


def _size(bits: _Bits) -> tuple[int, int]:
    by_eight = bits.flag()

    def side() -> int:
        return 8 * (bits.number(5) + 1) if by_eight else bits.one_of(_SIDE)

    height, ratio = side(), bits.number(3)
    if not ratio:
        return side(), height
    across, down = _RATIOS[ratio - 1]
    return height * across // down, height


def _depth(bits: _Bits) -> tuple[bool, int]:
    """Whether values are floating-point, and their bits."""
    if not bits.flag():
        return False, bits.one_of(_BITS)
    depth = bits.one_of(_FLOAT_BITS)
    bits.number(4)
    return True, depth


def _extra(bits: _Bits) -> tuple[int, bool]:
    """The kind of an extra channel, and whether colors are multiplied by it."""
    if bits.flag():
        return _ALPHA, False
    kind = bits.one_of(_ENUM)
    _depth(bits)
    bits.one_of(_SHIFT)
    for _ in range(bits.one_of(_NAME)):
        bits.number(8)
    # NOTE: what others have beside that is of no interest: they are refused.
    return kind, kind == _ALPHA and bits.flag()


def _colors(bits: _Bits) -> tuple[bool, int, int, float | None, int]:
    """Whether there is an ICC profile, primaries and transfer function in ITU-T H.273, gamma, and where that ends."""
    if bits.flag():
        return False, _SRGB_PRIMARIES, _SRGB_CURVE, None, 0
    if bits.flag():
        return True, _CUSTOM, _CUSTOM, None, 0
    space, primaries, point = bits.one_of(_ENUM), _SRGB_PRIMARIES, _D65
    if space != _XYB:
        point = _chromaticities(bits, 1)
        if space != _GRAY:
            primaries = _chromaticities(bits, 3)
    if primaries == _P3 and point == _D65:
        primaries = _DISPLAY_P3
    if bits.flag():
        return False, primaries, _CUSTOM, bits.number(24) / 1e7, 0
    return False, primaries, bits.one_of(_ENUM), None, bits.place


def _chromaticities(bits: _Bits, colors: int) -> int:
    kind = bits.one_of(_ENUM)
    if kind == _CUSTOM:
        for _ in range(2 * colors):
            bits.one_of(_CHROMATICITY)
    return kind


def _refuse(header: _Header, name: str) -> None:
    if header.animated:
        raise DataError(f"{name} is an animation; only single images are supported")
    if any(kind != _ALPHA for kind in header.extra) or len(header.extra) > 1:
        raise DataError(f"{name} has {len(header.extra)} extra channels; one is supported, alpha")
    if header.profile:
        raise DataError(f"{name} has a color profile in JPEG XL, which cannot be read; save it as PNG or TIFF")
    if not header.floating and header.bits > 16:
        raise DataError(f"{name} has {header.bits} bits a channel; 1 to 16 are supported")


def _light(header: _Header, name: str) -> Light:
    if header.gamma is None:
        return light.of_transfer(header.transfer, name)
    return light.of_exponent(1 / max(header.gamma, 1e-3), "gamma", name)


def _metadata(data: bytes, header: _Header, values: np.ndarray) -> tuple[Metadata, tuple[str, ...]]:
    if data.startswith(SIGNATURES[0]):
        data = b""  # a bare codestream has no boxes
    found = {kind: boxes.find(data, kind) for kind in (b"Exif", b"xml ")}
    notes: tuple[str, ...] = ()
    for packed in boxes.find(data, b"brob"):
        try:
            unpacked = bytes(imagecodecs.brotli_decode(packed[4:], out=_MOST_TEXT))
        except imagecodecs.BrotliError:
            notes = ("metadata that cannot be unpacked are left out",)
        else:
            found.setdefault(packed[:4], []).append(unpacked)
    # NOTE: a number of bytes to skip stands before it.
    box = next(iter(found.get(b"Exif", [])), b"")
    exif = box[4 + int.from_bytes(box[:4], "big") :].removeprefix(b"Exif\0\0")
    # NOTE: the codestream says how the picture lies, and libjxl has turned it; Exif does not count.
    exif = b"" if metadata.is_empty(exif) else exif
    upright = metadata.for_upright(exif, values.shape[1], values.shape[0]) if exif else b""
    notes += (metadata.BROKEN_EXIF,) if exif and not upright else ()
    others = {kind for kind, *_ in boxes.walk(data)} - set(_BOXES)
    if others:
        notes += (f"boxes ({', '.join(sorted(kind.decode('ascii', 'replace') for kind in others))}) are left out",)
    plain = header.gamma is None and (header.primaries, header.transfer) == (_SRGB_PRIMARIES, _SRGB_CURVE)
    kept = Metadata(
        exif=upright,
        xmp=metadata.xmp_for_upright(next(iter(found.get(b"xml ", [])), b"")),
        gamma=header.gamma,
        cicp=() if plain or header.gamma else (header.primaries, header.transfer, 0, 1),
    )
    if header.primaries == _CUSTOM or (header.gamma and header.primaries != _SRGB_PRIMARIES):
        notes += ("its primary colors are left out",)
    return kept, notes


def unfit(kept: Metadata) -> list[str]:
    """Return the names of what cannot be said: of a color space only the curve can be, for colors of sRGB."""
    return [] if kept.cicp[:2] == LINEAR_SRGB else ["cicp"]


def encode(values: np.ndarray, kept: Metadata) -> bytes:
    """Encode gray or RGB values, alpha last where there is one, of 8 or 16 bits, without loss.

    Args:
        values: (height, width, 1 to 4) uint8 or uint16.
        kept: Exif and XMP are written beside them; of a color space, whether it is linear.
    """
    linear = kept.cicp[:2] == LINEAR_SRGB
    if linear:
        values = to_16_bits(values)  # of 8 bits imagecodecs says sRGB in so few bits that nothing else fits there
    plain = bytes(
        imagecodecs.jpegxl_encode(
            np.ascontiguousarray(values[..., 0] if values.shape[2] == 1 else values),
            lossless=True,
            effort=3,
            usecontainer=True,
        )
    )
    beside = boxes.box(b"Exif", b"\0\0\0\0" + kept.exif) if kept.exif else b""
    beside += boxes.box(b"xml ", kept.xmp) if kept.xmp else b""
    # NOTE: the picture may be the last box, of unknown length: what is beside it stands before it.
    first = next(start for kind, start, _ in boxes.walk(plain) if kind == b"jxlc")
    return plain[: first - 8] + beside + plain[first - 8 : first] + _with_curve(plain[first:], linear)


def _with_curve(stream: bytes, linear: bool) -> bytes:
    """Say which light the values of a codestream are; imagecodecs says linear of all that have 16 bits."""
    wanted, header = _LINEAR_CURVE if linear else _SRGB_CURVE, _header(stream)
    if header.transfer == wanted:
        return stream
    place = header.transfer_place - _ENUM[2][0]
    if not header.transfer_place:
        raise OutputError("libjxl wrote a header that says nothing of its curve")
    # NOTE: both curves are written in the third way of _ENUM, with so many bits.
    changed = (header.transfer - _ENUM[2][1] ^ wanted - _ENUM[2][1]) << place
    length = _LONGEST_HEADER
    begin = int.from_bytes(stream[2 : 2 + length], "little") ^ changed
    return stream[:2] + begin.to_bytes(len(stream[2 : 2 + length]), "little") + stream[2 + length :]
