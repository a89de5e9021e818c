"""What of an image file is denoised: all of it, or what is left when it has been resized and cropped."""

from __future__ import annotations

import itertools
import os
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from degrain.artifacts.trial import TrialRecord
from degrain.errors import DataError, OutputError, ParamsError, Stopped
from degrain.inference import denoise_files
from degrain.inference.denoiser import Denoiser
from degrain.inference.recipe import Frame, Recipe
from degrain.ingest.formats import reading, writing
from degrain.ingest.formats.picture import Metadata, Picture
from tests.conftest import picture
from tests.inference.test_denoiser import package
from tests.ingest.formats import fixtures

COLOR, GRAY, ALPHA = picture(0), picture(1, channels=1).astype(np.uint16) * 257 + 3, picture(2, channels=1)[..., 0]
PICTURES = {
    "alpha.png": Picture(COLOR, ALPHA),
    "deep.png": Picture(GRAY),
    "deep.tif": Picture(COLOR.astype(np.uint16) * 257 + 3),
    "gray.jpg": Picture(picture(3, channels=1)),
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
        writing.write(tmp_path / "in" / name, image)
    pairs = denoise_files.plan(tmp_path / "in", tmp_path / "out").pairs
    assert denoise_files.run(Recipe(denoiser, 256, 32, Frame.parse(resize, crop)), pairs) == []

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
        writing.write(tmp_path / "in" / name, Picture(image))
    pairs = denoise_files.plan(tmp_path / "in", tmp_path / "out").pairs
    problems = denoise_files.run(Recipe(denoiser, 256, 32, Frame(crop=(64, 64))), pairs)
    assert problems == [f"{tmp_path / 'in' / 'small.png'} has 30x20 pixels; --crop 64x64 is larger"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["large.png"]


STEPS = {
    "read": (denoise_files.reading, "read"),
    "denoise": (Denoiser, "tiles"),
    "write": (denoise_files.writing, "write"),
}
RAISED = {
    "a value": (ValueError("not\n a\tvalue"), "ValueError: not a value"),
    "memory": (MemoryError(), "MemoryError"),
    "a key": (KeyError("x"), "KeyError: 'x'"),
    "the system": (OSError(5, "Input/output error"), "OSError: [Errno 5] Input/output error"),
    "an assertion": (AssertionError(), "AssertionError"),
    "a thread": (RuntimeError("can't start new thread"), "RuntimeError: can't start new thread"),
}


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("raised", RAISED)
def test_what_nobody_foresaw_costs_one_file(
    tmp_path: Path, denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch, raised: str, step: str, number: int
) -> None:
    names = ["a.png", "b.png", "c.png"]
    for name in names:
        writing.write(tmp_path / "in" / name, Picture(COLOR))
    pairs = denoise_files.plan(tmp_path / "in", tmp_path / "out").pairs
    _raise_in(monkeypatch, step, RAISED[raised][0], number)
    (problem,) = denoise_files.run(Recipe(denoiser, 256, 32), pairs)
    assert problem == f"{tmp_path}/in/{names[number]} could not be denoised: {RAISED[raised][1]}"
    assert written(tmp_path / "out") == {*names} - {names[number]}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Stopped()])
def test_who_asks_to_stop_is_heard(
    tmp_path: Path, denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    for name in ("a.png", "b.png"):
        writing.write(tmp_path / "in" / name, Picture(COLOR))
    pairs = denoise_files.plan(tmp_path / "in", tmp_path / "out").pairs
    _raise_in(monkeypatch, "denoise", error, 1)
    with pytest.raises(type(error)):
        denoise_files.run(Recipe(denoiser, 256, 32), pairs)
    assert written(tmp_path / "out") == {"a.png"}


def _raise_in(monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException, number: int) -> None:
    """Have one step raise an error over the image of a number."""
    owner, name = STEPS[step]
    as_it_is = getattr(owner, name)
    calls = itertools.count()

    def raises(*arguments: Any, **options: Any) -> Any:
        if next(calls) == number:
            raise error
        return as_it_is(*arguments, **options)

    monkeypatch.setattr(owner, name, raises)


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


def written(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_subfolders_are_mirrored_and_the_output_is_no_input(tmp_path: Path, denoiser: Denoiser) -> None:
    for name in ("a.png", "sub/a.png", "sub/deep/b.jfif"):
        writing.write(tmp_path / name, Picture(COLOR))
    for _ in range(2):
        plan = denoise_files.plan(tmp_path, tmp_path / "out", recursive=True, force=True)
        assert denoise_files.run(Recipe(denoiser, 256, 32), plan.pairs, force=True) == []
        assert written(tmp_path / "out") == {"a.png", "sub/a.png", "sub/deep/b.jfif"}
    assert denoise_files.plan(tmp_path, tmp_path / "out").left_out.endswith("3 subfolders")  # model, out, sub


def test_nothing_is_overwritten_without_a_word(tmp_path: Path, denoiser: Denoiser) -> None:
    for name in ("in/a.png", "in/b.png", "out/b.png"):
        writing.write(tmp_path / name, Picture(COLOR))
    before = (tmp_path / "out" / "b.png").read_bytes()
    plan = denoise_files.plan(tmp_path / "in", tmp_path / "out")
    assert plan.skipped == [tmp_path / "out" / "b.png"]
    assert denoise_files.run(Recipe(denoiser, 256, 32), plan.pairs) == []
    assert (tmp_path / "out" / "b.png").read_bytes() == before
    with pytest.raises(OutputError, match=r"b\.png is there already; --force replaces it"):
        denoise_files.plan(tmp_path / "in" / "a.png", tmp_path / "out" / "b.png")
    assert denoise_files.plan(tmp_path / "in" / "a.png", tmp_path / "out" / "b.png", force=True).pairs
    with pytest.raises(OutputError, match="is the input itself"):
        denoise_files.plan(tmp_path / "in" / "a.png", tmp_path / "in", force=True)
    with pytest.raises(OutputError, match="is the input itself"):
        denoise_files.plan(tmp_path / "in", tmp_path / "in", force=True)
    with pytest.raises(OutputError, match="is a file; a folder of images needs a folder"):
        denoise_files.plan(tmp_path / "in", tmp_path / "out" / "b.png")


@pytest.mark.parametrize("force", [False, True])
def test_what_appears_during_the_run_is_replaced_only_with_force(
    tmp_path: Path, denoiser: Denoiser, force: bool
) -> None:
    """Such as the output of another run into the same folder."""
    for name in ("a.png", "b.png"):
        writing.write(tmp_path / "in" / name, Picture(COLOR))
    pairs = denoise_files.plan(tmp_path / "in", tmp_path / "out").pairs
    taken = tmp_path / "out" / "b.png"

    def appear() -> None:
        taken.unlink(missing_ok=True)
        taken.write_bytes(b"not ours")

    problems = denoise_files.run(Recipe(denoiser, 256, 32), pairs, progress=appear, force=force)
    if not force:
        assert problems == [f"{taken} is there already: it appeared meanwhile, and is not replaced"]
        assert taken.read_bytes() == b"not ours"
    else:
        assert problems == []
    assert written(tmp_path / "out") == {"a.png", "b.png"}


def test_no_output_is_an_input(tmp_path: Path) -> None:
    """Neither of the same image nor of another, under its own name, or by a link to a file or folder."""
    inside, out = tmp_path / "in", tmp_path / "out"
    for name in ("x.png", "in/x.png", "y.png"):
        writing.write(inside / name, Picture(COLOR))
    links: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        "symbolic link": lambda: (out / "x.png").symlink_to(inside / "y.png"),
        "hard link": lambda: os.link(inside / "in" / "x.png", out / "y.png"),
        "linked folder": lambda: (out / "in").symlink_to(inside),
    }
    for name, link in links.items():
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        link()
        for target, force in itertools.product((tmp_path, inside, out), (False, True)):
            if target == out and name == "nothing":
                assert len(denoise_files.plan(inside, target, recursive=True, force=force).pairs) == 3
            else:
                with pytest.raises(OutputError, match=r"is the input .*; name another output$"):
                    denoise_files.plan(inside, target, recursive=True, force=force)


def test_no_output_is_an_input_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("in/x.png", "in/in/x.png"):
        writing.write(tmp_path / name, Picture(COLOR))
    locked = tmp_path / "in" / "x.png"
    monkeypatch.setattr(os, "access", lambda path, _mode: path != locked)
    with pytest.raises(OutputError, match=rf"^{locked} is the input itself; name another output$"):
        denoise_files.plan(tmp_path / "in", tmp_path, recursive=True, force=True)


def test_camera_raw_files_become_tiff_files_of_their_own(tmp_path: Path, denoiser: Denoiser) -> None:
    dng = fixtures.dng(np.random.default_rng(0).integers(64, 900, (64, 80)).astype(np.uint16), black=(64,), white=1023)
    for name in ("a.dng", "a.NEF", "b.tif"):
        fixtures.write(tmp_path / "in" / name, dng)
    writing.write(tmp_path / "in" / "c.png", Picture(COLOR))
    plan = denoise_files.plan(tmp_path / "in", tmp_path / "out")
    assert [target.name for _, target in plan.pairs] == ["a.tif", "a.dng.tif", "b.tif", "c.png"]
    assert denoise_files.run(Recipe(denoiser, 256, 32), plan.pairs) == []
    assert reading.read(tmp_path / "out" / "a.tif").pixels.shape == (64, 80, 3)


def test_light_that_the_model_has_not_seen_is_refused(tmp_path: Path, denoiser: Denoiser) -> None:
    fixtures.write(tmp_path / "x.dng", fixtures.dng(np.full((64, 80), 500, np.uint16), white=1023))
    writing.write(tmp_path / "x.png", Picture(COLOR))
    writing.write(tmp_path / "linear.png", Picture(COLOR, metadata=Metadata(gamma=1.0)))
    out = tmp_path / "out.tif"
    linear = replace(denoiser, trial=replace_light(denoiser))
    assert denoise_files.run(Recipe(linear, 256, 32), [(tmp_path / "x.dng", out)]) == []
    assert reading.read(out).pixels.dtype == np.uint16
    assert denoise_files.run(Recipe(linear, 256, 32), [(out, tmp_path / "again.tif")]) == [], (
        "it is read as linear light"
    )
    (problem,) = denoise_files.run(Recipe(linear, 256, 32), [(tmp_path / "x.png", out)])
    assert problem.endswith("x.png is in the sRGB curve, and the model was trained on images in linear light")
    (problem,) = denoise_files.run(Recipe(denoiser, 256, 32), [(tmp_path / "linear.png", out)])
    assert problem.endswith("linear.png is in linear light, and the model was trained on images in the sRGB curve")


def replace_light(denoiser: Denoiser) -> TrialRecord:
    assert denoiser.trial is not None
    return denoiser.trial.model_copy(update={"light": "linear"})


def test_names_as_long_as_the_file_system_takes_are_written(tmp_path: Path, denoiser: Denoiser) -> None:
    name = "猫" * 83 + "ab.png"
    writing.write(tmp_path / "in" / name, Picture(COLOR))
    plan = denoise_files.plan(tmp_path / "in", tmp_path / "out")
    assert denoise_files.run(Recipe(denoiser, 256, 32), plan.pairs) == []
    assert written(tmp_path / "out") == {name}


# Names that are not UTF-8, as old systems and broken archives leave them, and beside them some that are.
BYTES = {
    "Latin-1": b"\xe9t\xe9",
    "Shift JIS": "猫".encode("shift_jis"),
    "half a letter": "猫".encode()[:2],
    "a surrogate": b"\xed\xa0\x80",
    "long": b"\xe9" * 251,
    "a new line": b"a\nb",
    "a pattern": b"[\xe9]*",
    "UTF-8": "été 猫".encode(),
}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp"])
@pytest.mark.parametrize("name", BYTES)
def test_files_of_any_name_are_denoised(tmp_path: Path, denoiser: Denoiser, name: str, suffix: str) -> None:
    good = f"good{suffix}"
    writing.write(tmp_path / "in" / good, Picture(COLOR))
    odd = os.fsdecode((BYTES[name] + suffix.encode())[-255:])
    (tmp_path / "in" / odd).write_bytes((tmp_path / "in" / good).read_bytes())
    plan = denoise_files.plan(tmp_path / "in", tmp_path / "out")
    assert denoise_files.run(Recipe(denoiser, 256, 32), plan.pairs) == []
    assert written(tmp_path / "out") == {good, odd}


@pytest.mark.parametrize("name", BYTES)
def test_folders_of_any_name_are_mirrored(tmp_path: Path, denoiser: Denoiser, name: str) -> None:
    inside = tmp_path / "in" / os.fsdecode(BYTES[name])
    writing.write(inside / "a.png", Picture(COLOR))
    plan = denoise_files.plan(tmp_path / "in", tmp_path / "out", recursive=True)
    assert denoise_files.run(Recipe(denoiser, 256, 32), plan.pairs) == []
    assert written(tmp_path / "out") == {f"{inside.name}/a.png"}


def test_what_is_no_file_is_refused_and_does_not_stop_the_others(tmp_path: Path) -> None:
    writing.write(tmp_path / "in" / "a.png", Picture(COLOR))
    os.mkfifo(tmp_path / "in" / "b.png")
    plan = denoise_files.plan(tmp_path / "in", tmp_path / "out")
    assert len(plan.pairs) == 1
    assert plan.refused == [f"{tmp_path}/in/b.png is a pipe, not a file"]
    with pytest.raises(DataError, match="is a pipe, not a file"):
        denoise_files.plan(tmp_path / "in" / "b.png", tmp_path / "out.png")
    (tmp_path / "none" / "sub").mkdir(parents=True)
    with pytest.raises(
        DataError, match=r"holds no image beside 1 subfolders .*; --recursive takes those of subfolders"
    ):
        denoise_files.plan(tmp_path / "none", tmp_path / "out")


def test_names_that_differ_in_unicode_form_are_told_apart(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "\u00e9.png") for form in ("NFC", "NFD"))
    for name in (composed, decomposed):
        writing.write(tmp_path / "in" / name, Picture(COLOR))
    plan = denoise_files.plan(tmp_path / "in", tmp_path / "out")
    assert len({unicodedata.normalize("NFC", target.name) for _, target in plan.pairs}) == 2


def test_names_that_differ_by_case_are_told_apart_in_their_format(
    tmp_path: Path, denoiser: Denoiser, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("x.PNG", "x.png", "X.png", "x-2.png", "a.JPG", "a.jpg"):
        writing.write(tmp_path / "in" / name, Picture(COLOR))
    plan = denoise_files.plan(tmp_path / "in", tmp_path / "out")
    names = {source.name: target.name for source, target in plan.pairs}
    assert names == {
        "X.png": "X.png",
        "a.JPG": "a.JPG",
        "a.jpg": "a-2.jpg",
        "x-2.png": "x-2.png",
        "x.PNG": "x-3.PNG",
        "x.png": "x-4.png",
    }
    assert "x.PNG is written as x-3.PNG: another image has its name but for letter case or Unicode form" in caplog.text
    assert denoise_files.run(Recipe(denoiser, 256, 32), plan.pairs) == []
    assert {target.read_bytes()[:4] for _, target in plan.pairs} == {b"\x89PNG", b"\xff\xd8\xff\xe0"}


@pytest.mark.parametrize(
    ("contents", "name", "target", "said"),
    [
        (".png", "x.jpg", "out.jpeg", "a file of .png by its contents is written as .jpeg, with loss"),
        (".webp", "x.avif", "out.avif", "a file of .webp by its contents is written as .avif, with loss"),
        (".png", "x.png", "out.jpg", ""),
        (".jpg", "x.jfif", "out.jpg", ""),
        (".jpg", "x.png", "out.png", ""),
        (".png", "x", "out.jpg", ""),
    ],
)
def test_loss_by_a_wrong_name_is_said(
    tmp_path: Path,
    denoiser: Denoiser,
    contents: str,
    name: str,
    target: str,
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    writing.write(tmp_path / f"made{contents}", Picture(COLOR))
    (tmp_path / f"made{contents}").rename(tmp_path / name)
    assert denoise_files.run(Recipe(denoiser, 256, 32), [(tmp_path / name, tmp_path / target)]) == []
    assert said in caplog.text
    assert ("with loss" in caplog.text) == bool(said)


def test_what_was_left_out_for_a_raw_file_that_cannot_be_read_is_named(tmp_path: Path, denoiser: Denoiser) -> None:
    fixtures.write(tmp_path / "in" / "a.nef", b"no raw file")
    for name in ("a.JPG", "a.png", "ab.png"):
        writing.write(tmp_path / "in" / name, Picture(COLOR))
    plan = denoise_files.plan(tmp_path / "in", tmp_path / "out")
    (problem,) = denoise_files.run(Recipe(denoiser, 256, 32), plan.pairs)
    assert problem.startswith(f"{tmp_path}/in/a.nef is no camera raw file")
    assert problem.endswith("; a.JPG and a.png beside it were not denoised")
    assert written(tmp_path / "out") == {"ab.png"}


def test_an_image_too_large_for_a_format_is_refused_before_it_is_denoised(
    tmp_path: Path, denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denoised(*_: object) -> np.ndarray:
        raise AssertionError

    monkeypatch.setattr(Denoiser, "tiles", denoised)
    writing.write(tmp_path / "x.png", Picture(np.zeros((1, 16_384, 3), np.uint8)))
    (problem,) = denoise_files.run(Recipe(denoiser, 256, 32), [(tmp_path / "x.png", tmp_path / "x.webp")])
    assert problem == (
        f"cannot write {tmp_path}/x.webp: 16384 x 1 pixels, and the format has at most 16383 pixels in width or height"
    )


class Halving(torch.nn.Module):
    """Takes half of what is above mid-gray, or below it, for noise."""

    def __init__(self) -> None:
        super().__init__()
        self.share = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 0.5 + self.share * (images - 0.5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0])
def test_strength_is_the_share_of_noise_that_is_removed(denoiser: Denoiser, strength: float, dtype: type) -> None:
    """In tiles, too; and how much noise there was is noted whatever the strength."""
    white = np.iinfo(dtype).max
    noisy = np.random.default_rng(0).integers(0, white, (70, 90, 3), dtype=dtype)
    halving = replace(denoiser, network=Halving())
    made = Recipe(halving, 32, 32, strength=strength).denoised(Picture(noisy))
    noise = (noisy - white / 2) / 2
    assert np.abs(made.pixels - (noisy - strength * noise)).max() <= 0.51
    assert made.notes == (f"noise of {255 / white * np.sqrt((noise**2).mean()):.1f} levels",)
