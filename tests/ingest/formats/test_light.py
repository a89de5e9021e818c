"""Which light values stand for, in every format and every way of saying it: linear, close to sRGB, or refused."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from degrain.errors import DataError
from degrain.ingest.formats import jxl, light, others, reading, writing
from degrain.ingest.formats.picture import Metadata, Picture
from tests.conftest import picture
from tests.ingest.formats import profiles
from tests.ingest.formats.test_meaning import chunk, png

RGB = picture(0, 37, 53)
GRAY = picture(1, 37, 53, channels=1)
CURVES = [
    *((curve, "linear") for curve in profiles.LINEAR.values()),
    *((curve, "srgb") for curve in profiles.LIKE_SRGB.values()),
    *((curve, None) for curve in profiles.NEITHER.values()),
]
NAMES = [*profiles.LINEAR, *profiles.LIKE_SRGB, *profiles.NEITHER]
TRANSFERS = {
    1: "srgb",
    2: "srgb",
    6: "srgb",
    8: "linear",
    13: "srgb",
    14: "srgb",
    16: None,
    17: "srgb",
    18: None,
    10: None,
    0: None,
}


def read_or_refused(data: bytes) -> str | None:
    try:
        return reading.decode(data, "x").light
    except DataError as error:
        told = str(error)
    assert "only linear light and curves close to" in told or "sRGB and linear light are" in told
    return None


def saved(kind: str, pixels: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    if kind == "TIFF":
        tifffile.imwrite(buffer, pixels.squeeze(), iccprofile=options.get("icc_profile"))
    else:
        Image.fromarray(pixels.squeeze()).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("curve", "expected"), CURVES, ids=NAMES)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF", "BMP"])
@pytest.mark.parametrize("gray", [False, True], ids=["rgb", "gray"])
def test_a_profile_is_known_by_its_curve_in_every_format(
    kind: str, curve: bytes, expected: str | None, gray: bool
) -> None:
    icc = profiles.profile(curve, gray)
    pixels = GRAY if gray else RGB
    data = bmp(icc) if kind == "BMP" else saved(kind, pixels, icc_profile=icc)
    assert read_or_refused(data) == expected


def bmp(icc: bytes = b"", gamma: float = 0.0, points: bytes = b"") -> bytes:
    """A BMP of version 5 with an embedded profile, or calibrated."""
    pixels = RGB[::-1, :, ::-1]
    rows = b"".join(row.tobytes() + b"\0" * (-3 * 53 % 4) for row in pixels)
    header = struct.pack("<IiiHHIIiiII", 124, 53, 37, 1, 24, 0, len(rows), 2835, 2835, 0, 0) + bytes(16)
    header += (
        (b"DEBM" if icc else b"\0\0\0\0") + points.ljust(36, b"\0") + struct.pack("<3I", *[round(gamma * 65536)] * 3)
    )
    header += struct.pack("<IIII", 4, 124 + len(rows), len(icc), 0)
    return b"BM" + struct.pack("<IHHI", 138 + len(rows) + len(icc), 0, 0, 138) + header + rows + icc


@pytest.mark.parametrize(("gamma", "expected"), [(0, "srgb"), (1, "linear"), (2.2, "srgb"), (0.4, None), (5, None)])
def test_the_gamma_of_a_calibrated_bmp_is_read(gamma: float, expected: str | None) -> None:
    assert np.array_equal(reading.decode(bmp(), "x").pixels, RGB)
    assert read_or_refused(bmp(gamma=gamma)) == expected
    assert reading.decode(bmp(points=b"\1"), "x").notes == ("its primary colors are left out",)


@pytest.mark.parametrize(
    ("gamma", "expected"),
    [(0.45455, "srgb"), (0.5, "srgb"), (0.55556, "srgb"), (1.0, "linear"), (2.2, None), (0.00001, None), (0.2, None)],
)
def test_the_gamma_of_a_png_is_read(gamma: float, expected: str | None) -> None:
    chunk = (b"gAMA", struct.pack(">I", round(gamma * 100_000)))
    data = png(RGB.astype(np.uint16), 8, 2, chunk)
    assert read_or_refused(data) == expected
    assert reading.decode(png(RGB.astype(np.uint16), 8, 2, chunk, (b"sRGB", b"\0")), "x").light == "srgb"


@pytest.mark.parametrize(
    ("kind", "transfer"),
    # NOTE: JPEG XL has fewer of them.
    [(kind, transfer) for kind in ("PNG", "AVIF") for transfer in TRANSFERS]
    + [("JXL", transfer) for transfer in (8, 13, 16, 17)],
)
def test_the_transfer_function_is_read(kind: str, transfer: int) -> None:
    if kind == "PNG":
        data = png(RGB.astype(np.uint16), 8, 2, (b"cICP", bytes([1, transfer, 0, 1])))
    elif kind == "AVIF":
        data = others.encode_avif(RGB, Metadata(cicp=(1, transfer, 0, 1)))
    else:
        data = with_transfer(transfer)
    assert read_or_refused(data) == TRANSFERS[transfer]


def with_transfer(transfer: int) -> bytes:
    """A JPEG XL file whose header names the curve; all from 2 to 17 take as many bits."""
    stream = jxl.encode(RGB.astype(np.uint16) * 257, Metadata(cicp=(1, 8, 0, 1)))
    start = stream.index(b"jxlc") + 4
    header = jxl._header(stream[start:])
    changed = (6 ^ transfer - 2) << header.transfer_place - 4
    bits = int.from_bytes(stream[start + 2 :], "little") ^ changed
    return stream[: start + 2] + bits.to_bytes(len(stream) - start - 2, "little")


def test_values_of_limited_range_are_refused() -> None:
    with pytest.raises(DataError, match="not RGB of full range"):
        reading.decode(png(RGB.astype(np.uint16), 8, 2, (b"cICP", b"\1\x0d\0\0")), "x")


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("exponent", "expected"), [(1, "linear"), (2.2, "srgb"), (0.5, None), (6, None)])
def test_the_transfer_function_of_a_tiff_is_read(
    bits: int, channels: int, exponent: float, expected: str | None
) -> None:
    pixels = (RGB if channels == 3 else GRAY).astype(np.uint16) * 257 if bits == 16 else RGB[..., :channels]
    curve = np.rint(np.linspace(0, 1, 2**bits) ** exponent * 65_535).astype(np.uint16)
    tables = np.tile(curve, channels)
    buffer = io.BytesIO()
    tag = (301, "H", len(tables), tables.tolist(), True)
    tifffile.imwrite(buffer, pixels.squeeze(), photometric="rgb" if channels == 3 else "minisblack", extratags=[tag])
    assert read_or_refused(buffer.getvalue()) == expected


@pytest.mark.parametrize(("exponent", "expected"), [(1, "linear"), (2.2, "srgb"), (6, None)])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_the_gray_response_curve_of_a_tiff_is_read(exponent: float, expected: str | None, photometric: str) -> None:
    values = np.linspace(1 / 256, 1, 256) ** exponent
    densities = np.rint(np.minimum(-np.log10(values) * 1000, 65_535)).astype(np.uint16)
    if photometric == "miniswhite":
        densities = densities[::-1]
    buffer = io.BytesIO()
    tags = [(290, "H", 1, 3, True), (291, "H", 256, densities.tolist(), True)]
    tifffile.imwrite(buffer, GRAY.squeeze(), photometric=photometric, extratags=tags)
    assert read_or_refused(buffer.getvalue()) == expected


def test_a_profile_that_cannot_be_read_is_left_out_and_that_is_said() -> None:
    for kind in ("PNG", "JPEG", "TIFF", "WEBP", "AVIF"):
        read = reading.decode(saved(kind, RGB, icc_profile=b"no profile at all" * 20), kind)
        assert read.notes == ("its color profile is damaged and left out",), kind
        assert read.metadata.icc == b""
    broken = png(RGB.astype(np.uint16), 8, 2, (b"iCCP", b"x\0\0" + zlib.compress(b"a" * 99)[:9]))
    assert reading.decode(broken, "x").notes == ("its color profile is damaged and left out",)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF", "BMP"])
@pytest.mark.parametrize("place", [4, 8, 12, 16, 20, 36, 64, 128, 132, 136])
def test_a_profile_with_damage_in_its_header_is_kept_or_left_out_and_the_picture_is_read(kind: str, place: int) -> None:
    whole = profiles.profile(profiles.power(2.2))
    for value in (b"\xff\xff\xff\xff", b"RG\xc7 ", b"\0\0\0\0"):
        icc = whole[:place] + value + whole[place + 4 :]
        read = reading.decode(bmp(icc) if kind == "BMP" else saved(kind, RGB, icc_profile=icc), "x")
        assert read.pixels.shape == RGB.shape
        left_out = read.notes == ("its color profile is damaged and left out",)
        assert left_out or read.metadata.icc == icc
        assert left_out or place != 16


def test_profiles_of_other_colors_say_nothing_of_light() -> None:
    cmyk = profiles.profile(profiles.power(1)).replace(b"RGB XYZ", b"CMYKXYZ")
    assert light.of_profile(cmyk, "x") == "srgb"


@pytest.mark.parametrize("suffix", [".png", ".tif", ".avif", ".jxl", ".jpg", ".webp", ".bmp", ".ppm"])
@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (Metadata(cicp=(12, 13, 0, 1)), "color space"),
        (Metadata(cicp=(1, 8, 0, 1)), "color space"),
        (Metadata(cicp=(1, 13, 0, 1)), ""),
        (Metadata(primaries=(0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)), "primary colors"),
        (Metadata(gamma=1.0), "gamma"),
        (Metadata(texts=chunk(b"tEXt", b"Title\0Cat")), "texts"),
        (Metadata(comment=b"a comment"), "comment"),
    ],
)
def test_what_describes_colors_is_written_or_said_to_be_lost(
    tmp_path: Path, suffix: str, kept: Metadata, words: str
) -> None:
    told = "; ".join(writing.write(tmp_path / f"x{suffix}", Picture(RGB, metadata=kept)))
    again = reading.read(tmp_path / f"x{suffix}").metadata
    name = next(name for name in ("cicp", "primaries", "gamma", "texts", "comment") if getattr(kept, name))
    if told or not words:
        assert told == (f"{words} {'are' if words.endswith('s') else 'is'} lost" if words else "")
        assert words == "" or not getattr(again, name)
    else:
        assert getattr(again, name) == pytest.approx(getattr(kept, name))
    holding = {
        "cicp": (".png", ".avif", ".jxl") if kept.cicp[:2] == (1, 8) else (".png", ".avif"),
        "primaries": (".png", ".tif"),
        "gamma": (".png", ".tif"),
        "texts": (".png",),
        "comment": (".jpg",),
    }[name]
    assert bool(told) == (suffix not in holding and words != "")


LINEAR_LIGHT = {
    "nothing said": Metadata(),
    "gamma": Metadata(gamma=1.0),
    "profile": Metadata(icc=profiles.profile(profiles.power(1))),
    "sRGB": Metadata(cicp=(1, 8, 0, 1)),
    "P3": Metadata(cicp=(12, 8, 0, 1)),
    "profile and space": Metadata(icc=profiles.profile(profiles.power(1)), cicp=(12, 8, 0, 1)),
}


@pytest.mark.parametrize("suffix", writing.FORMATS)
@pytest.mark.parametrize("said", LINEAR_LIGHT)
@pytest.mark.parametrize("deep", [False, True], ids=["8 bits", "16 bits"])
def test_linear_light_is_written_as_such_or_said_to_be_lost(tmp_path: Path, suffix: str, said: str, deep: bool) -> None:
    pixels = RGB.astype(np.uint16) * 257 if deep else RGB
    lost = writing.write(tmp_path / f"x{suffix}", Picture(pixels, metadata=LINEAR_LIGHT[said], light="linear"))
    read = reading.read(tmp_path / f"x{suffix}")
    assert (read.light == "srgb") == ("that its values are linear light is lost" in lost)
    assert ("8 bits became 16" in lost) == (read.pixels.dtype == np.uint16 and not deep)
    if suffix in (".png", ".tif", ".tiff", ".avif", ".jxl"):
        assert read.light == "linear"
    if suffix in (".png", ".tif") and said == "nothing said":
        assert lost == ()


@pytest.mark.parametrize("suffix", [".png", ".avif", ".tif"])
def test_of_a_profile_and_a_color_space_the_one_that_counts_is_written(tmp_path: Path, suffix: str) -> None:
    both = Metadata(icc=profiles.profile(profiles.power(2.2)), cicp=(12, 13, 0, 1))
    lost = writing.write(tmp_path / f"x{suffix}", Picture(RGB, metadata=both))
    kept = reading.read(tmp_path / f"x{suffix}").metadata
    assert lost == {".png": (), ".avif": ("color profile is lost",), ".tif": ("color space is lost",)}[suffix]
    assert kept.cicp == (() if suffix == ".tif" else both.cicp)
