"""`degrain denoise`: image files in, image files out."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from degrain import files
from degrain.errors import DataError, DegrainError, OutputError, ParamsError, Stopped, printable
from degrain.inference.denoiser import Denoiser
from degrain.ingest.formats import camera_raw, folders, metadata, reading, writing
from degrain.ingest.formats.picture import Picture
from degrain.patches import loading
from degrain.pixels import MAX_PIXELS, Light

log = logging.getLogger(__name__)

SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


@dataclass(frozen=True)
class Frame:
    """What of each image is denoised.

    Attributes:
        resize: Width and height in pixels that it is resized to first, bilinearly; its aspect ratio is not kept.
        crop: Width and height in pixels of its top left part, of which all the rest is cut off then.
    """

    resize: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None

    @classmethod
    def parse(cls, resize: str, crop: str) -> Frame:
        """Understand what the command line says; "" is None.

        Raises:
            ParamsError: One is no size, or nothing of that size could be cut out.
        """
        frame = cls(_size("--resize", resize), _size("--crop", crop))
        if frame.resize and frame.crop and not _within(frame.crop, frame.resize):
            raise ParamsError(f"--crop {crop} does not fit into --resize {resize}")
        return frame

    def cut(self, picture: Picture, name: str) -> Picture:
        """Return the picture, transparency and all, resized and cropped.

        Args:
            picture: Any.
            name: What messages call it.

        Raises:
            DataError: It is smaller than what is to be cut out.
        """
        pixels = self._cut(picture.pixels, name)
        alpha = None if picture.alpha is None else self._cut(picture.alpha[..., None], name)[..., 0]
        kept, (height, width) = picture.metadata, pixels.shape[:2]
        if kept.exif and (self.resize or self.crop):
            kept = replace(kept, exif=metadata.for_upright(kept.exif, width, height))
        return replace(picture, pixels=pixels, alpha=alpha, metadata=kept)

    def _cut(self, pixels: np.ndarray, name: str) -> np.ndarray:
        if self.resize:
            pixels = loading.resized(pixels, self.resize, "linear")
        if not self.crop:
            return pixels
        height, width = pixels.shape[:2]
        if not _within(self.crop, (width, height)):
            raise DataError(f"{name} has {width}x{height} pixels; --crop {self.crop[0]}x{self.crop[1]} is larger")
        return pixels[: self.crop[1], : self.crop[0]]


WHOLE = Frame()


def _size(option: str, text: str) -> tuple[int, int] | None:
    if not text:
        return None
    found = SIZE.fullmatch(text)
    if not found:
        raise ParamsError(f"{option}: {text!r} is not a width and a height in pixels, such as 342x256")
    width, height = int(found[1]), int(found[2])
    if width * height > MAX_PIXELS:
        raise ParamsError(f"{option}: {text} is more than {MAX_PIXELS // 1_000_000} million pixels")
    return width, height


def _within(inner: tuple[int, int], outer: tuple[int, int]) -> bool:
    return inner[0] <= outer[0] and inner[1] <= outer[1]


@dataclass(frozen=True)
class Plan:
    """What is to be denoised.

    Attributes:
        pairs: Input and output files.
        skipped: Outputs that are there already.
        refused: What cannot be read, or not be written under its name: one line each.
        left_out: What else lies in the folder, in words; empty if nothing does.
    """

    pairs: list[tuple[Path, Path]]
    skipped: list[Path]
    refused: list[str]
    left_out: str


def plan(source: Path, target: Path, recursive: bool = False, force: bool = False) -> Plan:
    """Pair input files with output files.

    Args:
        source: An image, or a folder of images.
        target: A file for a file (or a folder to put it in), a folder for a folder.
        recursive: Whether the images of subfolders are taken, too; their folders are mirrored.
        force: Whether outputs that are there are replaced.

    Returns:
        The plan. Camera raw files become TIFF files. Names that some file systems take for one are told apart.

    Raises:
        DataError: There is nothing to denoise.
        OutputError: An output is an input, whether of the same image or of another, or the only one is there already.
    """
    if not files.is_folder(source):
        return _plan_of_one(source, target, force)
    if files.is_there(target) and not files.is_folder(target):
        raise OutputError(f"{target} is a file; a folder of images needs a folder")
    found = folders.find(source, recursive, [] if target.resolve() == source.resolve() else [target.resolve()])
    if not found.images and not found.problems:
        beside = f" beside {found.told()}" if found.left_out else ""
        further = "; --recursive takes those of subfolders" if folders.SUBFOLDERS in found.left_out else ""
        raise DataError(f"{source} holds no image{beside} ({', '.join(folders.SUFFIXES)}){further}")
    pairs, skipped, refused, taken = [], [], found.problems, set[str]()
    inputs = files.inodes([*found.images, *found.refused])
    for path in found.images:
        output = _told_apart(target / _output_name(path.relative_to(source)), path, taken)
        try:
            there = files.is_there(output)
        except OutputError as error:
            refused.append(str(error))
            continue
        files.require_no_input(output, inputs)
        if there and not force:
            skipped.append(output)
        else:
            pairs.append((path, output))
    return Plan(pairs, skipped, refused, found.told())


def _plan_of_one(source: Path, target: Path, force: bool) -> Plan:
    if problem := folders.problem(source):
        raise DataError(f"{source} {problem}")
    to_folder = files.is_folder(target) or not target.suffix
    output = target / _output_name(Path(source.name)) if to_folder else target
    there = files.is_there(output)
    files.require_no_input(output, files.inodes([source]))
    if output.suffix.lower() not in writing.FORMATS:
        raise OutputError(f"{output}: the name must end with {', '.join(writing.FORMATS)}")
    if there and not force:
        raise OutputError(f"{output} is there already; --force replaces it")
    return Plan([(source, output)], [], [], "")


def _output_name(name: Path) -> Path:
    return name.with_suffix(".tif") if name.suffix.lower() in camera_raw.SUFFIXES else name


def _told_apart(output: Path, source: Path, taken: set[str]) -> Path:
    """Return an output of the same format that no other input has, on any file system."""
    if source.suffix.lower() in camera_raw.SUFFIXES and str(output).casefold() in taken:
        output = output.with_name(f"{source.name}.tif")
    wanted = output
    for number in itertools.count(2):
        if str(output).casefold() not in taken:
            break
        output = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
    if output != wanted:
        log.warning("%s is written as %s: another image has its name but for upper and lower case", source, output.name)
    taken.add(str(output).casefold())
    return output


def run(
    denoiser: Denoiser,
    pairs: list[tuple[Path, Path]],
    tile: int,
    overlap: int,
    frame: Frame = WHOLE,
    white: int | None = None,
    progress: Callable[[], None] = lambda: None,
    force: bool = False,
) -> list[str]:
    """Denoise files one by one; a broken one does not stop the others.

    The next file is read, and the one before written, in threads while the network runs: memory holds three images.

    Args:
        denoiser: Of gray or color images.
        pairs: Input and output files, as of `plan`.
        tile: Of `Denoiser.image`.
        overlap: Of `Denoiser.image`.
        frame: What of each image is denoised.
        white: The value of white in files of more than 8 bits; None where it is that of the format, or is guessed.
        progress: Called after each file.
        force: Whether an output that is there when its image is denoised is replaced, rather than the image refused.

    Returns:
        What went wrong, one line per file; empty when all went well. An error that nobody foresaw is named by its kind.
    """
    problems = []

    def finish(written: Future[str]) -> None:
        if problem := written.result():
            problems.append(problem)
        progress()

    def read(source: Path, target: Path) -> Picture:
        picture = reading.read(source, white, guess=True, raw="linear" if denoiser.light == "linear" else "srgb")
        _check_light(picture.light, denoiser.light, source)
        cut = frame.cut(picture, str(source))
        writing.check(target, cut)
        return cut

    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        last: Future[str] | None = None
        ahead = reader.submit(read, *pairs[0]) if pairs else None
        for (source, target), following in itertools.zip_longest(pairs, pairs[1:]):
            assert ahead is not None  # noqa: S101
            current = ahead
            wait([current])
            ahead = reader.submit(read, *following) if following else None
            written = _denoised(denoiser, current, tile, overlap)
            if last:
                finish(last)
            last = writer.submit(_write, source, target, written, force)
            del current, written
        if last:
            finish(last)
    return problems


def _check_light(found: Light, trained: Light, source: Path) -> None:
    """Refuse values that mean something else than those of the training.

    Raises:
        DataError: They do.
    """
    if found != trained:
        words = {"linear": "linear light", "srgb": "the sRGB curve"}
        raise DataError(f"{source} is in {words[found]}, and the model was trained on images in {words[trained]}")


def _denoised(denoiser: Denoiser, read: Future[Picture], tile: int, overlap: int) -> Picture | Exception:
    try:
        picture = read.result()
        return replace(picture, pixels=denoiser.image(picture.pixels, tile, overlap))
    except Stopped:
        raise
    except Exception as error:
        return error


def _write(source: Path, target: Path, made: Picture | Exception, force: bool) -> str:
    """Write what was made of an image; return what went wrong with it, or "" if nothing did."""
    if isinstance(made, Exception):
        return _problem(source, made)
    try:
        lost = writing.write(target, made, force)
    except Exception as error:
        return _problem(source, error)
    notes = "; ".join((*made.notes, *writing.lossy_by_name(made, source, target), *lost))
    log.info("%s -> %s%s", source, target, f" ({notes})" if notes else "")
    return ""


def _problem(source: Path, error: Exception) -> str:
    """Say in one line why an image could not be denoised, whatever a library raised."""
    if isinstance(error, DegrainError):
        return f"{error}{printable(_beside(source)) if isinstance(error, DataError) else ''}"
    log.debug("%s could not be denoised", source, exc_info=error)
    text = " ".join(str(error).split())
    return f"{source} could not be denoised: {type(error).__name__}{f': {text}' if text else ''}"


def _beside(source: Path) -> str:
    """Name the images that a camera saved beside a raw file, which were left out for it."""
    if source.suffix.lower() not in camera_raw.SUFFIXES:
        return ""
    stem = source.with_suffix("")
    names = [
        path.name
        for path in sorted(source.parent.iterdir())
        if path.suffix.lower() in reading.SUFFIXES and path.with_suffix("") == stem
    ]
    return f"; {' and '.join(names)} beside it {'was' if len(names) == 1 else 'were'} not denoised" if names else ""
