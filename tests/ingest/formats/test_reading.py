"""Image files in and out: no bit, channel or damage goes unnoticed."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from degrain.errors import DataError, OutputError
from degrain.ingest.formats import reading, writing
from degrain.ingest.formats.picture import Picture
from tests.conftest import picture, save
from tests.ingest.formats import fixtures


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lossless_formats_give_back_every_bit(tmp_path: Path, suffix: str, channels: int, dtype: type) -> None:
    pixels = picture(0, channels=channels).astype(dtype)
    if dtype == np.uint16:
        pixels = (pixels * 257 + np.arange(pixels.shape[1])[:, None] % 7).astype(np.uint16)
    path = tmp_path / f"x{suffix}"
    writing.write(path, Picture(pixels))
    again = reading.read(path)
    assert again.pixels.dtype == dtype
    assert np.array_equal(again.pixels, pixels)
    assert again.maximum == (255 if dtype == np.uint8 else 65535)


def test_jpeg_comes_close(tmp_path: Path) -> None:
    pixels = picture(0)
    writing.write(tmp_path / "x.jpg", Picture(pixels))
    assert np.abs(reading.read(tmp_path / "x.jpg").pixels.astype(int) - pixels).mean() < 3


def test_the_order_of_colors_is_red_green_blue_at_every_depth(tmp_path: Path) -> None:
    red = np.zeros((16, 16, 3), np.uint16)
    red[..., 0] = 65535
    cv2.imwrite(str(tmp_path / "deep.png"), red[..., ::-1])  # OpenCV writes BGR
    Image.fromarray((red / 257).astype(np.uint8)).save(tmp_path / "flat.png")
    for name in ("deep.png", "flat.png"):
        pixels = reading.read(tmp_path / name).pixels
        assert pixels[0, 0, 0] == np.iinfo(pixels.dtype).max
        assert pixels[0, 0, 2] == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_transparency_is_kept_apart_and_written_back(tmp_path: Path, dtype: type) -> None:
    pixels = np.full((20, 30, 3), 7, dtype)
    alpha = np.arange(600, dtype=dtype).reshape(20, 30)
    writing.write(tmp_path / "x.png", Picture(pixels, alpha))
    again = reading.read(tmp_path / "x.png")
    assert np.array_equal(again.pixels, pixels)
    assert again.alpha is not None
    assert np.array_equal(again.alpha, alpha)


@pytest.mark.parametrize(("mode", "channels"), [("P", 3), ("1", 1), ("CMYK", 3), ("L", 1), ("LA", 1)])
def test_other_modes_become_gray_or_rgb(tmp_path: Path, mode: str, channels: int) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    Image.fromarray(picture(0)).convert(mode).save(tmp_path / f"x.{suffix}")
    assert reading.read(tmp_path / f"x.{suffix}").pixels.shape == (96, 128, channels)


def test_what_a_camera_wrote_beside_the_pixels_is_kept(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    Image.fromarray(picture(0)).save(tmp_path / "x.jpg", exif=exif)
    read = reading.read(tmp_path / "x.jpg")
    writing.write(tmp_path / "y.jpg", read)
    with Image.open(tmp_path / "y.jpg") as image:
        assert image.getexif()[0x010F] == "a camera"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(2000, 1), (300, 3), (1000, 4), (1, 2000), (1, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_narrow_pngs_are_written_whole(tmp_path: Path, shape: tuple[int, int], channels: int, dtype: type) -> None:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (*shape, channels), dtype, endpoint=True)
    writing.write(tmp_path / "x.png", Picture(pixels, None))
    assert np.array_equal(reading.read(tmp_path / "x.png").pixels, pixels)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_truncated_image_is_refused_by_name(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"x{suffix}", np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(DataError, match=f"x{suffix} is "):
        reading.read(path)


def test_a_flipped_bit_in_a_png_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", picture(0))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.raises(DataError, match="damaged"):
        reading.read(path)


def test_what_is_no_image_or_not_there_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("hello")
    with pytest.raises(DataError, match=r"x\.png is not an image of a supported format"):
        reading.read(tmp_path / "x.png")
    with pytest.raises(DataError, match=r"y\.png does not exist"):
        reading.read(tmp_path / "y.png")
    with pytest.raises(DataError, match="cannot read"):
        reading.read(tmp_path)


def test_an_unknown_format_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="must end with"):
        writing.write(tmp_path / "x.webm", Picture(picture(0)))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jxl"])
def test_sixteen_bit_gray_with_transparency_can_be_written(tmp_path: Path, suffix: str) -> None:
    pixels, alpha = np.full((9, 9, 1), 40_000, np.uint16), np.full((9, 9), 12_345, np.uint16)
    writing.write(tmp_path / f"x{suffix}", Picture(pixels, alpha))
    again = reading.read(tmp_path / f"x{suffix}")
    assert np.array_equal(again.pixels, pixels)
    assert again.alpha is not None
    assert np.array_equal(again.alpha, alpha)


def test_a_color_key_becomes_transparency(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "x.png", transparency=(0, 0, 0))
    assert reading.read(tmp_path / "x.png").alpha is not None


def test_several_pages_and_other_formats_are_refused(tmp_path: Path) -> None:
    image = Image.fromarray(picture(0))
    image.save(tmp_path / "x.tif", save_all=True, append_images=[image])
    with pytest.raises(DataError, match="has 2 pages"):
        reading.read(tmp_path / "x.tif")
    image.save(tmp_path / "x.gif")
    (tmp_path / "x.gif").rename(tmp_path / "x.png")
    with pytest.raises(DataError, match="is a GIF"):
        reading.read(tmp_path / "x.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_damage_anywhere_is_an_error_or_an_image_never_a_crash(tmp_path: Path, suffix: str) -> None:
    whole = save(tmp_path / f"x.{suffix}", picture(0, 24, 24)).read_bytes()
    draw = np.random.default_rng(0)
    outcomes = []
    for _ in range(300):
        data = bytearray(whole)
        for place in draw.integers(0, len(data), 3):
            data[place] = draw.integers(0, 256)
        (tmp_path / f"x.{suffix}").write_bytes(data)
        try:
            reading.read(tmp_path / f"x.{suffix}")
        except DataError as error:
            outcomes.append(str(error))
    assert len(outcomes) > 20
    assert not [text for text in outcomes if "\n" in text]


def bomb(kind: str) -> bytes:
    """An image file whose header says 60,000 x 60,000 pixels."""
    data = bytearray(fixtures.encoded(picture(0, 16, 16), kind))
    if kind == "PNG":
        data[16:24] = struct.pack(">2I", 60_000, 60_000)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif kind == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">2H", 60_000, 60_000)
    else:
        for tag in (256, 257):
            at = data.index(struct.pack("<2HI", tag, 4, 1)) + 8
            data[at : at + 4] = struct.pack("<I", 60_000)
    return bytes(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_a_header_of_billions_of_pixels_is_refused_before_memory_is_taken(kind: str) -> None:
    tracemalloc.start()
    with pytest.raises(DataError, match="x says that it has 60000 x 60000 pixels; more than 200 million are refused"):
        reading.decode(bomb(kind), "x")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(("kind", "size"), [("PNG", (9500, 9500)), ("TIFF", (13_000, 14_000))])
def test_large_pictures_below_the_limit_are_read_without_a_warning(kind: str, size: tuple[int, int]) -> None:
    buffer = io.BytesIO()
    Image.new("L", size).save(buffer, kind, compress_level=1, compression="packbits")
    assert reading.decode(buffer.getvalue(), "x").pixels.shape == (size[1], size[0], 1)


def test_bytes_decode_as_their_file_does(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", picture(0))
    assert np.array_equal(reading.decode(path.read_bytes(), "x").pixels, reading.read(path).pixels)
    with pytest.raises(DataError, match=r"a\.zip::b\.png is not an image"):
        reading.decode(b"hello", "a.zip::b.png")
    with pytest.raises(DataError, match=r"a\.zip::b\.png is damaged"):
        reading.decode(path.read_bytes()[:99], "a.zip::b.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_a_file_is_whole_or_refused_wherever_it_ends(kind: str) -> None:
    for data in fixtures.truncations(fixtures.encoded(picture(0), kind)):
        with pytest.raises(DataError, match="x is "):
            reading.decode(data, "x")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_file_of_16_bits_is_whole_or_refused_wherever_it_ends(suffix: str) -> None:
    pixels = fixtures.noise((40, 50, 3), dtype=np.uint16, high=65536)
    for data in fixtures.truncations(cv2.imencode(suffix, pixels)[1].tobytes()):
        with pytest.raises(DataError, match="x is "):
            reading.decode(data, "x")


def test_what_follows_the_end_of_a_file_does_not_matter() -> None:
    for kind in ("PNG", "JPEG"):
        data = fixtures.encoded(picture(0), kind)
        assert np.array_equal(reading.decode(data + b"\xff\xda" * 99, "x").pixels, reading.decode(data, "x").pixels)


def test_a_changed_byte_of_a_png_never_gives_other_pixels() -> None:
    pixels = picture(0)
    noticed = 0
    for data in fixtures.flips(fixtures.encoded(pixels), 200):
        try:
            assert np.array_equal(reading.decode(data, "x").pixels, pixels)
        except DataError:
            noticed += 1
    assert noticed > 190


def test_what_a_camera_raw_file_said_does_not_stop_writing(tmp_path: Path) -> None:
    writing.write(tmp_path / "x.png", Picture(picture(0), shooting={"iso": 100}))
    assert np.array_equal(reading.read(tmp_path / "x.png").pixels, picture(0))


def test_a_packed_mosaic_is_not_written_as_a_transparent_picture(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no place for a packed Bayer mosaic"):
        writing.write(tmp_path / "x.png", Picture(np.zeros((8, 8, 4), np.uint16)))
