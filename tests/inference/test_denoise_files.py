"""What of an image file is denoised: all of it, or what is left when it has been resized and cropped."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from degrain.errors import ParamsError
from degrain.inference import denoise_files
from degrain.inference.denoise_files import Frame
from degrain.inference.denoiser import Denoiser
from degrain.ingest.formats import reading
from tests.conftest import picture
from tests.inference.test_denoiser import package

COLOR, GRAY, ALPHA = picture(0), picture(1, channels=1).astype(np.uint16) * 257 + 3, picture(2, channels=1)[..., 0]
PICTURES = {
    "alpha.png": reading.Picture(COLOR, ALPHA),
    "deep.png": reading.Picture(GRAY),
    "deep.tif": reading.Picture(COLOR.astype(np.uint16) * 257 + 3),
    "gray.jpg": reading.Picture(picture(3, channels=1)),
}


@pytest.fixture
def denoiser(tmp_path: Path) -> Denoiser:
    """An untrained U-Net, which gives back what it gets."""
    return Denoiser.load(package(tmp_path / "model", "unet", 3))


@pytest.mark.parametrize(
    ("resize", "crop", "shape"),
    [
        ("342x256", "256x256", (256, 256)),
        ("256x342", "256x256", (256, 256)),
        ("40x30", "", (30, 40)),
        ("", "50x20", (20, 50)),
        ("128x96", "128x96", (96, 128)),
        ("", "", (96, 128)),
    ],
)
def test_images_are_resized_and_then_cropped(
    tmp_path: Path, denoiser: Denoiser, resize: str, crop: str, shape: tuple[int, int]
) -> None:
    for name, image in PICTURES.items():
        reading.write(tmp_path / "in" / name, image)
    pairs = denoise_files.plan(tmp_path / "in", tmp_path / "out")
    assert denoise_files.run(denoiser, pairs, 256, 32, Frame.parse(resize, crop)) == []

    def expected(pixels: np.ndarray) -> np.ndarray:
        size = tuple(int(side) for side in resize.split("x")) if resize else (128, 96)
        return cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)[: shape[0], : shape[1]].astype(int)

    for source, target in pairs:
        before, after = reading.read(source), reading.read(target)
        assert after.pixels.shape == (*shape, before.pixels.shape[2])
        assert after.pixels.dtype == before.pixels.dtype
        difference = np.abs(after.pixels.squeeze() - expected(before.pixels))
        assert difference.max() <= (12 if source.suffix == ".jpg" else 1)
        assert (after.alpha is None) == (before.alpha is None)
        if before.alpha is not None:
            assert np.array_equal(after.alpha, expected(before.alpha))


def test_an_image_too_small_for_the_crop_does_not_stop_the_others(tmp_path: Path, denoiser: Denoiser) -> None:
    for name, image in (("large.png", COLOR), ("small.png", COLOR[:20, :30])):
        reading.write(tmp_path / "in" / name, reading.Picture(image))
    pairs = denoise_files.plan(tmp_path / "in", tmp_path / "out")
    problems = denoise_files.run(denoiser, pairs, 256, 32, Frame(crop=(64, 64)))
    assert problems == [f"{tmp_path / 'in' / 'small.png'} has 30x20 pixels; --crop 64x64 is larger"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["large.png"]


@pytest.mark.parametrize("text", ["342", "axb", "0x10", "10x0", "10x", "10X10", "-3x5", "1.5x2", "10x10x3", " 10x10"])
def test_a_misspelt_size_is_refused(text: str) -> None:
    for option, arguments in (("--resize", (text, "")), ("--crop", ("", text))):
        with pytest.raises(ParamsError) as caught:
            Frame.parse(*arguments)
        assert str(caught.value) == f"{option}: {text!r} is not a width and a height in pixels, such as 342x256"


def test_an_impossible_size_is_refused() -> None:
    with pytest.raises(ParamsError, match="--resize: 99999x9999 is more than 200 million pixels"):
        Frame.parse("99999x9999", "")
    with pytest.raises(ParamsError, match="--crop 48x64 does not fit into --resize 64x48"):
        Frame.parse("64x48", "48x64")
