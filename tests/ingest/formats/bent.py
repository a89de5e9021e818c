"""A process that reads bent files of one kind: python -m tests.ingest.formats.bent KIND FIRST COUNT.

What it is about to read stands on its last line of output, so that a crash or a hang names its input.
"""

from __future__ import annotations

import io
import re
import resource
import signal
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import scipy.io
import skimage.data
import tifffile
from PIL import Image

from degrain.errors import DataError
from degrain.ingest.formats import boxes, camera_raw, jxl, mat, reading, zips
from degrain.ingest.formats.picture import Metadata
from tests.ingest.formats import fixtures, profiles
from tests.ingest.formats.test_damage import packed_bmp, runs_of
from tests.ingest.formats.test_light import bmp
from tests.ingest.formats.test_meaning import XMP, hand_made, png

SECONDS = 10
# How `reading.refused` words what no decoder expects.
UNFORESEEN = re.compile(r"cannot be read: \w+(Error|Exception|Warning)\b")
PIXELS = skimage.data.astronaut()[100:148, 100:164]
DEEP = PIXELS.astype(np.uint16) * 257 + np.arange(64, dtype=np.uint16)[:, None] % 5
Kind = tuple[Callable[[], list[bytes]], Callable[[bytes], np.ndarray], Callable[[bytes], np.ndarray | None]]


def saved(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def exif() -> bytes:
    made = Image.Exif()
    made[0x0112], made[0x010F] = 1, "ACME"
    return made.tobytes()


def pngs() -> list[bytes]:
    palette = Image.fromarray(PIXELS).convert("P")
    buffer = io.BytesIO()
    palette.save(buffer, "PNG", transparency=3)
    return [saved(PIXELS, "PNG"), saved(PIXELS, "PNG", exif=exif()), imagecodecs.png_encode(DEEP), buffer.getvalue()]


def jpegs() -> list[bytes]:
    return [
        saved(PIXELS, "JPEG", quality=90),
        saved(PIXELS, "JPEG", progressive=True, exif=exif()),
        saved(PIXELS[..., 0], "JPEG"),
        saved(PIXELS, "JPEG", subsampling=0),
    ]


def tiffs() -> list[bytes]:
    return [
        tiff(PIXELS, photometric="rgb"),
        tiff(DEEP, photometric="rgb", compression="zlib", predictor=True),
        tiff(PIXELS[..., 0], photometric="minisblack", compression="lzw", tile=(16, 16)),
        tiff(np.moveaxis(DEEP, 2, 0), photometric="rgb", planarconfig="separate", compression="packbits"),
        hand_made((8, 8), 8, 1, PIXELS[:8, :8, 0].tobytes()),
    ]


def described() -> list[bytes]:
    """Files with a profile, Exif and XMP, in every format that has them; small ones, so that much of them is these."""
    pixels, icc = PIXELS[:16, :16], profiles.profile(profiles.power(2.2))
    beside = {"exif": rich_exif(), "xmp": XMP, "icc_profile": icc}
    packed = boxes.box(b"brob", b"Exif" + bytes(imagecodecs.brotli_encode(b"\0\0\0\0" + rich_exif()[6:])))
    plain = jxl.encode(pixels, Metadata(xmp=XMP))
    place = plain.index(b"xml ") - 4
    exif_tags = [(700, "B", len(XMP), XMP, True), (315, "s", 0, "Ann", True), (274, "H", 1, 1, True)]
    text = (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 9\n" + rich_exif().hex().encode()))
    return [
        saved(pixels, "PNG", exif=beside["exif"], icc_profile=icc),
        png(pixels.astype(np.uint16), 8, 2, text, (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)),
        png(pixels.astype(np.uint16), 8, 2, (b"iCCP", b"x\0\0" + zlib.compress(icc, 0)), (b"cICP", b"\1\x0d\0\1")),
        saved(pixels, "JPEG", **beside),
        saved(pixels, "WEBP", lossless=True, **beside),
        saved(pixels, "AVIF", **beside),
        saved(pixels, "TIFF", exif=beside["exif"], icc_profile=icc),
        tiff(pixels, photometric="rgb", metadata=None, iccprofile=icc, extratags=exif_tags, bigtiff=True),
        tiff(pixels, photometric="rgb", metadata=None, iccprofile=icc, extratags=exif_tags, byteorder=">"),
        bmp(icc),
        jxl.encode(pixels, Metadata(exif=rich_exif()[6:], xmp=XMP)),
        plain[:place] + packed + plain[place:],
    ]


def rich_exif() -> bytes:
    """Exif of many types, with directories of the camera, GPS and interoperability."""
    made = Image.Exif()
    made[0x0112], made[0x010F], made[0x011A], made[0x011B], made[0x0128] = 1, "ACME", 72.0, 72.0, 2
    detail = {0x8827: 400, 0x829A: 0.01, 0x9003: "2026:11:27 10:00:00", 0x9204: -0.5, 0x927C: b"maker", 0xA002: 16}
    made.get_ifd(0x8769).update(detail | {0xA005: {1: "R98"}})
    made.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 12.5), 29: "2026:11:27"})
    return made.tobytes()


def others() -> list[bytes]:
    return [
        saved(PIXELS, "BMP"),
        packed_bmp(
            PIXELS[:16, :16, 0] // 16, 4, runs_of(PIXELS[:16, :16, 0] // 16, 4, "gaps"), np.eye(16, 3, dtype=int)
        ),
        saved(PIXELS, "WEBP", lossless=True),
        saved(PIXELS, "AVIF", quality=70),
        imagecodecs.jpegxl_encode(PIXELS, lossless=True),
        b"P6\n64 48\n255\n" + PIXELS.tobytes(),
    ]


def mats() -> list[bytes]:
    return [
        fixtures.mat_v5(x=PIXELS),
        fixtures.mat_v5(False, x=DEEP[..., 0]),
        fixtures.mat_v73({"x": PIXELS}),
        fixtures.mat_v73({"x": (DEEP[..., 0] / 65535)}, chunks=(16, 16), compression="gzip"),
    ]


def dngs() -> list[bytes]:
    mosaic = (DEEP[..., 0] // 64).astype(np.uint16)
    return [fixtures.dng(mosaic, white=1023), fixtures.dng(mosaic, "bggr", (64, 65, 66, 67), 1023)]


def zipped() -> list[bytes]:
    members = {"a/x.png": saved(PIXELS, "PNG"), "b.txt": b"hello" * 50}
    return [fixtures.zipped(members), fixtures.zipped(members, zipfile.ZIP_STORED)]


def read_image(data: bytes) -> np.ndarray:
    picture = reading.decode(data, "x")
    return picture.pixels if picture.alpha is None else np.dstack([picture.pixels, picture.alpha])


def read_mat(data: bytes) -> np.ndarray:
    with at(data, "x.mat") as path:
        return mat.picture(mat.read(path), None, "x").pixels


def read_dng(data: bytes) -> np.ndarray:
    return camera_raw.read(data, "linear").pixels


def read_zip(data: bytes) -> np.ndarray:
    with at(data, "x.zip") as path:
        archive = zips.Zip(path)
        try:
            archive.verify()
            return np.frombuffer(b"".join(archive.read(name) for name in sorted(archive.names)), np.uint8)
        finally:
            archive.close()


class at:  # noqa: N801  (reads as what it is: a file at a place)
    """The bytes as a file, for readers that want one."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data, self._name = data, name

    def __enter__(self) -> Path:
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / self._name
        path.write_bytes(self._data)
        return path

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def by_pillow(data: bytes) -> np.ndarray | None:
    image = Image.open(io.BytesIO(data))
    if image.getexif().get(0x0112, 1) != 1:
        return None
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")  # type: ignore[assignment]
    values = np.asarray(image)
    return values if values.ndim == 3 else values[..., None]


def by_opencv(data: bytes) -> np.ndarray | None:
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        return None
    return values[..., [2, 1, 0, *range(3, values.shape[2])]] if values.ndim == 3 else values[..., None]


def by_another(data: bytes) -> np.ndarray | None:
    """Pillow has 8 bits a channel of color only; OpenCV has 16."""
    first = by_pillow(data)
    second = by_opencv(data)
    return second if second is not None and second.dtype == np.uint16 else first


def by_libtiff(data: bytes) -> np.ndarray | None:
    """Values as they are in the file, which are those of the picture for two kinds of it."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages[0]
        if page.bitspersample not in (8, 16) or int(page.photometric) not in (1, 2):
            return None
    values = imagecodecs.tiff_decode(data)
    if values.ndim == 3 and values.shape[0] == 3:
        values = np.moveaxis(values, 0, 2)
    return values if values.ndim == 3 else values[..., None]


def by_scipy(data: bytes) -> np.ndarray | None:
    found = scipy.io.loadmat(io.BytesIO(data))
    (values,) = (value for name, value in found.items() if not name.startswith("__"))
    return values if values.ndim == 3 else values[..., None]


def as_it_was(data: bytes) -> np.ndarray | None:
    """What a checksum covers is what was packed."""
    return np.frombuffer(saved(PIXELS, "PNG") + b"hello" * 50, np.uint8)


def nobody(data: bytes) -> np.ndarray | None:
    return None


KINDS: dict[str, Kind] = {
    "png": (pngs, read_image, by_another),
    "jpeg": (jpegs, read_image, by_pillow),
    "tiff": (tiffs, read_image, by_libtiff),
    "described": (described, read_image, nobody),
    "others": (others, read_image, nobody),
    "mat": (mats, read_mat, by_scipy),
    "dng": (dngs, read_dng, nobody),
    "zip": (zipped, read_zip, as_it_was),
}


def bent(whole: list[bytes], first: int, count: int) -> Iterator[tuple[int, bytes]]:
    """Inputs by their numbers: a file with one to four bytes changed, some of them copied, or cut off, mostly near its
    beginning."""
    for number in range(first, first + count):
        draw = np.random.default_rng([fixtures.RNG_SEED, number])
        data = bytearray(whole[number % len(whole)])
        end = len(data) if draw.random() < 0.5 else min(len(data), 400)
        for _ in range(int(draw.integers(1, 5))):
            data[int(draw.integers(0, end))] = int(draw.integers(0, 256))
        if draw.random() < 0.25:
            # a number of the header in another place, as of a directory that leads to itself
            place, other, size = int(draw.integers(0, end // 2)) * 2, int(draw.integers(0, 5)) * 4, 4
            data[place : place + size] = data[other : other + size]
        if draw.random() < 0.1:
            del data[int(draw.integers(0, len(data))) :]
        # Half of the bent PNG files have right checksums again.
        yield number, resealed(bytes(data)) if data.startswith(b"\x89PNG") and number % 8 < 4 else bytes(data)


def resealed(data: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what they hold now, as far as it can be followed."""
    place, made = 8, bytearray(data)
    while place + 12 <= len(made):
        end = place + 8 + int.from_bytes(made[place : place + 4], "big")
        if end + 4 > len(made):
            break
        made[end : end + 4] = zlib.crc32(made[place + 4 : end]).to_bytes(4, "big")
        place = end + 4
    return bytes(made)


def main(kind: str, first: int, count: int) -> None:
    make, read, independent = KINDS[kind]
    whole = make()
    for data in whole:
        read(data)  # what is whole is read, and all libraries are loaded
    warnings.simplefilter("ignore")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    accepted = compared = 0
    for number, data in bent(whole, first, count):
        sys.stdout.write(f"input {number}\n")
        sys.stdout.flush()
        signal.alarm(SECONDS)
        values = told = None
        try:
            values = read(data)
        except DataError as error:
            told = str(error)
        finally:
            signal.alarm(0)
        if values is None:
            assert told, number
            assert "\n" not in told, number
            assert not UNFORESEEN.search(told), f"{number}: {told}"
            continue
        accepted += 1
        try:
            other = independent(data)
        except Exception:  # the other library refuses it, or has a mistake of its own
            continue
        if other is not None and other.shape == values.shape and other.dtype == values.dtype:
            assert np.array_equal(values, other), f"{number}: other pixels"
            compared += 1
        elif other is not None and kind != "mat":
            assert other.dtype != values.dtype or other.shape == values.shape, f"{number}: {other.shape} {values.shape}"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert peak < 1 << 20, f"{peak} KiB"
    sys.stdout.write(f"done: {accepted} accepted, {compared} compared\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
