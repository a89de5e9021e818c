"""A folder of odd files from many programs: what their owners would expect comes out, and the rest is named."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from typer.testing import CliRunner

from degrain.cli.main import app
from degrain.ingest.formats import jxl, metadata, reading
from degrain.ingest.formats.picture import Metadata
from tests.conftest import picture
from tests.inference.test_denoiser import package
from tests.ingest.formats import fixtures
from tests.ingest.formats.test_meaning import exif, png, rows_of

RGB = picture(0, 64, 80)
GRAY = picture(1, 64, 80, channels=1)[..., 0]
DEEP = RGB.astype(np.uint16) * 257
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def saved(pixels: Any, kind: str, **options: Any) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(values: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def files() -> dict[str, bytes]:
    image = Image.fromarray(RGB)
    frames = [Image.fromarray(np.roll(RGB, 9 * i, 1)) for i in range(3)]
    mosaic = np.random.default_rng(0).integers(64, 900, (64, 80)).astype(np.uint16)
    twelve = (GRAY.astype(int) * 4095 // 255).astype(np.uint16)
    half = np.full(GRAY.shape, 128, np.uint8)
    return {
        "fax.tif": saved(Image.fromarray(GRAY).convert("1"), "TIFF", compression="group4"),
        "float.tif": tiff((RGB / 255).astype(np.float32), photometric="rgb"),
        "export.jxl": jxl.encode(DEEP, Metadata()),
        "layers.tif": tiff(
            np.dstack([(RGB // 2), half]),
            photometric="rgb",
            extrasamples=["assocalpha"],
            compression="lzw",
            predictor=True,
        ),
        "magazine.jpg": saved(image.convert("CMYK"), "JPEG", quality=95),
        "microscope 12 bit.tif": tiff(twelve, photometric="minisblack", resolution=(25400, 25400)),
        "old.bmp": saved(image.convert("P"), "BMP"),
        "phone.jpg": saved(image, "JPEG", quality=95, exif=b"Exif\0\0" + exif(6, thumbnail=True)),
        "photo.avif": saved(image, "AVIF", quality=95),
        "photo.webp": saved(Image.fromarray(np.dstack([RGB, GRAY])), "WEBP", lossless=True),
        "print.tif": saved(image.convert("CMYK"), "TIFF"),
        "retouched.png": png(np.dstack([DEEP, GRAY.astype(np.uint16) * 257]), 16, 6),
        "scan.tif": tiff(np.moveaxis(DEEP, 2, 0), photometric="rgb", planarconfig="separate", iccprofile=ICC),
        "screenshot.png": saved(image.convert("P"), "PNG", transparency=0),
        "sensor.pgm": b"P5\n# 10 bits\n80 64\n1023\n" + (GRAY.astype(int) * 4).astype(">u2").tobytes(),
        "shot.DNG": fixtures.dng(mosaic, black=(64,), white=1023),
        "shot.JPG": saved(image, "JPEG"),
        "was a jpeg.png": saved(image, "JPEG", quality=95),
        "white is zero.tif": tiff(255 - GRAY, photometric="miniswhite"),
        "ünï 猫 $x & <b>.jpeg": cv2.imencode(".jpg", RGB[..., ::-1])[1].tobytes(),
        # What nobody can expect to come out:
        "animated.png": saved(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        "cut off.jpg": saved(image, "JPEG")[:900],
        "iphone.jpg": b"\0\0\0\x18ftypheic" + b"\0" * 99,
        "pages.tif": saved(frames[0], "TIFF", save_all=True, append_images=frames[1:]),
        "signed.tif": tiff(GRAY.astype(np.int16), photometric="minisblack"),
        "._phone.jpg": b"AppleDouble",
        "Thumbs.db": b"\xd0\xcf\x11\xe0",
        "phone.xmp": b"<x:xmpmeta/>",
        "funny.gif": saved(image, "GIF"),
    }


REFUSED = {
    "animated.png": "is an animation of 3 frames; only single images are supported",
    "cut off.jpg": "is damaged",
    "iphone.jpg": "is a HEIC or HEIF image; save it as PNG, TIFF or JPEG",
    "pages.tif": "has 3 pages; only single images are supported",
    "signed.tif": "has signed values, whose black and white nothing says; save it as unsigned",
}
NOTES = {
    "float.tif": "its floating-point values became 16 bits, white being 1",
    "layers.tif": "its colors were multiplied by alpha, and no longer are",
    "magazine.jpg": "its CMYK became sRGB",
    "microscope 12 bit.tif": "its values use 12 of 16 bits: white is taken to be 4095 (--white sets it)",
    "old.bmp": "its palette became RGB",
    "print.tif": "its CMYK became sRGB",
    "screenshot.png": "its palette became RGB",
}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder with in/ and out/, and what `degrain denoise` said; the network gives back what it gets."""
    root = tmp_path_factory.mktemp("odd")
    package(root / "model", "unet", 3)
    for name, data in files().items():
        fixtures.write(root / "in" / name, data)
    arguments = ["denoise", f"{root}/in", f"{root}/out", "--model", f"{root}/model", "--precision", "float32"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return root, CliRunner().invoke(app, arguments)


def test_the_end_says_what_became_of_each(outcome: tuple[Path, Any]) -> None:
    root, result = outcome
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert lines[-1] == (
        "19 written, 5 refused, 0 there already; left out: 1 .gif files, 1 .xmp files, 2 hidden files, and those that "
        "systems and programs keep beside images, 1 images that a camera saved beside its raw files"
    )
    refused = [line for line in lines if line.startswith("degrain: ")]
    assert len(refused) == len(REFUSED)
    for name, words in REFUSED.items():
        assert any(line.startswith(f"degrain: {root}/in/{name} {words}") for line in refused), (name, refused)
    # An untrained network finds no noise.
    for name, note in NOTES.items():
        assert f"{root}/in/{name} -> {root}/out/{name} (noise of 0.0 levels; {note})" in lines, name
    said = [line for line in lines if " -> " in line and not line.endswith("(noise of 0.0 levels)")]
    assert len(said) == len(NOTES)


def test_every_picture_that_can_be_read_comes_out_as_it_went_in(outcome: tuple[Path, Any]) -> None:
    root, _ = outcome
    expected = {name for name in files() if name not in REFUSED} - {
        *("._phone.jpg", "Thumbs.db", "phone.xmp", "funny.gif", "shot.JPG", "shot.DNG"),
    } | {"shot.tif"}
    assert {path.name for path in (root / "out").iterdir()} == expected
    for name in expected - {"shot.tif"}:
        before, after = (reading.read(root / folder / name) for folder in ("in", "out"))
        assert after.pixels.shape == before.pixels.shape, name
        assert after.pixels.dtype == before.pixels.dtype, name
        scale = 257 if before.pixels.dtype == np.uint16 else 1
        difference = np.abs(after.pixels.astype(int) - before.pixels).mean() / scale
        assert difference < (4 if name.endswith((".jpg", ".jpeg", ".avif")) else 0.6), (name, difference)
        assert (after.alpha is None) == (before.alpha is None), name
        assert after.metadata.icc == before.metadata.icc, name
        if before.metadata.dpi:
            assert after.metadata.dpi == pytest.approx(before.metadata.dpi, abs=0.1), name


def test_what_was_meant_is_what_was_read(outcome: tuple[Path, Any]) -> None:
    root, _ = outcome

    def pixels(name: str) -> np.ndarray:
        return reading.read(root / "out" / name).pixels.astype(int)

    assert pixels("phone.jpg").shape == (80, 64, 3)
    assert metadata.orientation(reading.read(root / "out" / "phone.jpg").metadata.exif) == 1
    for name in ("scan.tif", "retouched.png", "export.jxl", "float.tif"):
        assert np.abs(pixels(name) - DEEP).max() <= 257, name
    for name in ("white is zero.tif",):
        assert np.abs(pixels(name)[..., 0] - GRAY).max() <= 1
    assert pixels("microscope 12 bit.tif").max() <= 4095
    assert np.abs(pixels("sensor.pgm")[..., 0] / 65535 - GRAY.astype(int) * 4 / 1023).max() < 0.01
    for name in ("print.tif", "magazine.jpg", "was a jpeg.png", "ünï 猫 $x & <b>.jpeg"):
        assert np.abs(pixels(name) - RGB).mean() < 12, name
    assert set(np.unique(pixels("fax.tif"))) <= set(range(4)) | set(range(252, 256))
    assert rows_of(pixels("fax.tif")[..., 0] > 127, 1) == rows_of(np.asarray(Image.fromarray(GRAY).convert("1")), 1)
