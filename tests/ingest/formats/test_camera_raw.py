"""Camera raw files: every level and phase of the mosaic held against what the test computes itself."""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from degrain.errors import DataError
from degrain.ingest.formats import camera_raw, metadata, reading, writing
from degrain.ingest.formats.bayer import pack_bayer, positions
from tests.conftest import MIRROR
from tests.ingest.formats import fixtures

COLORCHART = MIRROR / "raw" / "colorchart.dng"
HEADERLESS = MIRROR / "raw" / "DSC_1339_768x512_rggb.raw"
XTRANS = [1, 2, 1, 1, 0, 1, 0, 1, 0, 2, 1, 2, 1, 2, 1, 1, 0, 1, 1, 0, 1, 1, 2, 1, 2, 1, 2, 0, 1, 0, 1, 0, 1, 1, 2, 1]

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description dc:title="a cat"/></x:xmpmeta>'
MOSAIC = fixtures.noise((64, 80), dtype=np.uint16, high=1100)
patterns = pytest.mark.parametrize("pattern", fixtures.PATTERNS)


def expected_bayer(mosaic: np.ndarray, pattern: str, black: tuple[int, ...], white: int) -> np.ndarray:
    """The packed mosaic, pixel by pixel and in exact fractions."""
    height, width = mosaic.shape[0] // 2, mosaic.shape[1] // 2
    result = np.zeros((height, width, 4), np.uint16)
    red_row = pattern.index("r") // 2
    for y in range(2 * height):
        for x in range(2 * width):
            place = y % 2 * 2 + x % 2
            letter = pattern[place]
            channel = {"r": 0, "b": 3}.get(letter, 1 if place // 2 == red_row else 2)
            level = black[place] if len(black) == 4 else black[0]
            share = (int(mosaic[y, x]) - level) / (white - level)
            result[y // 2, x // 2, channel] = round(min(max(share, 0), 1) * 65535)
    return result


@patterns
@pytest.mark.parametrize("black", [(0,), (64,), (60, 70, 80, 90)])
def test_the_packed_mosaic_has_levels_applied_and_channels_in_one_order(pattern: str, black: tuple[int, ...]) -> None:
    picture = camera_raw.read(fixtures.dng(MOSAIC, pattern, black, white=1023), "bayer")
    assert picture.pixels.dtype == np.uint16
    assert np.array_equal(picture.pixels, expected_bayer(MOSAIC, pattern, black, 1023))
    assert picture.maximum == 65535
    assert picture.shooting["cfa"] == pattern


def test_black_is_0_and_white_is_65535() -> None:
    mosaic = np.full((64, 80), 64, np.uint16)
    mosaic[:, 40:] = 1023
    pixels = camera_raw.read(fixtures.dng(mosaic, black=(64,), white=1023), "bayer").pixels
    assert (pixels[:, :20] == 0).all()
    assert (pixels[:, 20:] == 65535).all()


@patterns
def test_the_masked_border_is_cropped_and_the_phase_follows(pattern: str) -> None:
    black = (5, 6, 7, 8)
    picture = camera_raw.read(fixtures.dng(MOSAIC, pattern, black, 1023, active=(4, 6, 60, 74)), "bayer")
    assert np.array_equal(picture.pixels, expected_bayer(MOSAIC[4:60, 6:74], pattern, black, 1023))
    assert (picture.shooting["height"], picture.shooting["width"]) == (56, 68)


def test_a_visible_area_that_starts_at_an_odd_pixel_keeps_its_colors() -> None:
    """LibRaw moves its corner to the next even pixel."""
    data = fixtures.dng(MOSAIC, "rggb", (10,), 1023, active=(3, 5, 63, 79))
    picture = camera_raw.read(data, "bayer")
    raw = picture.shooting
    height, width = raw["height"], raw["width"]
    assert raw["cfa"] == "bggr"
    assert np.array_equal(picture.pixels, expected_bayer(MOSAIC[4 : 4 + height, 6 : 6 + width], "bggr", (10,), 1023))


@patterns
@pytest.mark.parametrize("mode", ["linear", "srgb"])
def test_gray_renders_to_gray_of_the_right_brightness(pattern: str, mode: camera_raw.Mode) -> None:
    share = np.array([0.0, 0.25, 0.5, 1.0])
    levels = np.repeat(64 + share * (964 - 64), 24).astype(np.uint16)
    mosaic = np.broadcast_to(levels, (64, 96))
    picture = camera_raw.read(fixtures.dng(mosaic, pattern, (64,), 964, neutral=(1, 1, 1)), mode)
    centers = picture.pixels[32, 12::24].astype(float)
    curve = (
        share if mode == "linear" else np.where(share <= 0.0031308, 12.92 * share, 1.055 * share ** (1 / 2.4) - 0.055)
    )
    assert picture.pixels.dtype == (np.uint16 if mode == "linear" else np.uint8)
    assert picture.pixels.shape == (64, 96, 3)
    assert np.abs(centers / picture.maximum - curve[:, None]).max() < 0.004


@patterns
def test_rendered_colors_are_red_green_blue(pattern: str) -> None:
    only_red = np.where(np.resize([[c == "r" for c in pattern[:2]], [c == "r" for c in pattern[2:]]], (64, 80)), 900, 0)
    pixels = camera_raw.read(fixtures.dng(only_red.astype(np.uint16), pattern, white=1023), "linear").pixels
    assert pixels[32, 40].argmax() == 0


def test_the_white_balance_of_the_camera_is_applied() -> None:
    mosaic = np.zeros((64, 80), np.uint16)
    mosaic[0::2, 0::2], mosaic[0::2, 1::2], mosaic[1::2, 0::2], mosaic[1::2, 1::2] = 250, 500, 500, 400
    pixels = camera_raw.read(fixtures.dng(mosaic, white=1000, neutral=(0.5, 1, 0.8)), "linear").pixels
    assert np.abs(pixels[32, 40].astype(float) - 65535 / 2).max() < 200


def test_brightness_does_not_depend_on_the_rest_of_the_picture() -> None:
    flat = np.full((64, 80), 500, np.uint16)
    bright = flat.copy()
    bright[:, 60:] = 1000
    for mode in ("linear", "srgb"):
        one, other = (camera_raw.read(fixtures.dng(m, white=1023), mode).pixels[:, :40] for m in (flat, bright))
        assert np.array_equal(one, other)


@pytest.mark.parametrize("mode", ["srgb", "linear", "bayer"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_pixels_stay_as_the_sensor_lies_and_the_orientation_is_told(mode: camera_raw.Mode, orientation: int) -> None:
    upright = camera_raw.read(fixtures.dng(MOSAIC, white=1023), mode)
    picture = camera_raw.read(fixtures.dng(MOSAIC, white=1023, orientation=orientation), mode)
    assert np.array_equal(picture.pixels, upright.pixels)
    assert picture.shooting["orientation"] == orientation


def test_a_rendered_picture_that_is_written_is_shown_upright(tmp_path: Path) -> None:
    writing.write(tmp_path / "x.jpg", camera_raw.read(fixtures.dng(MOSAIC, white=1023, orientation=6)))
    with Image.open(tmp_path / "x.jpg") as image:
        assert image.getexif()[0x0112] == 6


def with_directories(**tags: str) -> bytes:
    """A DNG with texts, Exif, GPS and XMP, its directories of Exif and GPS behind the mosaic."""
    first: dict[int, tuple[int, Any]] = {int(tag[1:]): (2, text.encode() + b"\0") for tag, text in tags.items()}
    first |= {34665: (4, [0]), 34853: (4, [0]), 700: (1, XMP)}
    exif = {33437: 2.8, 36867: "2026:11:27 10:00:00", 37386: 50.0, 42036: "Lens 50mm", 37500: b"maker" * 9}
    below = ((34665, exif), (34853, {1: "N", 2: (48.0, 8.0, 12.5), 29: "2026:11:27"}))
    data = fixtures.dng(MOSAIC, white=1023, change=first)
    for tag, values in below:
        directory = ImageFileDirectory_v2(b"II*\0\x08\0\0\0")
        for number, value in values.items():
            directory[number] = value
        place = data.index(struct.pack("<HHI", tag, 4, 1)) + 8
        data += b"\0" * (len(data) % 2)
        data = data[:place] + struct.pack("<I", len(data)) + data[place + 4 :] + directory.tobytes(len(data))
    return data


@pytest.mark.parametrize("suffix", [".tif", ".jpg", ".png"])
@pytest.mark.parametrize("mode", ["srgb", "linear"])
def test_what_a_camera_says_of_a_picture_is_kept(tmp_path: Path, suffix: str, mode: camera_raw.Mode) -> None:
    data = with_directories(t305="Firmware 1.0", t306="2026:11:27 10:00:01", t315="M\u00fcller", t33432="(c) Ann")
    read = reading.decode(data, "x.dng", raw=mode)
    assert read.notes == ("its maker notes are left out",)
    writing.write(tmp_path / f"x{suffix}", read)
    with Image.open(tmp_path / f"x{suffix}") as image:
        found = image.getexif()
        exif, gps = found.get_ifd(34665), found.get_ifd(34853)
    assert {tag: found[tag] for tag in (271, 272, 305, 306, 33432)} == {
        271: "Degrain",
        272: "Test camera",
        305: "Firmware 1.0",
        306: "2026:11:27 10:00:01",
        33432: "(c) Ann",
    }
    assert found[315].encode("latin-1").decode() == "M\u00fcller"
    # exposure and ISO stand in the first directory, as in TIFF/EP
    assert (exif[36867], exif[42036], exif[34855]) == ("2026:11:27 10:00:00", "Lens 50mm", 800)
    assert [float(exif[tag]) for tag in (33434, 33437, 37386)] == pytest.approx([1 / 60, 2.8, 50])
    assert 37500 not in exif
    assert (gps[1], [float(value) for value in gps[2]], gps[29]) == ("N", [48, 8, 12.5], "2026:11:27")
    assert reading.read(tmp_path / f"x{suffix}").metadata.xmp == XMP


@pytest.mark.parametrize("place", [0, 3, -1, 2**32 - 1])
def test_a_directory_of_a_raw_file_that_is_damaged_is_refused_or_left_out_with_a_word(place: int) -> None:
    data = with_directories()
    entry = data.index(struct.pack("<HHI", 34665, 4, 1)) + 8
    bent = data[:entry] + struct.pack("<I", place % len(data) if place < 0 else place) + data[entry + 4 :]
    refused = False
    try:
        read = reading.decode(bent, "x.dng")
    except DataError:
        refused = True
    # LibRaw wants to find it in the file
    assert refused or metadata.BROKEN_EXIF in read.notes
    assert refused or metadata.parsed_exif(read.metadata.exif)[271] == "Degrain"


def test_metadata_are_plain_values(tmp_path: Path) -> None:
    path = fixtures.write(tmp_path / "x.dng", fixtures.dng(MOSAIC, "grbg", (1, 2, 3, 4), 1023, orientation=8))
    found = camera_raw.read(path, "bayer").shooting
    assert found.pop("exposure") == pytest.approx(1 / 60)
    assert found.pop("white_balance") == pytest.approx([2, 1, 1, 1.25])
    assert found == {
        "make": "Degrain",
        "model": "Test camera",
        "iso": 800,
        "black_levels": [2, 1, 4, 3],
        "white_level": 1023,
        "cfa": "grbg",
        "orientation": 8,
        "width": 80,
        "height": 64,
    }


def test_sensors_without_a_bayer_mosaic_are_refused_as_such() -> None:
    mono = fixtures.dng(MOSAIC, photometric=34892)
    assert camera_raw.read(mono, "srgb").pixels.shape == (64, 80, 1)
    with pytest.raises(DataError, match=r"x\.dng has no Bayer mosaic \(its sensor is monochrome\)"):
        camera_raw.read(mono, "bayer", "x.dng")
    with pytest.raises(DataError, match="an X-Trans"):
        camera_raw.read(fixtures.dng(MOSAIC, XTRANS, cell=(6, 6)), "bayer")


def test_a_header_of_billions_of_pixels_is_refused() -> None:
    lie = {256: (4, [60_000]), 257: (4, [60_000])}
    with pytest.raises(DataError, match=r"x\.dng (says that it has 60000 x 60000|is)"):
        camera_raw.read(fixtures.dng(MOSAIC, change=lie), "bayer", "x.dng")


@pytest.mark.parametrize("mode", ["srgb", "bayer"])
def test_a_truncated_file_is_refused_wherever_it_ends(mode: camera_raw.Mode) -> None:
    for data in fixtures.truncations(fixtures.dng(MOSAIC)):
        with pytest.raises(DataError, match=r"x\.dng is (no camera raw|truncated|damaged)"):
            camera_raw.read(data, mode, "x.dng")


def test_damage_in_the_header_is_an_error_or_a_picture_never_a_crash() -> None:
    whole = fixtures.dng(MOSAIC)
    head = len(whole) - MOSAIC.nbytes
    errors = []
    for bent in fixtures.flips(whole[:head], 150):
        try:
            camera_raw.read(bent + whole[head:], "bayer", "x.dng")
        except DataError as error:
            errors.append(str(error))
    assert len(errors) > 10
    assert all(text.startswith("x.dng ") and "\n" not in text for text in errors)


@pytest.mark.parametrize("size", [0, 100, 786_432])  # LibRaw takes the last for a 1024x768 camera's
def test_a_headerless_dump_of_values_is_refused(tmp_path: Path, size: int) -> None:
    data = fixtures.noise((size,), high=250).tobytes()
    path = fixtures.write(tmp_path / "x.raw", data)
    with pytest.raises(DataError, match=r"x\.raw is no camera raw file .* headerless"):
        camera_raw.read(path)


def test_other_files_and_missing_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no camera raw file"):
        camera_raw.read(fixtures.encoded(fixtures.noise((20, 20, 3))))
    with pytest.raises(DataError, match=r"y\.dng does not exist"):
        camera_raw.read(tmp_path / "y.dng")


def test_threads_decode_what_one_decodes() -> None:
    files = [fixtures.dng(fixtures.noise((64, 80), i, np.uint16, 1000), white=1023) for i in range(12)]
    alone = [camera_raw.read(data, "srgb").pixels for data in files]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda data: camera_raw.read(data, "srgb").pixels, files))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


@pytest.mark.skipif(not COLORCHART.exists(), reason=f"needs a real DNG, {COLORCHART}")
def test_a_real_file_decodes_in_every_mode() -> None:
    srgb, linear, bayer = (camera_raw.read(COLORCHART, mode) for mode in ("srgb", "linear", "bayer"))
    assert srgb.pixels.shape == linear.pixels.shape == (1156, 1734, 3)
    assert bayer.pixels.shape == (578, 867, 4)
    raw = bayer.shooting
    assert (raw["black_levels"], raw["white_level"], raw["model"]) == ([2056.0] * 4, 15000, "Canon EOS Kiss X4")
    greens = bayer.pixels[..., 1:3].reshape(-1, 2).astype(float)
    assert np.corrcoef(greens.T)[0, 1] > 0.98
    assert greens[:, 0].mean() == pytest.approx(greens[:, 1].mean(), rel=0.02)
    # Linear light is the balanced mosaic turned to sRGB colors: of green, most of both is the same light.
    half = linear.pixels[::2, ::2, 1].astype(float).ravel()
    assert np.corrcoef(half, greens[:, 0])[0, 1] > 0.9


@pytest.mark.skipif(not HEADERLESS.exists(), reason=f"needs a real headerless dump, {HEADERLESS}")
def test_a_real_headerless_dump_is_refused() -> None:
    with pytest.raises(DataError, match="headerless"):
        camera_raw.read(HEADERLESS)


# --- packing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "order"),
    [("rggb", [0, 1, 2, 3]), ("grbg", [1, 0, 3, 2]), ("gbrg", [2, 3, 0, 1]), ("bggr", [3, 2, 1, 0])],
)
def test_packing_puts_red_first_and_the_green_of_its_row_next(pattern: str, order: list[int]) -> None:
    mosaic = np.arange(4 * 6, dtype=np.float32).reshape(4, 6)
    packed = pack_bayer(mosaic, pattern)
    assert packed.shape == (2, 3, 4)
    assert packed.dtype == np.float32
    assert packed[0, 0].tolist() == np.array([0, 1, 6, 7])[order].tolist()
    assert packed[1, 2].tolist() == np.array([16, 17, 22, 23])[order].tolist()
    assert positions(pattern.upper()) == tuple(order)


def test_an_odd_last_row_and_column_are_dropped() -> None:
    mosaic = fixtures.noise((7, 9))
    assert np.array_equal(pack_bayer(mosaic, "bggr"), pack_bayer(mosaic[:6, :8], "bggr"))


def test_other_patterns_and_too_small_mosaics_are_refused() -> None:
    with pytest.raises(DataError, match="'rgbg' is no Bayer pattern; known: rggb, grbg, gbrg, bggr"):
        pack_bayer(MOSAIC, "rgbg")
    with pytest.raises(DataError, match="has no whole 2x2 cell"):
        pack_bayer(MOSAIC[:1], "rggb")
