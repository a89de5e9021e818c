"""Damage inside of pictures is noticed, and what cannot be kept of a file, or stands behind it, is said."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import simplejpeg
import tifffile
from PIL import Image, ImageOps

from degrain.errors import DataError, OutputError
from degrain.inference.recipe import Frame
from degrain.ingest.formats import boxes, jxl, metadata, others, reading, writing
from degrain.ingest.formats.picture import Metadata, Picture
from tests.conftest import ROOT, picture
from tests.ingest.formats import profiles
from tests.ingest.formats.test_meaning import XMP, adam7, chunk, exif, hand_made, png, rows_of

RGB = picture(0, 96, 128)
GRAY = picture(1, 96, 128, channels=1)
DEEP = RGB.astype(np.uint16) * 257


def jpeg(pixels: np.ndarray = RGB, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(buffer, "JPEG", **{"quality": 90} | options)
    return buffer.getvalue()


def tiff(pixels: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **{"metadata": None, "software": False} | options)
    return buffer.getvalue()


# ---- damage ---------------------------------------------------------------------------------------------------------


def scan(data: bytes) -> int:
    """Where the pixels begin."""
    start = data.index(b"\xff\xda")
    return start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")


def with_size(data: bytes, rows: int, columns: int) -> bytes:
    start = next(place for marker in (b"\xff\xc0", b"\xff\xc2") if (place := data.find(marker)) > 0)
    height, width = struct.unpack_from(">HH", data, start + 5)
    return data[: start + 5] + struct.pack(">HH", height + rows, width + columns) + data[start + 9 :]


def scrambled(data: bytes, seed: int) -> bytes:
    generator = np.random.default_rng(seed)
    bent = bytearray(data)
    for place in generator.integers(scan(data), len(data) - 2, 40):
        bent[place] = int(generator.integers(0, 255))
    return bytes(bent)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda data: data[: len(data) // 2] + b"\xff\xd9",
    "last tenth gone": lambda data: data[: len(data) * 9 // 10] + b"\xff\xd9",
    "no end": lambda data: data[:-2],
    "scrambled": lambda data: scrambled(data, 0),
    "scrambled otherwise": lambda data: scrambled(data, 1),
    "cut out": lambda data: data[: scan(data) + 200] + data[scan(data) + 600 :],
    "zeros": lambda data: data[: scan(data) + 200] + bytes(400) + data[scan(data) + 600 :],
    "taller": lambda data: with_size(data, 64, 0),
    "shorter": lambda data: with_size(data, -64, 0),
    "wider": lambda data: with_size(data, 0, 64),
    "header only": lambda data: data[: scan(data)] + b"\xff\xd9",
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}], ids=str
)
@pytest.mark.parametrize("pixels", [RGB, GRAY], ids=["rgb", "gray"])
def test_a_damaged_jpeg_is_refused(pixels: np.ndarray, options: dict[str, Any], damage: str) -> None:
    whole = jpeg(pixels, **options)
    assert reading.decode(whole, "x").pixels.shape == pixels.shape
    with pytest.raises(DataError, match=r"^x is damaged: "):
        reading.decode(DAMAGE[damage](whole), "x")


def test_a_jpeg_without_its_restart_intervals_is_refused() -> None:
    whole = jpeg(restart_marker_rows=1)
    place = whole.index(b"\xff\xdd")
    with pytest.raises(DataError, match=r"^x is damaged: "):
        reading.decode(whole[:place] + whole[place + 6 :], "x")


def test_a_progressive_jpeg_without_its_last_scans_is_refused() -> None:
    whole = jpeg(progressive=True)
    places = [place for place in range(len(whole) - 1) if whole[place : place + 2] == b"\xff\xda"]
    assert len(places) > 4
    for place in places[1:]:
        with pytest.raises(DataError, match="ends too early, before its last scan"):
            reading.decode(whole[:place] + b"\xff\xd9", "x")


@pytest.mark.parametrize("damage", ["half", "scrambled"])
def test_a_damaged_jpeg_in_a_tiff_is_refused(damage: str) -> None:
    whole = tiff(RGB, photometric="rgb", compression="jpeg", tile=(48, 64))
    assert reading.decode(whole, "x").pixels.shape == RGB.shape
    with tifffile.TiffFile(io.BytesIO(whole)) as file:
        page = file.pages[0]
        place, size = page.dataoffsets[1], page.databytecounts[1]
    tile = whole[place : place + size]
    bent = DAMAGE[damage](tile)
    bent = bent + bytes(size - len(bent)) if damage != "half" else bent[:-2] + bytes(size - len(bent)) + b"\xff\xd9"
    with pytest.raises(DataError, match=r"^x is damaged: "):
        reading.decode(whole[:place] + bent + whole[place + size :], "x")


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_color_that_the_palette_of_a_png_does_not_have_is_refused(bits: int) -> None:
    values = (GRAY.astype(int) * (2**bits - 1) // 255).astype(np.uint16)
    values[0, 0] = 2**bits - 1
    table = bytes(3 * (2**bits - 1))
    with pytest.raises(DataError, match=f"pixels of color {2**bits - 1}, and its palette {2**bits - 1} colors"):
        reading.decode(png(values, bits, 3, (b"PLTE", table)), "x")


@pytest.mark.parametrize(
    ("chunks", "words"),
    [
        ([(b"cICP", b"\1")], "its chunk cICP has 1 bytes"),
        ([(b"gAMA", b"\1")], "its chunk gAMA has 1 bytes"),
        ([(b"cHRM", b"")], "its chunk cHRM has 0 bytes"),
        ([(b"pHYs", b"\1")], "its chunk pHYs has 1 bytes"),
        ([(b"gAMA", bytes(4))], "its gamma is 0"),
        ([(b"tRNS", b"\1")], "its transparency does not fit its colors"),
        ([(b"NEWc", b"\1")], "an unknown chunk NEWc without which"),
    ],
)
def test_chunks_that_are_not_whole_or_not_known_are_refused(chunks: list[tuple[bytes, bytes]], words: str) -> None:
    with pytest.raises(DataError, match=words):
        reading.decode(png(RGB.astype(np.uint16), 8, 2, *chunks), "x")


def test_no_library_prints_what_it_thinks_of_a_file() -> None:
    chunks = [(b"iCCP", b"x\0\0" + zlib.compress(bytes(200))), (b"sBIT", b"\1"), (b"hIST", b"x"), (b"bKGD", b"")]
    odd = png(RGB.astype(np.uint16), 8, 2, *chunks, (b"PLTE", b"\1\2\3"), (b"tIME", b"y"))
    for data in (
        odd,
        adam7(RGB),
        DAMAGE["half"](jpeg()),
        DAMAGE["scrambled"](jpeg()),
        png(RGB.astype(np.uint16), 8, 2)[:900],
    ):
        code = (
            "import sys; from degrain.errors import DataError; from degrain.ingest.formats import reading\n"
            "try: reading.decode(sys.stdin.buffer.read(), 'x')\n"
            "except DataError: pass"
        )
        done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, cwd=ROOT, check=True)
        assert done.stderr + done.stdout == b""


# ---- what is left out -----------------------------------------------------------------------------------------------


def segment(marker: int, contents: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(contents) + 2) + contents


def with_segment(data: bytes, marker: int, contents: bytes) -> bytes:
    return data[:2] + segment(marker, contents) + data[2:]


ICC_PART = b"ICC_PROFILE\0\1\2" + b"x" * 50
LEFT_OUT = {
    "IPTC": (with_segment(jpeg(), 0xED, b"Photoshop 3.0\08BIM"), "its IPTC and other data of Photoshop are left out"),
    "long XMP": (
        with_segment(jpeg(), 0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 40),
        "the rest of its long XMP is left out",
    ),
    "thermal": (with_segment(jpeg(), 0xE4, b"FLIR\0..."), "data of programs (APP4) are left out"),
    "half a profile": (with_segment(jpeg(), 0xE2, ICC_PART), "its color profile is damaged and left out"),
    "two JPEGs": (
        jpeg() + jpeg(),
        "further pictures behind it (such as a preview, a depth or a gain map) are left out",
    ),
    "motion photo": (jpeg() + b"\0\0\0\x18ftypmp42" + bytes(99), "the video behind it is left out"),
    "trailer of a JPEG": (jpeg() + b"trailer", "7 bytes behind its end are left out"),
    "trailer of a PNG": (png(RGB.astype(np.uint16), 8, 2) + b"trailer", "7 bytes behind its end are left out"),
    "trailer of a PPM": (b"P6 128 96 255\n" + RGB.tobytes() + b"trailer", "7 bytes behind its end are left out"),
    "private chunk": (
        png(RGB.astype(np.uint16), 8, 2, (b"prVt", b"x")),
        "chunks (prVt) are left out",
    ),
    "float JXL": (
        imagecodecs.jpegxl_encode((RGB / 255).astype(np.float32), lossless=True),
        "its floating-point values became 16 bits",
    ),
    "10-bit AVIF": (imagecodecs.avif_encode((DEEP >> 6), bitspersample=10), "its 10 bits became 8"),
    "12-bit AVIF": (imagecodecs.avif_encode((DEEP >> 4), bitspersample=12), "its 12 bits became 8"),
    "GeoTIFF": (
        tiff(RGB, photometric="rgb", extratags=[(33550, "d", 3, (1.0, 1.0, 0.0), True)]),
        "TIFF tags (ModelPixelScaleTag) are left out",
    ),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_left_out_is_said(case: str) -> None:
    data, words = LEFT_OUT[case]
    assert reading.decode(data, "x").notes == (words,)


def test_several_images_in_one_netpbm_file_are_refused() -> None:
    one = b"P5 128 96 255\n" + GRAY.tobytes()
    with pytest.raises(DataError, match="x holds several images"):
        reading.decode(one + one, "x")


def test_a_mask_is_left_out_with_a_word_and_a_larger_page_is_no_reduction() -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(RGB, photometric="rgb", metadata=None)
        file.write(GRAY.squeeze() > 99, photometric="mask", subfiletype=4, metadata=None)
    assert reading.decode(buffer.getvalue(), "x").notes == ("its mask is left out",)
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(RGB[:48, :64], photometric="rgb", metadata=None)
        file.write(RGB, photometric="rgb", subfiletype=1, metadata=None)
    with pytest.raises(DataError, match="has 2 pages"):
        reading.decode(buffer.getvalue(), "x")


# ---- what values mean -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint32, np.uint16])
@pytest.mark.parametrize("top", [4095, 1023])
def test_white_that_is_zero_is_inverted_at_the_white_of_the_file(dtype: type, top: int) -> None:
    values = (GRAY.astype(int) * top // 255).astype(dtype).squeeze()
    values[0, 0], values[0, 1] = 0, top
    data = tiff(values, photometric="miniswhite")
    given = reading.decode(data, "x", white=top)
    assert np.array_equal(given.pixels[..., 0], 65_535 - np.rint(values * (65_535 / top)))
    if dtype == np.uint16:
        guessed = reading.decode(data, "x", guess=True)
        assert np.array_equal(guessed.pixels, given.pixels)
        assert f"white is taken to be {top}" in guessed.notes[0]
        full = reading.decode(data, "x")
        assert np.array_equal(full.pixels[..., 0], 65_535 - values)


@pytest.mark.parametrize("alpha_top", [4095, 65_535])
def test_alpha_ends_where_the_colors_do_or_at_the_top(alpha_top: int) -> None:
    colors, alpha = DEEP >> 4, (GRAY[..., 0].astype(int) * alpha_top // 255).astype(np.uint16)
    colors[0, 0], alpha[0, 0] = 4095, alpha_top
    whole = np.dstack([colors, alpha])
    for data in (tiff(whole, photometric="rgb", extrasamples=["unassalpha"]), png(whole, 16, 6)):
        read = reading.decode(data, "x", white=4095)
        assert read.alpha is not None
        assert np.array_equal(read.alpha, np.rint(alpha * (65_535 / alpha_top)))
        assert np.array_equal(read.pixels, np.rint(colors * (65_535 / 4095)))


def test_alpha_of_floating_point_values_is_not_scaled_by_their_white() -> None:
    values = np.dstack([RGB / 255 * 4, GRAY[..., 0] / 255]).astype(np.float32)
    read = reading.decode(tiff(values, photometric="rgb", extrasamples=["unassalpha"]), "x", white=4)
    assert read.alpha is not None
    assert np.abs(read.alpha / 65_535 - GRAY[..., 0] / 255).max() < 1e-4
    assert np.abs(read.pixels / 65_535 - RGB / 255).max() < 1e-4


def test_a_palette_of_a_tiff_keeps_its_alpha() -> None:
    table = np.random.default_rng(0).integers(0, 256, (3, 256)).astype(np.uint16) * 257
    values = np.dstack([GRAY, 255 - GRAY])
    tags = [(320, "H", 768, table.ravel().tolist(), True)]
    data = tiff(values, photometric="minisblack", extrasamples=["unassalpha"], extratags=tags)
    photometric = struct.pack("<HHI", 262, 3, 1)
    data = data.replace(photometric + b"\1\0", photometric + b"\3\0")
    read = reading.decode(data, "x")
    assert np.array_equal(read.pixels, (table.T >> 8)[GRAY[..., 0]])
    assert read.alpha is not None
    assert np.array_equal(read.alpha, 255 - GRAY[..., 0])


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ((332, "H", 1, 2, True), "other inks than"),
        ((336, "H", 2, (255, 0), True), "ink from 255 to 0"),
        ((336, "H", 2, (0, 255), True), ""),
        ((532, "2I", 6, (15, 1, 235, 1) * 3, True), "black at 15 and white at 235"),
        ((532, "2I", 6, (0, 1, 255, 1) * 3, True), ""),
        ((34027, "B", 1, 1, True), "tags of TIFF/IT"),
    ],
)
def test_tags_of_a_tiff_that_change_the_meaning_are_refused_unless_they_say_what_is_usual(
    tag: tuple[Any, ...], words: str
) -> None:
    data = tiff(RGB, photometric="rgb", extratags=[tag])
    if words:
        with pytest.raises(DataError, match=words):
            reading.decode(data, "x")
    else:
        assert np.array_equal(reading.decode(data, "x").pixels, RGB)


@pytest.mark.parametrize("bits", [2, 5, 10, 12, 16])
def test_white_of_jpeg_xl_is_what_its_header_says(bits: int) -> None:
    values = (DEEP >> (16 - bits)).astype(np.uint8 if bits <= 8 else np.uint16)
    read = reading.decode(imagecodecs.jpegxl_encode(values, lossless=True, bitspersample=bits), "x", guess=True)
    top = 255 if bits <= 8 else 65_535
    assert np.array_equal(read.pixels, np.rint(values * (top / (2**bits - 1))))
    assert read.notes == ()


def test_a_huge_jpeg_xl_is_refused_by_its_header() -> None:
    stream = jxl.encode(np.zeros((8, 8, 3), np.uint8), Metadata())
    start = stream.index(b"jxlc") + 6
    # both sides in the longest way: 30 bits
    bits = 0 | 3 << 1 | (2**30 - 1) << 3 | 0 << 33 | 3 << 36 | (2**30 - 1) << 38 | 1 << 68
    with pytest.raises(DataError, match="more than 200 million"):
        reading.decode(stream[:start] + bits.to_bytes(9, "little") + stream[start + 9 :], "x")


def turned(data: bytes) -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_orientation_of_xmp_counts_where_exif_says_none(kind: str) -> None:
    if kind == "JPEG":
        data = jpeg(xmp=XMP)
    else:
        data = png(RGB.astype(np.uint16), 8, 2, (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP))
    read = reading.decode(data, "x")
    assert np.array_equal(read.pixels, turned(data))
    assert b'tiff:Orientation="1"' in read.metadata.xmp


def test_exif_in_hexadecimal_text_counts_as_exif() -> None:
    contents = b"Exif\0\0" + exif(6)
    digits = contents.hex()
    text = f"\nexif\n{len(contents):8}\n" + "\n".join(digits[i : i + 72] for i in range(0, len(digits), 72)) + "\n"
    data = png(RGB.astype(np.uint16), 8, 2, (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text.encode())))
    read = reading.decode(data, "x")
    assert np.array_equal(read.pixels, turned(data))
    assert metadata.orientation(read.metadata.exif) == 1
    assert read.metadata.texts == b""


def test_metadata_of_jpeg_xl_are_read_and_its_orientation_is_not_applied_twice() -> None:
    data = jxl.encode(RGB, Metadata(exif=exif(6), xmp=XMP))
    read = reading.decode(data, "x")
    assert np.array_equal(read.pixels, RGB)
    assert metadata.orientation(read.metadata.exif, read.metadata.xmp) == 1
    packed = imagecodecs.brotli_encode(XMP)
    place = data.index(b"xml ") - 4
    (size,) = struct.unpack_from(">I", data, place)
    brotli = struct.pack(">I", len(packed) + 12) + b"brobxml " + packed
    again = reading.decode(data[:place] + brotli + data[place + size :], "x")
    assert again.metadata.xmp == read.metadata.xmp


def test_texts_of_a_png_are_kept(tmp_path: Path) -> None:
    texts = [(b"tEXt", b"Title\0a cat"), (b"zTXt", b"Comment\0\0" + zlib.compress(b"meow"))]
    read = reading.decode(png(RGB.astype(np.uint16), 8, 2, *texts), "x")
    assert writing.write(tmp_path / "x.png", read) == ()
    assert dict(Image.open(tmp_path / "x.png").text) == {"Title": "a cat", "Comment": "meow"}  # type: ignore[attr-defined]
    assert read.metadata.texts == b"".join(chunk(*text) for text in texts)
    assert np.array_equal(reading.decode(adam7(RGB), "x").pixels, RGB)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"BM" + bytes(12) + struct.pack("<IiiHH", 40, 8, 8, 1, 2) + bytes(200), "is a BMP of 2 bits a pixel"),
        (
            b"BM"
            + struct.pack("<IHHI", 400, 0, 0, 66)
            + struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 16, 3, 0, 0, 0, 0, 0)
            + struct.pack("<III", 0xF00, 0xF0, 0xF)
            + bytes(400),
            "is of a kind that is not supported .Unsupported BMP bitfields",
        ),
    ],
)
def test_what_is_whole_and_not_supported_is_not_called_damaged(data: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        reading.decode(data, "x")


# ---- Exif, orientation and resolution -------------------------------------------------------------------------------


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("orientation", [3, 6])
def test_a_tiff_of_any_kind_is_turned_with_its_resolution(byteorder: str, bigtiff: bool, orientation: int) -> None:
    tags = [(274, "H", 1, orientation, True), (315, "s", 0, "Ann", True)]
    data = tiff(RGB, photometric="rgb", bigtiff=bigtiff, byteorder=byteorder, extratags=tags, resolution=(200, 100))
    read = reading.decode(data, "x")
    assert np.array_equal(read.pixels, metadata.upright(RGB, orientation))
    assert metadata.parsed_exif(read.metadata.exif)[315] == "Ann"
    assert read.metadata.dpi == ((100, 200) if orientation == 6 else (200, 100))
    assert metadata.orientation(read.metadata.exif) == 1


@pytest.mark.parametrize("make", [True, False])
@pytest.mark.parametrize("told", [None, 1, 3, 6])
@pytest.mark.parametrize("stale", [1, 6, 8])
def test_the_orientation_of_xmp_counts_only_where_a_tiff_has_no_tag_of_it(
    make: bool, told: int | None, stale: int
) -> None:
    xmp = XMP.replace(b'tiff:Orientation="6"', b'tiff:Orientation="%d"' % stale)
    tags: list[tuple[Any, ...]] = [(700, "B", len(xmp), xmp, True)]
    tags += [(274, "H", 1, told, True)] if told else []
    tags += [(271, "s", 0, "ACME", True)] if make else []
    read = reading.decode(tiff(RGB, photometric="rgb", extratags=tags), "x")
    assert np.array_equal(read.pixels, metadata.upright(RGB, told or stale))
    assert metadata.orientation(read.metadata.exif, read.metadata.xmp) == 1


@pytest.mark.parametrize("lies", [1, 3, 6])
@pytest.mark.parametrize("with_exif", [True, False])
def test_only_the_boxes_of_an_avif_say_how_it_lies(lies: int, with_exif: bool) -> None:
    buffer = io.BytesIO()
    made = Image.Exif()
    made[0x0112] = lies
    if with_exif:
        made[0x010F] = "ACME"
    options = {"exif": made} if with_exif or lies != 1 else {}
    # Pillow makes boxes of the orientation that Exif says
    Image.fromarray(RGB).save(buffer, "AVIF", quality=100, subsampling="4:4:4", xmp=XMP, **options)
    read = reading.decode(buffer.getvalue(), "x")
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(buffer.getvalue())))) if lies != 1 else RGB
    assert read.pixels.shape == metadata.upright(RGB, lies).shape
    assert np.abs(read.pixels.astype(int) - upright).max() < 12
    assert metadata.orientation(read.metadata.exif, read.metadata.xmp) == 1


def test_exif_of_a_tiff_that_cannot_be_read_is_said_and_does_not_keep_it_from_being_turned() -> None:
    tags = [(274, "H", 1, 8, True), (315, "H", 1, 7, True)]
    read = reading.decode(tiff(RGB, photometric="rgb", extratags=tags), "x")
    assert np.array_equal(read.pixels, metadata.upright(RGB, 8))
    assert read.notes == (metadata.BROKEN_EXIF,)


@pytest.mark.parametrize(("code", "place"), [(34664, 3), (34852, 10**9)])
def test_a_directory_of_exif_that_is_not_there_is_damage(code: int, place: int) -> None:
    data = tiff(RGB, photometric="rgb", extratags=[(code, "I", 1, place, True)])
    # tifffile does not write tags that lead to directories
    data = data.replace(struct.pack("<HHI", code, 4, 1), struct.pack("<HHI", code + 1, 4, 1))
    with pytest.raises(DataError, match="x is damaged"):
        reading.decode(data, "x")


def types_of(exif: bytes) -> dict[int, int]:
    """The type of each tag of the first directory and that of Exif, read by hand."""
    order = "<" if exif.startswith(b"II") else ">"
    found: dict[int, int] = {}
    places = [struct.unpack_from(f"{order}I", exif, 4)[0]]
    while places:
        place = places.pop()
        for entry in range(struct.unpack_from(f"{order}H", exif, place)[0]):
            tag, kind, _, value = struct.unpack_from(f"{order}HHII", exif, place + 2 + 12 * entry)
            found[tag] = kind
            places += [value] if tag == 0x8769 else []
    return found


@pytest.mark.parametrize("text", ["Ann", "M\u00fcller", "\u732b"])
@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".png", ".webp", ".avif", ".jxl"])
@pytest.mark.parametrize("lies", [1, 6])
def test_texts_of_exif_keep_their_letters_and_their_type(tmp_path: Path, text: str, suffix: str, lies: int) -> None:
    made = Image.Exif()
    made[0x013B], made[0x0112] = metadata._Letters(text.encode().decode("latin-1")), lies
    date, owner, lens = 0x9003, 0xA430, 0xA434
    dated = {date: "2026:11:27 10:00:00", owner: made[0x013B], lens: made[0x013B]}
    made.get_ifd(0x8769).update(dated)
    read = reading.decode(jpeg(exif=made), "x")
    writing.write(tmp_path / f"x{suffix}", read)
    again = reading.read(tmp_path / f"x{suffix}").metadata.exif
    detail = metadata.parsed_exif(again).get_ifd(0x8769)
    for value in (metadata.parsed_exif(again)[0x013B], detail[owner], detail[lens]):
        assert value.encode("latin-1").decode() == text
    assert detail[date] == "2026:11:27 10:00:00"
    assert {tag: types_of(again)[tag] for tag in (0x013B, date, owner, lens)} == dict.fromkeys((0x013B, *dated), 2)


def test_exif_that_is_written_anew_has_no_empty_directories() -> None:
    camera, date = {0x0112: 3, 0x010F: 2}, {0x8769: 4, 0x9003: 2}
    made = Image.Exif()
    made[0x0112], made[0x010F] = 6, "ACME"
    assert types_of(metadata.for_upright(made.tobytes()[6:], 3, 4)) == camera
    made.get_ifd(0x8769)[0x9003] = "2026:11:27 10:00:00"
    written = metadata.for_upright(made.tobytes()[6:], 3, 4)
    assert types_of(written) == camera | date
    del made[0x010F]
    assert types_of(metadata.without_orientation(made.tobytes()[6:])) == date


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".jxl", ".tif"])
@pytest.mark.parametrize("lies", [1, 6])
def test_the_directory_of_interoperability_is_kept_or_said_to_be_lost(tmp_path: Path, suffix: str, lies: int) -> None:
    made = Image.Exif()
    made[0x0112] = lies
    made.get_ifd(0x8769).update({0x9003: "2026:11:27 10:00:00", 0xA005: {1: "R98", 2: b"0100"}})
    lost = writing.write(tmp_path / f"x{suffix}", reading.decode(jpeg(exif=made), "x"))
    again = metadata.parsed_exif(reading.read(tmp_path / f"x{suffix}").metadata.exif)
    assert again.get_ifd(0x8769)[0x9003] == "2026:11:27 10:00:00"
    assert again.get_ifd(0xA005) == ({} if suffix == ".tif" else {1: "R98", 2: b"0100"})
    assert (0xA005 in again.get_ifd(0x8769)) == (suffix != ".tif")
    assert ("Exif tags (ExifInteroperabilityOffset) are lost" in " ".join(lost)) == (suffix == ".tif")


@pytest.mark.parametrize("artist", ["Ann", "M\u00fcller"])
def test_letters_that_pillow_loses_of_a_turned_avif_are_said(artist: str) -> None:
    made = Image.Exif()
    made[0x013B] = artist.encode()  # type: ignore[assignment]
    buffer = io.BytesIO()
    # NOTE: Pillow writes an orientation in Exif as the box irot, and texts then in ASCII.
    Image.fromarray(RGB).save(buffer, "AVIF", exif=made.tobytes())
    plain = reading.decode(buffer.getvalue(), "x")
    assert metadata.parsed_exif(plain.metadata.exif)[0x013B].encode("latin-1").decode() == artist
    assert plain.notes == ()
    made[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "AVIF", exif=made.tobytes())
    lost = ("question marks in its Exif may stand for letters that are not ASCII",)
    assert reading.decode(buffer.getvalue(), "x").notes == (() if artist == "Ann" else lost)


def test_resolution_is_turned_with_the_picture() -> None:
    made = Image.Exif()
    made[0x0112], made[0x011A], made[0x011B], made[0x0128] = 6, 200.0, 100.0, 2
    read = reading.decode(jpeg(exif=made, dpi=(200, 100)), "x")
    assert read.metadata.dpi == (100, 200)
    assert metadata.exif_resolution(read.metadata.exif) == (100, 200)


def test_what_a_tiff_does_not_hold_of_exif_is_said(tmp_path: Path) -> None:
    made = Image.Exif()
    made[0x4746], made[0x010F] = 4, "ACME"
    lost = writing.write(tmp_path / "x.tif", reading.decode(jpeg(exif=made), "x"))
    assert lost == ("Exif tags (Rating) are lost",)


@pytest.mark.parametrize(("dpi", "lost"), [(101_600.0, True), (0.3, True), (300.0, False)])
def test_a_resolution_that_a_jpeg_cannot_say_is_said_to_be_lost(tmp_path: Path, dpi: float, lost: bool) -> None:
    said = writing.write(tmp_path / "x.jpg", Picture(RGB, metadata=Metadata(dpi=(dpi, dpi))))
    assert said == (("resolution is lost",) if lost else ())


def test_the_size_in_exif_is_that_of_what_is_cut_out() -> None:
    read = reading.decode(jpeg(exif=b"Exif\0\0" + exif()), "x")
    cut = Frame.parse("", "64x32").cut(read, "x")
    detail = metadata.parsed_exif(cut.metadata.exif).get_ifd(0x8769)
    assert (detail[0xA002], detail[0xA003]) == (64, 32)


@pytest.mark.parametrize(
    "data",
    [
        png(RGB.astype(np.uint16), 8, 2, (b"pHYs", struct.pack(">IIB", 2, 1, 0))),
        jpeg().replace(b"JFIF\0\1\1\0\0\1\0\1", b"JFIF\0\1\1\0\0\2\0\1"),
    ],
    ids=["png", "jpeg"],
)
def test_pixels_that_are_not_square_are_said(data: bytes) -> None:
    assert reading.decode(data, "x").notes == (metadata.OBLONG,)


def test_a_tiff_says_what_it_was_read_as(tmp_path: Path) -> None:
    curve = np.linspace(0, 65_535, 256).astype(int).tolist()
    read = reading.decode(tiff(GRAY.squeeze(), extratags=[(301, "H", 256, curve, True)]), "x")
    assert read.light == "linear"
    assert writing.write(tmp_path / "x.tif", read) == ()
    assert reading.read(tmp_path / "x.tif").light == "linear"


def test_a_png_in_srgb_stays_one(tmp_path: Path) -> None:
    read = reading.decode(png(RGB.astype(np.uint16), 8, 2, (b"sRGB", b"\1")), "x")
    assert writing.write(tmp_path / "x.png", read) == ()
    assert reading.read(tmp_path / "x.png").metadata.intent == 1


def test_a_profile_of_gray_is_not_put_beside_rgb(tmp_path: Path) -> None:
    icc = profiles.profile(profiles.power(2.2), gray=True)
    said = writing.write(tmp_path / "x.webp", Picture(GRAY, metadata=Metadata(icc=icc)))
    assert said == ("color profile is lost",)
    assert writing.write(tmp_path / "x.png", Picture(GRAY, metadata=Metadata(icc=icc))) == ()


# ---- inputs that were made to take long -----------------------------------------------------------------------------


def test_a_megabyte_of_fill_bytes_is_read_at_once() -> None:
    whole = jpeg()
    place = scan(whole)
    with pytest.raises(DataError, match="x is damaged"):
        reading.decode(whole[:place] + b"\xff" * 1_000_000 + b"\0" + whole[place:], "x")


def test_a_jpeg_of_hundreds_of_scans_is_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*_: object) -> None:
        raise AssertionError

    whole = jpeg(GRAY, progressive=True)
    starts = [place for place in range(len(whole) - 1) if whole[place : place + 2] == b"\xff\xda"]
    # the last one refines; the first one of all bits would not be refused for what it holds
    last, plain = whole[starts[-1] : -2], b"\xff\xda\0\x08\1\1\0\1\5\0" + bytes(99)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", decoded)
    with pytest.raises(DataError, match="x is damaged: a scan does not begin where the one before ends"):
        reading.decode(whole[:-2] + last + b"\xff\xd9", "x")
    with pytest.raises(DataError, match=r"x has \d+ scans; more than 500 are refused"):
        reading.decode(whole[:-2] + plain * 500 + b"\xff\xd9", "x")


def test_texts_that_unpack_to_a_lot_are_not_unpacked() -> None:
    text = zlib.compress(b"\nexif\n 9\n" + b"0" * (1 << 24))
    chunks = [(b"zTXt", b"Raw profile type exif\0\0" + text)] * 200
    assert reading.decode(png(RGB.astype(np.uint16), 8, 2, *chunks), "x").pixels.shape == RGB.shape
    bomb = bytes(imagecodecs.brotli_encode(bytes(1 << 26)))
    data = jxl.encode(RGB, Metadata(xmp=XMP))
    place = data.index(b"xml ") - 4
    read = reading.decode(data[:place] + boxes.box(b"brob", b"Exif" + bomb) + data[place:], "x")
    assert read.notes == ("metadata that cannot be unpacked are left out",)


def directory_of_pages(data: bytes, big: bool, order: str) -> tuple[int, int]:
    """Where the first directory of a TIFF begins, and where it names the next one."""
    if big:
        (first,) = struct.unpack_from(f"{order}Q", data, 8)
        return first, first + 8 + 20 * struct.unpack_from(f"{order}Q", data, first)[0]
    (first,) = struct.unpack_from(f"{order}I", data, 4)
    return first, first + 2 + 12 * struct.unpack_from(f"{order}H", data, first)[0]


@pytest.mark.parametrize("big", [False, True], ids=["classic", "big"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("reduced", [False, True], ids=["page", "preview"])
def test_a_tiff_whose_pages_go_in_circles_is_refused_at_once(big: bool, order: str, reduced: bool) -> None:
    data = bytearray(tiff(RGB, photometric="rgb", bigtiff=big, byteorder=order, subfiletype=int(reduced)))
    first, following = directory_of_pages(data, big, order)
    struct.pack_into(f"{order}{'Q' if big else 'I'}", data, following, first)
    with pytest.raises(DataError, match="x is damaged: a page of it names an earlier one as the next"):
        reading.decode(bytes(data), "x")
    assert first < following < len(data)


def test_a_tiff_whose_directory_below_is_its_own_is_read() -> None:
    data = tiff(RGB, photometric="rgb", extratags=[(331, "I", 1, 8, True)])
    first, _ = directory_of_pages(data, False, "<")
    below = struct.pack("<HHII", 330, 4, 1, first)
    circular = data.replace(struct.pack("<HHII", 331, 4, 1, 8), below)
    assert below in circular
    read = reading.decode(circular, "x")
    assert np.array_equal(read.pixels, RGB)
    assert read.notes == ("its previews are left out",)


def test_a_tiff_of_a_thousand_pages_and_more_is_refused() -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        for number in range(1001):
            file.write(GRAY[:16, :16, 0], photometric="minisblack", subfiletype=int(number > 0), metadata=None)
    with pytest.raises(DataError, match="x has more than 1000 pages"):
        reading.decode(buffer.getvalue(), "x")


# ---- what others write ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_lossy_floating_point_jpeg_xl_is_read(dtype: type) -> None:
    values = (RGB / 255).astype(dtype)
    read = reading.decode(imagecodecs.jpegxl_encode(values, distance=0.5), "x")
    assert np.abs(read.pixels / 65_535 - values).mean() < 0.01


def test_previews_and_units_of_their_own_are_said() -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(RGB, photometric="rgb", metadata=None)
        file.write(RGB[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
    assert reading.decode(buffer.getvalue(), "x").notes == ("its previews are left out",)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, GRAY.squeeze(), imagej=True, resolution=(4, 4), metadata={"unit": "um"})
    assert "its resolution in units of its own is left out" in reading.decode(buffer.getvalue(), "x").notes


@pytest.mark.parametrize("kind", ["WEBP", "BMP"])
def test_what_lies_behind_other_formats_is_said(kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, kind)
    assert reading.decode(buffer.getvalue() + b"\0trailer", "x").notes == ("8 bytes behind its end are left out",)
    assert reading.decode(buffer.getvalue(), "x").notes == ()


def test_a_bmp_with_colors_beyond_its_palette_is_refused() -> None:
    rows = b"".join(row.tobytes() for row in GRAY[::-1, :, 0] // 2)
    header = struct.pack("<IiiHHIIiiII", 40, 128, 96, 1, 8, 0, len(rows), 0, 0, 16, 0) + bytes(64)
    data = b"BM" + struct.pack("<IHHI", 118 + len(rows), 0, 0, 118) + header + rows
    with pytest.raises(DataError, match="its palette 16 colors"):
        reading.decode(data, "x")


@pytest.mark.parametrize("adobe", [True, False])
def test_only_adobe_writes_cmyk_the_other_way_around(adobe: bool) -> None:
    smooth = np.dstack([np.linspace(0, 255, 64 * 48).reshape(48, 64)] * 3).astype(np.uint8)
    inks = np.asarray(Image.fromarray(smooth).convert("CMYK"))
    # Pillow writes 255 for no ink, and says that it is Adobe.
    buffer = io.BytesIO()
    stored = Image.fromarray(inks if adobe else 255 - inks, "CMYK")
    stored.save(buffer, "JPEG", quality=98)
    data = buffer.getvalue()
    place = data.index(b"\xff\xee")
    assert data[place + 4 : place + 9] == b"Adobe"
    data = data if adobe else data[:place] + data[place + 16 :]
    assert np.abs(reading.decode(data, "x").pixels.astype(int) - smooth).max() < 6


@pytest.mark.parametrize("case", ["palette", "CMYK"])
def test_the_limit_of_pixels_is_that_of_degrain(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    image = Image.fromarray(RGB).convert("P" if case == "palette" else "CMYK")
    image.save(buffer, "PNG" if case == "palette" else "JPEG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert reading.decode(buffer.getvalue(), "x").pixels.shape == RGB.shape


@pytest.mark.parametrize("parts", [1, 3])
def test_a_profile_that_is_there_twice_is_read_once(parts: int) -> None:
    icc = profiles.profile(profiles.power(2.2))
    size = -(-len(icc) // parts)
    data = jpeg()
    for _ in range(2):
        for number in range(parts, 0, -1):
            contents = icc[(number - 1) * size : number * size]
            data = with_segment(data, 0xE2, b"ICC_PROFILE\0" + bytes([number, parts]) + contents)
    read = reading.decode(data, "x")
    assert (read.metadata.icc, read.notes) == (icc, ())
    other = with_segment(data, 0xE2, b"ICC_PROFILE\0" + bytes([1, parts]) + bytes(len(icc)))
    assert reading.decode(other, "x").notes == (metadata.BROKEN_PROFILE,)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("colors", ["Lab", "XYZ", "CMYK", "HSV"])
def test_a_profile_of_other_colors_is_left_out_and_that_is_said(kind: str, colors: str) -> None:
    icc = profiles.profile(profiles.power(1)).replace(b"RGB XYZ ", colors.ljust(4).encode() + b"XYZ ")
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, kind, icc_profile=icc)
    read = reading.decode(buffer.getvalue(), "x")
    assert (read.metadata.icc, read.light) == (b"", "srgb")
    assert read.notes == (f"its color profile is one of {colors} and left out",)


def runs_of(values: np.ndarray, bits: int, way: str) -> bytes:
    """Rows from the lowest up, as runs of one color, or written out; "gaps" leaves out color 0."""
    made = b""
    for row in values[::-1]:
        if way == "written out":
            packed = row.tobytes() if bits == 8 else imagecodecs.packints_encode(row, 4)
            made += bytes([0, len(row)]) + packed + b"\0" * (len(packed) % 2) + b"\0\0"
            continue
        place = 0
        while place < len(row):
            value = int(row[place])
            count = next((i for i, other in enumerate(row[place:]) if other != value), len(row) - place)
            skip = way == "gaps" and value == 0
            made += bytes([0, 2, count, 0] if skip else [count, value if bits == 8 else value * 17])
            place += count
        made += b"\0\0"
    return made + b"\0\1"


def packed_bmp(values: np.ndarray, bits: int, runs: bytes, colors: np.ndarray) -> bytes:
    height, width = values.shape
    table = np.pad(colors[:, ::-1], ((0, 0), (0, 1))).astype(np.uint8).tobytes()
    packing = {8: 1, 4: 2}[bits]
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, packing, len(runs), 0, 0, len(colors), 0)
    start = 14 + 40 + len(table)
    return b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start) + header + table + runs


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("way", ["runs", "written out", "gaps"])
@pytest.mark.parametrize("width", [61, 64])
def test_a_bmp_of_runs_is_read_with_what_it_leaves_out(bits: int, way: str, width: int) -> None:
    values = (np.sort(GRAY[:40, :width, 0], axis=1).astype(int) * (2**bits - 1) // 255 // 3 * 3).astype(np.uint8)
    values[5:9], values[:, 7:9] = 0, 0
    colors = np.random.default_rng(0).integers(0, 256, (2**bits, 3))
    read = reading.decode(packed_bmp(values, bits, runs_of(values, bits, way), colors), "x")
    assert np.array_equal(read.pixels, colors[values])
    gaps = "pixels that it says nothing of have the first color of its palette"
    assert read.notes == (*([gaps] if way == "gaps" else []), "its palette became RGB")


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        (b"\x09\1\0\1", "a run of its pixels does not fit"),
        (b"\0\2\x09\0\0\1", "its runs go beyond the picture"),
        (b"\0\2\0\x09\0\1", "its runs go beyond the picture"),
        (b"\0\0" * 9, "its runs go beyond the picture"),
        (b"\0\0" * 8 + b"\1\1", "a run of its pixels does not fit"),
        (b"\0\7\1", "a run of its pixels does not fit"),
        (b"\0\2\1", "it ends too early"),
        (b"\x08\1\0\0", "it ends too early"),
        (b"\0\1", "it says nothing of all but 0 of its 64 pixels"),
    ],
)
def test_runs_that_do_not_fit_a_bmp_are_damage(runs: bytes, words: str) -> None:
    with pytest.raises(DataError, match=f"x is damaged: {words}"):
        reading.decode(packed_bmp(np.zeros((8, 8), np.uint8), 8, runs, np.zeros((256, 3), int)), "x")


def test_a_packing_that_is_not_there_is_not_called_damage() -> None:
    data = tiff(GRAY.squeeze())
    compression = struct.pack("<HHI", 259, 3, 1)
    for method in (34661, 32809):
        bent = data.replace(compression + b"\1\0", compression + struct.pack("<H", method))
        with pytest.raises(DataError, match="x is packed in a way that cannot be read"):
            reading.decode(bent, "x")


@pytest.mark.parametrize(
    ("suffix", "longest"), [(".jpg", 65_500), (".webp", 16_383), (".avif", 32_768), (".png", 1_000_000)]
)
@pytest.mark.parametrize("high", [False, True], ids=["wide", "high"])
def test_the_largest_image_of_a_format_is_written_and_read_and_a_larger_one_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, longest: int, high: bool
) -> None:
    path = tmp_path / f"x{suffix}"
    pixels = np.zeros((longest, 1, 1) if high else (1, longest, 1), np.uint8)
    writing.write(path, Picture(pixels))
    assert reading.read(path).pixels.shape[:2] == pixels.shape[:2]
    larger = np.zeros((longest + 1, 1, 1) if high else (1, longest + 1, 1), np.uint8)
    with pytest.raises(OutputError, match=f"and the format has at most {longest} pixels in width or height"):
        writing.write(path, Picture(larger))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("color", [0, 2, 3])
def test_a_png_wider_than_libpng_takes_is_read(color: int) -> None:
    values = np.tile(np.arange(2, dtype=np.uint16), 500_001).reshape(1, -1, 1)
    values = np.repeat(values, 3, axis=2) if color == 2 else values
    read = reading.decode(png(values, 8, color, *[(b"PLTE", b"\1\2\3\4\5\6")] * (color == 3)), "x")
    expected = np.array([[1, 2, 3], [4, 5, 6]])[values[..., 0]] if color == 3 else values
    assert np.array_equal(read.pixels, expected)


def test_an_avif_larger_than_libavif_takes_is_refused_by_that_reason() -> None:
    data = others.encode_avif(RGB, Metadata())
    place = data.index(b"ispe") + 8
    bent = data[:place] + struct.pack(">II", 32_769, 96) + data[place + 8 :]
    with pytest.raises(DataError, match="x has 32769 x 96 pixels; AVIF files are read up to 32768 a side"):
        reading.decode(bent, "x")


@pytest.mark.parametrize(
    ("bits", "color", "ways"),
    [(8, 1, (0, 0, 0)), (16, 3, (0, 0, 0)), (4, 2, (0, 0, 0)), (8, 2, (0, 0, 2)), (8, 2, (1, 0, 0))],
)
def test_a_header_that_no_png_has_is_damage(
    bits: int, color: int, ways: tuple[int, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    whole = png(RGB.astype(np.uint16), 8, 2)
    header = chunk(b"IHDR", struct.pack(">IIBB", 128, 96, bits, color) + bytes(ways))
    with pytest.raises(DataError, match="x is damaged: no PNG has such a header"):
        reading.decode(whole[:8] + header + whole[33:], "x")
    assert capfd.readouterr() == ("", "")


def test_a_jpeg_larger_than_libjpeg_takes_is_refused_by_that_reason() -> None:
    with pytest.raises(DataError, match="x has 65501 x 1 pixels; JPEG files are read up to 65500 a side"):
        reading.decode(with_size(jpeg(GRAY), 1 - 96, 65_501 - 128), "x")


def jxl_container(exif: bytes) -> bytes:
    return jxl.encode(RGB, Metadata(exif=exif))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "JXL"])
@pytest.mark.parametrize("order", [b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"])
def test_exif_without_entries_is_not_damaged(kind: str, order: bytes) -> None:
    empty = order + bytes(6)
    buffer = io.BytesIO()
    if kind != "JXL":
        Image.fromarray(RGB).save(buffer, kind, exif=b"Exif\0\0" + empty)
    read = reading.decode(jxl_container(empty) if kind == "JXL" else buffer.getvalue(), "x")
    assert (read.metadata.exif, read.notes) == (b"", ())


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("kind", ["PNM", "JXL", "TIFF"])
@pytest.mark.parametrize("given", [None, "own", 65_535])
def test_a_white_that_does_not_count_is_said(kind: str, bits: int, given: int | str | None) -> None:
    top = 2**bits - 1
    values = (GRAY.astype(int) * top // 255).astype(np.uint16)
    if kind == "PNM":
        data = b"P5 128 96 %d\n" % top + values.astype(">u2").tobytes()
    elif kind == "JXL":
        data = imagecodecs.jpegxl_encode(values, lossless=True, bitspersample=bits)
    else:
        data = hand_made(values.shape[:2], bits, 1, rows_of(values[..., 0], bits))
    read = reading.decode(data, "x", white=top if given == "own" else given)  # type: ignore[arg-type]
    assert np.array_equal(read.pixels, np.rint(values * (65_535 / top)))
    said = f"it says itself that white is {top}: the given 65535 does not count"
    assert read.notes == ((said,) if given == 65_535 else ())
