"""What samples mean: files of every layout that another library wrote are read as the pixels they were made of."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from degrain.errors import DataError
from degrain.ingest.formats import folders, metadata, overview, reading, writing
from degrain.ingest.formats.picture import Metadata, Picture
from tests.conftest import ROOT, picture

RGB = picture(0, 37, 53)
GRAY = picture(1, 37, 53, channels=1)
DEEP = RGB.astype(np.uint16) * 257 + np.arange(53, dtype=np.uint16)[:, None] % 5
DEEP_GRAY = GRAY.astype(np.uint16) * 257 - GRAY % 3


def tiff(values: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def layouts() -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """TIFF files of gray and color: depth x layout x compression x predictor x byte order."""
    packings = [
        {},
        {"rowsperstrip": 5},
        {"compression": "lzw", "predictor": True},
        {"compression": "zlib", "predictor": False},
        {"compression": "zlib", "tile": (16, 32), "predictor": True},
        {"compression": "packbits"},
        {"compression": "zstd"},
        {"compression": "lzma"},
        {"tile": (16, 16)},
        {"bigtiff": True},
    ]
    for pixels, packing, order in itertools.product((RGB, DEEP, GRAY, DEEP_GRAY), packings, "<>"):
        if pixels.shape[2] == 1:
            yield pixels, {"photometric": "minisblack", "byteorder": order, **packing}
            yield pixels, {"photometric": "miniswhite", "byteorder": order, **packing}
        else:
            for planar in ("contig", "separate"):
                yield pixels, {"photometric": "rgb", "planarconfig": planar, "byteorder": order, **packing}


@pytest.mark.parametrize(
    ("pixels", "options"),
    list(layouts()),
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_a_tiff_of_any_layout_is_read_as_what_it_was_made_of(pixels: np.ndarray, options: dict[str, Any]) -> None:
    values = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    if options.get("planarconfig") == "separate":
        values = np.moveaxis(values, 2, 0)
    if options["photometric"] == "miniswhite":
        values = np.iinfo(values.dtype).max - values
    read = reading.decode(tiff(values, **options), "x")
    assert np.array_equal(read.pixels, pixels)
    assert read.pixels.dtype == pixels.dtype
    assert read.alpha is None


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 10, 12, 14])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_fewer_bits_are_scaled_up(bits: int, photometric: str) -> None:
    top = 2**bits - 1
    values = (GRAY[..., 0].astype(int) * top // 255).astype(np.uint8 if bits <= 8 else np.uint16)
    packed = rows_of(values, bits)
    data = hand_made(values.shape, bits, int(photometric == "minisblack"), packed)
    shown = values if photometric == "minisblack" else top - values
    read = reading.decode(data, "x")
    white = 255 if bits <= 8 else 65535
    assert np.array_equal(read.pixels[..., 0], np.rint(shown * (white / top)))
    assert read.white in (None, 65535), "what is written has all its bits"


def rows_of(values: np.ndarray, bits: int) -> bytes:
    """Rows packed so that each begins with a byte."""
    dtype = np.uint8 if bits <= 8 else np.uint16
    return b"".join(imagecodecs.packints_encode(row.astype(dtype), bits) for row in values)


def hand_made(shape: tuple[int, ...], bits: int, photometric: int, data: bytes, **tags: int) -> bytes:
    """A TIFF of one strip with tags as given, which no library has had a hand in."""
    entries = {256: shape[1], 257: shape[0], 258: bits, 259: 1, 262: photometric, 277: 1, 278: shape[0]}
    entries |= {int(tag[1:]): value for tag, value in tags.items()}
    start = 8 + 2 + 12 * (len(entries) + 2) + 4
    entries |= {273: start, 279: len(data)}
    directory = struct.pack("<H", len(entries))
    for tag, value in sorted(entries.items()):
        directory += struct.pack("<HHII", tag, 4 if tag in (256, 257, 273, 278, 279) else 3, 1, value)
    return struct.pack("<2sHI", b"II", 42, 8) + directory + b"\0\0\0\0" + data


def test_bits_that_are_filled_from_the_other_end_are_turned() -> None:
    packed = rows_of(GRAY[..., 0] > 99, 1)
    turned = imagecodecs.bitorder_encode(packed)
    upright = reading.decode(hand_made(GRAY.shape, 1, 1, packed), "x").pixels
    assert np.array_equal(reading.decode(hand_made(GRAY.shape, 1, 1, turned, _266=2), "x").pixels, upright)
    assert np.array_equal(upright[..., 0], np.where(GRAY[..., 0] > 99, 255, 0))


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [
        (GRAY[..., 0].astype(np.int16), {}, "signed values"),
        (GRAY[..., 0].astype(np.int8), {}, "signed values"),
        (GRAY[..., 0].astype(np.complex64), {}, "complex values"),
        (GRAY[..., 0].astype(np.uint32), {}, "32 bits a channel; give the value of white"),
        (GRAY[..., 0].astype(np.uint64), {}, "64 bits a channel"),
        (GRAY[..., 0] / np.float32(2), {}, "has values from .* not from 0 to 1; give the value of white"),
        (GRAY[..., 0] / np.float32(-255), {}, "has values from"),
        (np.full((9, 9), np.nan, np.float32), {}, "NaN or infinity"),
        (np.stack([GRAY[..., 0]] * 3), {"photometric": "minisblack"}, "has 3 pages"),
        (
            np.zeros((9, 9, 5), np.uint8),
            {"photometric": "rgb", "planarconfig": "contig"},
            "5 channels, 2 of them extra",
        ),
        (np.zeros((9, 9, 4), np.uint16), {"photometric": "separated"}, "CMYK of 16 bits"),
        (np.zeros((9, 9, 3), np.uint8), {"photometric": "cielab"}, r"CIE L\*a\*b\*"),
        (np.zeros((9, 9, 3), np.uint8), {"photometric": "ycbcr", "subsampling": (1, 1)}, "YCbCr that is not packed"),
        (np.zeros((9, 9), np.uint8), {"photometric": "cfa"}, "a color filter array"),
        (np.zeros((4, 9, 9), np.uint8), {"photometric": "minisblack", "imagej": True}, "has a stack|has 4 pages"),
        (np.zeros((4, 16, 16), np.uint8), {"volumetric": True, "photometric": "minisblack"}, "volume of 4 slices"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_what_is_not_understood_is_refused_by_name(values: np.ndarray, options: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=f"x is .*{words}|x has .*{words}|x holds .*{words}|x.*{words}") as caught:
        reading.decode(tiff(values, **options), "x")
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("predictor", [False, True])
def test_floating_point_values_become_16_bits_and_that_is_said(dtype: type, predictor: bool) -> None:
    values = (RGB / 255).astype(dtype)
    read = reading.decode(tiff(values, photometric="rgb", compression="zlib", predictor=predictor), "x")
    assert read.pixels.dtype == np.uint16
    assert np.array_equal(read.pixels, np.rint(values.astype(float) * 65535))
    assert read.notes == ("its floating-point values became 16 bits, white being 1",)
    scaled = reading.decode(tiff(values * dtype(100), photometric="rgb"), "x", white=100)  # type: ignore[call-overload]
    assert np.abs(scaled.pixels - np.rint(values.astype(float) * 65535)).max() <= (40 if dtype == np.float16 else 1)


def test_pages_of_lower_resolution_and_masks_are_no_pages() -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(RGB, photometric="rgb")
        file.write(RGB[::2, ::2], photometric="rgb", subfiletype=1)
        file.write((GRAY[..., 0] > 99), photometric="mask", subfiletype=4)
    assert np.array_equal(reading.decode(buffer.getvalue(), "x").pixels, RGB)


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha", "unspecified"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_alpha_of_a_tiff_is_what_its_tag_says(kind: str, planar: str) -> None:
    alpha = np.maximum(GRAY[..., 0], 9)
    colors = np.rint(RGB * (alpha[..., None] / 255)).astype(np.uint8) if kind == "assocalpha" else RGB
    values = np.dstack([colors, alpha])
    data = tiff(
        np.moveaxis(values, 2, 0) if planar == "separate" else values,
        photometric="rgb",
        planarconfig=planar,
        extrasamples=[kind],
    )
    read = reading.decode(data, "x")
    assert read.alpha is not None
    assert np.array_equal(read.alpha, alpha)
    steps = 255 / alpha[..., None] / 2 + 1 if kind == "assocalpha" else 0
    assert (np.abs(read.pixels.astype(int) - RGB) <= steps).all()
    assert bool(read.notes) == (kind != "unassalpha")


@pytest.mark.parametrize("wide", [True, False])
def test_a_palette_is_looked_up(wide: bool) -> None:
    table = np.random.default_rng(0).integers(0, 256, (3, 256)).astype(np.uint16)
    data = tiff(GRAY[..., 0], photometric="palette", colormap=table * 257 if wide else table)
    read = reading.decode(data, "x")
    assert np.array_equal(read.pixels, table.T[GRAY[..., 0]])
    assert read.notes == ("its palette became RGB",)


def test_jpeg_within_tiff_is_read_as_its_colors() -> None:
    smooth = np.dstack([np.linspace(0, 255, 64 * 48).reshape(48, 64)] * 3).astype(np.uint8)
    smooth[..., 2] = 255 - smooth[..., 2]
    by_pillow = io.BytesIO()
    Image.fromarray(smooth).save(by_pillow, "TIFF", compression="jpeg", quality=98)
    for data in (
        tiff(smooth, photometric="rgb", compression="jpeg", compressionargs={"level": 98}),
        by_pillow.getvalue(),
    ):
        assert np.abs(reading.decode(data, "x").pixels.astype(int) - smooth).max() < 9


@pytest.mark.parametrize(
    "profile", [b"", ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()], ids=["no profile", "profile"]
)
def test_cmyk_becomes_rgb_and_that_is_said(profile: bytes) -> None:
    smooth = np.dstack([np.linspace(0, 255, 64 * 48).reshape(48, 64)] * 3).astype(np.uint8)
    for kind, options in (("TIFF", {}), ("JPEG", {"quality": 98})):
        buffer = io.BytesIO()
        Image.fromarray(smooth).convert("CMYK").save(buffer, kind, icc_profile=profile or None, **options)
        read = reading.decode(buffer.getvalue(), "x")
        assert np.abs(read.pixels.astype(int) - smooth).max() < 6
        said = ("its color profile is one of RGB and left out",) if profile else ()
        assert sorted(read.notes) == sorted((*said, "its CMYK became sRGB"))
        assert read.metadata.icc == b""


# ---- PNG ------------------------------------------------------------------------------------------------------------


def chunk(kind: bytes, contents: bytes) -> bytes:
    return struct.pack(">I", len(contents)) + kind + contents + struct.pack(">I", zlib.crc32(kind + contents))


def png(values: np.ndarray, bits: int, color: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG whose samples are as given, which no library has had a hand in."""

    height, width = values.shape[:2]
    flat = values.reshape(height, -1)
    if bits < 8:
        raw = b"".join(b"\0" + rows_of(row[None], bits) for row in flat)
    else:
        raw = b"".join(b"\0" + row.astype(">u2" if bits == 16 else np.uint8).tobytes() for row in flat)
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("key", [False, True])
def test_a_png_of_gray_is_scaled_and_its_key_is_transparent(bits: int, key: bool) -> None:
    top = 2**bits - 1
    values = (DEEP_GRAY.astype(int) * top // 65535).astype(np.uint16)
    keyed = int(values[3, 5, 0])
    chunks = [(b"tRNS", struct.pack(">H", keyed))] if key else []
    read = reading.decode(png(values, bits, 0, *chunks), "x")
    white = 65535 if bits == 16 else 255
    assert np.array_equal(read.pixels, values.astype(int) * white // top)
    assert (read.alpha is not None) == key
    if read.alpha is not None:
        assert np.array_equal(read.alpha == 0, values[..., 0] == keyed)
        assert set(np.unique(read.alpha)) <= {0, white}


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", ["rgb", "key", "alpha", "gray-alpha"])
def test_a_png_of_any_color_is_read_as_what_it_was_made_of(bits: int, kind: str) -> None:
    pixels = RGB.astype(np.uint16) if bits == 8 else DEEP
    alpha = GRAY[..., 0].astype(np.uint16) if bits == 8 else DEEP_GRAY[..., 0]
    keyed = pixels[3, 5]
    if kind == "gray-alpha":
        pixels = GRAY.astype(np.uint16) if bits == 8 else DEEP_GRAY
        data = png(np.dstack([pixels, alpha]), bits, 4)
    elif kind == "alpha":
        data = png(np.dstack([pixels, alpha]), bits, 6)
    else:
        data = png(pixels, bits, 2, *([(b"tRNS", struct.pack(">3H", *keyed))] if kind == "key" else []))
        alpha = np.where((pixels == keyed).all(axis=2), 0, 2**bits - 1)
    read = reading.decode(data, "x")
    assert read.pixels.dtype == (np.uint16 if bits == 16 else np.uint8)
    assert np.array_equal(read.pixels, pixels)
    assert (read.alpha is None) == (kind == "rgb")
    if read.alpha is not None:
        assert np.array_equal(read.alpha, alpha)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("transparent", [False, True])
def test_a_png_of_a_palette_becomes_rgb(bits: int, transparent: bool) -> None:
    table = np.random.default_rng(0).integers(0, 256, (2**bits, 3)).astype(np.uint8)
    values = (GRAY.astype(int) * (2**bits - 1) // 255).astype(np.uint16)
    chunks = [(b"PLTE", table.tobytes())] + ([(b"tRNS", b"\x07")] if transparent else [])
    read = reading.decode(png(values, bits, 3, *chunks), "x")
    assert np.array_equal(read.pixels, table[values[..., 0]])
    assert (read.alpha is not None) == transparent
    if read.alpha is not None:
        assert np.array_equal(read.alpha, np.where(values[..., 0] == 0, 7, 255))


def test_animations_are_refused_in_every_format(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.roll(RGB, 9 * i, 1)) for i in range(4)]
    for suffix in ("png", "webp", "avif", "tif"):
        frames[0].save(tmp_path / f"x.{suffix}", save_all=True, append_images=frames[1:])
        with pytest.raises(DataError, match=r"an animation of 4 frames|has 4 pages"):
            reading.read(tmp_path / f"x.{suffix}")


@pytest.mark.parametrize(
    ("chunks", "light"),
    [
        ([], "srgb"),
        ([(b"gAMA", struct.pack(">I", 45_455))], "srgb"),
        ([(b"gAMA", struct.pack(">I", 100_000))], "linear"),
        ([(b"gAMA", struct.pack(">I", 100_000)), (b"sRGB", b"\0")], "srgb"),
        ([(b"cICP", b"\x01\x0d\0\1")], "srgb"),
        ([(b"cICP", b"\x01\x08\0\1")], "linear"),
    ],
)
def test_what_values_of_a_png_stand_for_is_read(chunks: list[tuple[bytes, bytes]], light: str) -> None:
    assert reading.decode(png(RGB.astype(np.uint16), 8, 2, *chunks), "x").light == light


def test_brightness_beyond_white_is_refused() -> None:
    for transfer in (16, 18):
        with pytest.raises(DataError, match=f"transfer function {transfer} .* as of HDR"):
            reading.decode(png(RGB.astype(np.uint16), 8, 2, (b"cICP", bytes([9, transfer, 0, 1]))), "x")


# ---- white ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_white_is_guessed_with_a_word_or_taken_as_given(tmp_path: Path, bits: int, suffix: str) -> None:
    top = 2**bits - 1
    values = (DEEP_GRAY.astype(int) * top // 65535).astype(np.uint16)
    values[0, 0] = top
    path = tmp_path / f"x{suffix}"
    writing.write(path, Picture(values))
    assert np.array_equal(reading.read(path).pixels, values)
    guessed, given = reading.read(path, guess=True), reading.read(path, white=top)
    assert np.array_equal(guessed.pixels, np.rint(values * (65535 / top)))
    assert np.array_equal(given.pixels, guessed.pixels)
    assert guessed.notes == (f"its values use {bits} of 16 bits: white is taken to be {top} (--white sets it)",)
    assert given.notes == ()
    writing.write(tmp_path / f"y{suffix}", guessed)
    assert np.array_equal(reading.read(tmp_path / f"y{suffix}").pixels, values)
    with pytest.raises(DataError, match=f"values up to {top}, above the given white {top - 1}"):
        reading.read(path, white=top - 1)


def test_white_is_not_guessed_where_the_file_says_it_or_all_bits_are_used() -> None:
    assert reading.decode(png(DEEP, 16, 2), "x", guess=True).notes == ()
    header = b"P5 53 37 65535\n"
    dark = (DEEP_GRAY // 64).astype(">u2")
    assert np.array_equal(reading.decode(header + dark.tobytes(), "x", guess=True).pixels, dark)
    assert np.array_equal(reading.decode(png(RGB.astype(np.uint16), 8, 2), "x", white=4095).pixels, RGB)


# ---- orientation and metadata ---------------------------------------------------------------------------------------

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" dc:title="caf\xc3\xa9"/></x:xmpmeta>'


def exif(orientation: int = 1, thumbnail: bool = False) -> bytes:
    made = Image.Exif()
    made[0x0112], made[0x010F], made[0x0132] = orientation, "ACME", "2026:11:27 10:00:00"
    made.get_ifd(0x8769).update({0x8827: 400, 0xA002: 53, 0xA003: 37, 0x829A: 1 / 64})
    made.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 0.0)})
    data = made.tobytes().removeprefix(b"Exif\0\0")
    if thumbnail:
        # Pillow writes none: put a second directory behind the first.
        order = "<" if data[:2] == b"II" else ">"
        (first,) = struct.unpack_from(f"{order}I", data, 4)
        after = first + 2 + 12 * struct.unpack_from(f"{order}H", data, first)[0]
        small = struct.pack(f"{order}HHHIII", 1, 0x0103, 3, 1, 6, 0)
        data = data[:after] + struct.pack(f"{order}I", len(data)) + data[after + 4 :] + small
    return data


def facts(data: bytes) -> tuple[Any, ...]:
    read = metadata.parsed_exif(data)
    detail, place = read.get_ifd(0x8769), read.get_ifd(0x8825)
    return (
        read.get(0x010F),
        read.get(0x0132),
        detail.get(0x8827),
        float(detail.get(0x829A, 0)),
        place.get(1),
        read.get(0x0112, 1),
    )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_pictures_are_turned_as_exif_says(kind: str, orientation: int) -> None:
    smooth = np.dstack([np.linspace(0, 255, 64 * 48).reshape(48, 64)] * 3).astype(np.uint8)
    smooth[:16, :16, 0] = 255
    image = Image.fromarray(smooth)
    buffer = io.BytesIO()
    options = {"quality": 98} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    if kind == "TIFF":
        image.save(buffer, kind, tiffinfo={274: orientation}, **options)
    else:
        image.save(buffer, kind, exif=b"Exif\0\0" + exif(orientation), **options)
    from PIL import ImageOps

    buffer.seek(0)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(buffer)))
    read = reading.decode(buffer.getvalue(), "x")
    assert np.abs(read.pixels.astype(int) - upright).max() <= (2 if kind == "JPEG" else 0)
    assert metadata.orientation(read.metadata.exif) == 1


ALL_KEPT = Metadata(icc=ICC, exif=exif(), xmp=XMP.replace(b'"6"', b'"1"'), dpi=(300.0, 200.0))
KEEPING = {
    ".png": ("icc", "exif", "xmp", "dpi"),
    ".jpg": ("icc", "exif", "xmp", "dpi"),
    ".tif": ("icc", "exif", "xmp", "dpi"),
    ".webp": ("icc", "exif", "xmp"),
    ".avif": ("icc", "exif", "xmp"),
    ".jxl": ("exif", "xmp"),
    ".bmp": ("dpi",),
    ".ppm": (),
}


@pytest.mark.parametrize("suffix", KEEPING)
@pytest.mark.parametrize("pixels", [RGB, DEEP, GRAY, DEEP_GRAY], ids=["rgb", "deep", "gray", "deep-gray"])
@pytest.mark.parametrize("transparent", [False, True])
def test_what_comes_out_has_what_came_in_or_it_is_said(
    tmp_path: Path, suffix: str, pixels: np.ndarray, transparent: bool
) -> None:
    alpha = (GRAY if pixels.dtype == np.uint8 else DEEP_GRAY)[..., 0] if transparent else None
    kept = ALL_KEPT
    lost = writing.write(tmp_path / f"x{suffix}", Picture(pixels, alpha, kept))
    again = reading.read(tmp_path / f"x{suffix}")
    told = "; ".join(lost)
    deep = suffix in (".png", ".tif", ".jxl", ".ppm")
    assert ("16 bits became 8" in told) == (pixels.dtype == np.uint16 and not deep)
    if pixels.dtype == np.uint8 or deep:
        assert again.pixels.dtype == pixels.dtype
        if suffix not in (".jpg", ".avif"):
            assert np.array_equal(again.pixels, np.broadcast_to(pixels, again.pixels.shape))
    holds_alpha = suffix not in (".jpg", ".bmp", ".ppm")
    assert ("transparency is lost" in told) == (transparent and not holds_alpha)
    assert (again.alpha is not None) == (transparent and holds_alpha)
    if again.alpha is not None and alpha is not None and suffix != ".avif" and again.alpha.dtype == alpha.dtype:
        assert np.array_equal(again.alpha, alpha)
    for name, words in (("icc", "color profile"), ("exif", "Exif"), ("xmp", "XMP"), ("dpi", "resolution")):
        value = getattr(again.metadata, name)
        if name not in KEEPING[suffix]:
            assert words in told
        elif name == "exif":
            assert facts(value) == facts(kept.exif)
        elif name == "dpi":
            assert value == pytest.approx(kept.dpi, abs=0.02)
        else:
            assert value == getattr(kept, name)


def test_a_thumbnail_of_the_noisy_picture_is_gone_and_sizes_fit() -> None:
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "JPEG", exif=b"Exif\0\0" + exif(6, thumbnail=True), xmp=XMP)
    kept = reading.decode(buffer.getvalue(), "x").metadata
    assert b'Orientation="1"' in kept.xmp
    detail = metadata.parsed_exif(kept.exif).get_ifd(0x8769)
    assert (detail[0xA002], detail[0xA003]) == (37, 53)
    assert facts(kept.exif) == facts(exif())
    assert metadata.for_upright(kept.exif, 37, 53) == kept.exif
    assert metadata.for_upright(exif(thumbnail=True), 53, 37) != exif(thumbnail=True)


def test_damaged_exif_is_left_out_and_that_is_said() -> None:
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "JPEG", exif=b"Exif\0\0nonsense")
    read = reading.decode(buffer.getvalue(), "x")
    assert read.metadata.exif == b""
    assert read.notes == ("its Exif is damaged and left out",)


def test_exif_too_long_for_a_jpeg_is_lost_and_that_is_said(tmp_path: Path) -> None:
    made = Image.Exif()
    made.get_ifd(0x8769)[0x927C] = b"\0" * 70_000
    long = made.tobytes().removeprefix(b"Exif\0\0")
    assert writing.write(tmp_path / "x.jpg", Picture(RGB, metadata=Metadata(exif=long))) == ("Exif is lost",)
    assert writing.write(tmp_path / "x.png", Picture(RGB, metadata=Metadata(exif=long))) == ()


# ---- other formats --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jfif", ".bmp", ".webp", ".avif", ".ppm", ".pgm"])
def test_formats_of_other_programs_are_read(tmp_path: Path, suffix: str) -> None:
    gray = suffix == ".pgm"
    options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {"quality": 95}
    kinds = {".jfif": "JPEG", ".pgm": "PPM", ".ppm": "PPM"}
    pixels = GRAY if gray else RGB
    Image.fromarray(pixels.squeeze()).save(tmp_path / f"x{suffix}", kinds.get(suffix, suffix[1:].upper()), **options)
    read = reading.read(tmp_path / f"x{suffix}").pixels
    assert read.shape == pixels.shape
    assert np.abs(read.astype(int) - pixels).mean() < (4 if suffix in (".jfif", ".avif") else 1e-9)


@pytest.mark.parametrize("pixels", [RGB, DEEP, GRAY, DEEP_GRAY], ids=["rgb", "deep", "gray", "deep-gray"])
def test_jpeg_xl_is_read(pixels: np.ndarray) -> None:
    data = imagecodecs.jpegxl_encode(pixels.squeeze(), lossless=True)
    read = reading.decode(data, "x").pixels
    assert read.dtype == pixels.dtype
    assert np.array_equal(read, pixels)


@pytest.mark.parametrize("white", [1, 100, 255, 1023, 4095, 65535])
def test_white_of_a_netpbm_file_is_what_its_header_says(white: int) -> None:
    values = (DEEP.astype(int) * white // 65535).astype(np.uint8 if white < 256 else ">u2")
    read = reading.decode(b"P6\n# a comment\n53 37\n%d\n" % white + values.tobytes(), "x")
    top = 255 if white < 256 else 65535
    assert np.array_equal(read.pixels, np.rint(values.astype(int) * (top / white)))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "x is empty"),
        (b"hello", "x is not an image of a supported format"),
        (b"GIF89a", "x is a GIF"),
        (b"\0\0\0\x18ftypheic", "x is a HEIC or HEIF image; save it as"),
        (b"8BPS", "x is a Photoshop file"),
        (b"\0\0\0\x0cjP  \r\n", "x is a JPEG 2000 image"),
        (b"%PDF-1.7", "x is a PDF"),
        (b"P3\n2 2\n255\n1 2 3", "x is of a netpbm format other than"),
        (b"P5\n2 2\n0\n    ", "x is damaged: its header says 2 x 2 pixels, white 0"),
        (b"P5\n2 2\n255\n  ", "x is damaged: it ends too early"),
        (b"P5\n99999 99999\n255\n  ", "more than 200 million"),
        (b"BM" + b"\0" * 60, "x is a BMP of 0 bits a pixel"),
        (b"BM" + b"\0" * 12 + b"\x28" + b"\0" * 13 + b"\x18" + b"\0" * 30, "x is damaged"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "x is damaged"),
        (b"\xff\x0a" + b"\0" * 60, "x is damaged"),
        (b"\0\0\0\x20ftypavif" + b"\0" * 60, "x is damaged"),
    ],
    ids=lambda value: repr(value)[:16],
)
def test_what_is_no_such_image_is_said_in_one_line(data: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        reading.decode(data, "x")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xC9, 0xF7])
def test_a_jpeg_that_libjpeg_does_not_decode_is_named(marker: int) -> None:
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "JPEG")
    data = buffer.getvalue().replace(b"\xff\xc0", bytes([0xFF, marker]))
    kinds = "lossless JPEG|hierarchical JPEG|JPEG with arithmetic coding|JPEG-LS"
    with pytest.raises(DataError, match=f"x is a ({kinds}), which is not supported"):
        reading.decode(data, "x")


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 2, "quality": 30}])
def test_jpegs_have_the_pixels_that_pillow_gives_them(mode: str, options: dict[str, Any]) -> None:
    image = Image.fromarray(picture(0, 97, 131)).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    slow = np.asarray(Image.open(io.BytesIO(buffer.getvalue())))
    assert np.array_equal(reading.decode(buffer.getvalue(), "x").pixels.squeeze(), slow)


def test_the_page_on_inputs_tells_what_is_read_and_every_suffix() -> None:
    page = (ROOT / "docs" / "inputs.md").read_text()
    assert f"<!-- degrain formats -->\n{overview.table()}\n<!-- end -->" in page, "paste what degrain formats prints"
    told = {suffix for row in overview.ROWS for suffix in row.suffixes}
    assert told == set(folders.SUFFIXES)
    assert set(writing.FORMATS) == set(reading.SUFFIXES)


@pytest.mark.parametrize("pixels", [RGB, GRAY], ids=["rgb", "gray"])
@pytest.mark.parametrize("interlaced", [False, True])
def test_plain_pngs_have_the_pixels_that_they_were_made_of(pixels: np.ndarray, interlaced: bool) -> None:
    if interlaced:
        data = adam7(pixels)
    else:
        buffer = io.BytesIO()
        Image.fromarray(pixels.squeeze()).save(buffer, "PNG")
        data = buffer.getvalue()
    assert np.array_equal(reading.decode(data, "x").pixels, pixels)


def adam7(pixels: np.ndarray) -> bytes:
    """An interlaced PNG, written by hand: no library here writes one."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    raw = b""
    for top, left, down, right in passes:
        part = pixels[top::down, left::right]
        if part.size:
            raw += b"".join(b"\0" + row.tobytes() for row in part)
    plain = png(pixels.astype(np.uint16), 8, 2 if pixels.shape[2] == 3 else 0)
    return plain[:8] + chunk(b"IHDR", plain[16:28] + b"\1") + chunk(b"IDAT", zlib.compress(raw)) + plain[-12:]
