"""`degrain denoise` as part of a pipe, and with a page: run as a user does."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from tifffile import TiffWriter

from degrain.evaluation.sharpening import KERNEL
from degrain.ingest.formats import reading, writing
from degrain.ingest.formats.picture import Metadata, Picture
from tests.conftest import BIN, picture, save
from tests.inference.test_denoiser import package
from tests.test_cli import degrain, degrain_here


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an image and an untrained U-Net, which gives back what it gets."""
    package(tmp_path / "model", "unet", 3)
    save(tmp_path / "noisy.png", picture(0))
    return tmp_path


def piped(
    folder: Path, data: bytes, *arguments: str, stdout: Any = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [str(BIN / "degrain"), "denoise", *arguments, "--model", "model"],
        cwd=folder,
        input=data,
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        timeout=120,
    )


def assert_one_line(done: subprocess.CompletedProcess[bytes], words: str) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stderr.decode().startswith("degrain: ")
    assert len(done.stderr.decode().splitlines()) == 1, done.stderr
    assert words in done.stderr.decode()
    assert not done.stdout


DEEP = Picture(picture(1).astype(np.uint16) * 257 + 3, metadata=Metadata(dpi=(300.0, 300.0)))

# LibRaw takes such a TIFF for a raw file.
GRAY = Picture(picture(1, channels=1).astype(np.uint16) * 257 + 3)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("x.png", Picture(picture(0), picture(2, channels=1)[..., 0])),
        ("x.jpg", Picture(picture(0))),
        ("x.tif", DEEP),
        ("gray.tif", GRAY),
    ],
)
def test_what_goes_through_a_pipe_is_what_a_file_would_hold(folder: Path, name: str, made: Picture) -> None:
    writing.write(folder / name, made)
    done = piped(folder, (folder / name).read_bytes(), "-", "-")
    assert done.returncode == 0, done.stderr
    assert degrain_here(folder, "denoise", name, f"out/{name}", "--model", "model").returncode == 0
    assert done.stdout == (folder / "out" / name).read_bytes()
    assert done.stderr.decode().startswith("stdin -> stdout")


def test_only_one_end_may_be_a_pipe(folder: Path) -> None:
    data = (folder / "noisy.png").read_bytes()
    done = piped(folder, b"", "noisy.png", "-")
    assert (done.returncode, done.stderr.decode()) == (0, "noisy.png -> stdout (noise of 0.0 levels)\n")
    assert np.array_equal(reading.decode(done.stdout, "x").pixels, picture(0))
    done = piped(folder, data, "-", "out/clean.jpg", "--crop", "64x32")
    assert (done.returncode, done.stderr.decode()) == (0, "stdin -> out/clean.jpg (noise of 0.0 levels)\n")
    assert reading.read(folder / "out" / "clean.jpg").pixels.shape == (32, 64, 3)
    assert_one_line(piped(folder, data, "-", "out/clean.jpg"), "out/clean.jpg is there already; --force replaces it")
    assert piped(folder, data, "-", "out/clean.jpg", "--force").returncode == 0


@pytest.mark.parametrize(
    ("data", "arguments", "words"),
    [
        (b"", ("-", "-"), "stdin is empty"),
        (b"no image", ("-", "-"), "stdin is not an image of a supported format"),
        (b"GIF89a", ("-", "-"), "stdin is a GIF, which has only 256 colors; save it as PNG"),
        (None, ("-", "-"), "stdin is damaged"),
        (b"", ("-", "."), ". is a folder; an image from stdin needs the name of a file"),
        (b"", ("-", "x.webm"), "x.webm: the name must end with .png"),
        (b"", (".", "-"), ". is a folder; stdout takes one image"),
        (b"", ("gone.png", "-"), "gone.png does not exist"),
        (b"", ("noisy.png", "-", "--crop", "999x999"), "noisy.png has 128x96 pixels; --crop 999x999 is larger"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_on_stdout(
    folder: Path, monkeypatch: pytest.MonkeyPatch, data: bytes | None, arguments: tuple[str, ...], words: str
) -> None:
    content = (folder / "noisy.png").read_bytes()[:-500] if data is None else data
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    done = degrain_here(folder, "denoise", *arguments, "--model", "model")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"degrain: {words}")


def test_the_preview_of_a_camera_raw_file_is_not_taken_for_the_picture(folder: Path) -> None:
    """Only the suffix of such a file tells it from a TIFF, and stdin has none."""
    mosaic = np.random.default_rng(0).integers(0, 4000, (400, 500)).astype(np.uint16)
    camera = [(271, "s", 0, "NIKON CORPORATION", True), (272, "s", 0, "NIKON D90", True)]
    pattern = [(33421, "H", 2, (2, 2), True), (33422, "B", 4, bytes([0, 1, 1, 2]), True)]
    made = io.BytesIO()
    with TiffWriter(made) as file:
        plain = {"metadata": None, "software": False}
        file.write(picture(0), photometric="rgb", subifds=1, subfiletype=1, extratags=camera, **plain)
        file.write(mosaic, photometric=32803, subfiletype=0, extratags=pattern, **plain)
    assert_one_line(piped(folder, made.getvalue(), "-", "-"), "stdin is a camera raw file, which only its name")


def test_a_reader_that_is_gone_and_a_full_disk_are_one_line(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        assert_one_line(piped(folder, b"", "noisy.png", "-", stdout=gone), "cannot write stdout: Broken pipe")
    with Path("/dev/full").open("wb") as full:
        done = piped(folder, b"", "noisy.png", "-", stdout=full)
    assert_one_line(done, "cannot write stdout: No space left on device")


def test_no_image_is_written_to_a_terminal_or_read_from_one(folder: Path) -> None:
    ours, terminal = pty.openpty()
    try:
        done = piped(folder, b"", "noisy.png", "-", stdout=terminal)
        assert_one_line(done, "stdout is a terminal or closed; send it to a file: degrain denoise noisy.png - > out")
        done = subprocess.run(
            [str(BIN / "degrain"), "denoise", "-", "x.png"], stdin=terminal, capture_output=True, check=False
        )
        assert_one_line(done, "stdin is a terminal or closed; send an image to it: degrain denoise - clean.png < noisy")
    finally:
        os.close(ours)
        os.close(terminal)


@pytest.mark.parametrize(("closed", "arguments"), [("<&-", "- x.png"), (">&-", "noisy.png -")])
def test_a_stream_that_is_closed_is_no_other_file(folder: Path, closed: str, arguments: str) -> None:
    done = subprocess.run(
        f"{BIN}/degrain denoise {arguments} --model model {closed}",
        shell=True,
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert_one_line(done, "is a terminal or closed")


def test_a_file_called_like_the_stream_can_be_named(folder: Path) -> None:
    (folder / "noisy.png").rename(folder / "-")
    assert degrain_here(folder, "denoise", "./-", "x.png", "--model", "model").returncode == 0
    assert (folder / "x.png").exists()


def test_sharpening_is_done_to_the_result(folder: Path) -> None:
    done = piped(folder, (folder / "noisy.png").read_bytes(), "-", "-", "--sharpen")
    assert degrain_here(folder, "denoise", "noisy.png", "x.png", "--model", "model", "--sharpen").returncode == 0
    expected = cv2.filter2D(picture(0), -1, KERNEL, borderType=cv2.BORDER_REFLECT_101)
    for made in (Image.open(io.BytesIO(done.stdout)), Image.open(folder / "x.png")):
        assert np.array_equal(np.asarray(made), expected)


def test_a_page_compares_one_image_and_replaces_nothing_by_itself(folder: Path) -> None:
    arguments = ("denoise", "noisy.png", "clean.png", "--compare", "out/page.html", "--model", "model")
    done = degrain(folder, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "noisy.png -> clean.png (noise of 0.0 levels)",
        "out/page.html shows it before and after",
    ]
    before = (folder / "out" / "page.html").read_bytes()
    (folder / "clean.png").unlink()
    done = degrain_here(folder, *arguments)
    assert (done.returncode, done.stderr) == (2, "degrain: out/page.html is there already; --force replaces it\n")
    assert not (folder / "clean.png").exists()
    assert degrain_here(folder, *arguments, "--force").returncode == 0
    assert (folder / "out" / "page.html").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("in", "out", "--compare", "page.html"), "in is a folder; --compare shows one image"),
        (("noisy.png", "x.png", "--compare", "page.png"), "page.png: the name must end with .html, .htm"),
        (("noisy.png", "x.png", "--compare", "link.html"), "link.html is the input noisy.png; name another output"),
        (("noisy.png", "x.png", "--compare", "noisy.png/page.html"), "cannot write noisy.png/page.html"),
    ],
)
def test_a_page_that_cannot_be_is_refused_first(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    save(folder / "in" / "a.png", picture(0))
    (folder / "link.html").symlink_to("noisy.png")
    done = degrain_here(folder, "denoise", *arguments, "--model", "model", "--force")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert words in done.stderr
    assert not (folder / "x.png").exists()
    assert np.array_equal(np.asarray(Image.open(folder / "noisy.png")), picture(0))


def test_a_page_of_what_goes_through_a_pipe_says_so(folder: Path) -> None:
    done = piped(folder, (folder / "noisy.png").read_bytes(), "-", "-", "--compare", "page.html", "--sharpen")
    assert done.returncode == 0, done.stderr
    text = (folder / "page.html").read_text()
    assert "<h1>stdin</h1>" in text
    assert "<dd>sharpened</dd>" in text
