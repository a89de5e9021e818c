"""`degrain denoise`: image files in, image files out."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from degrain.errors import DataError, DegrainError, OutputError, ParamsError
from degrain.inference.denoiser import Denoiser
from degrain.ingest.formats import reading
from degrain.patches import loading
from degrain.pixels import MAX_PIXELS

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

    def cut(self, picture: reading.Picture, name: str) -> reading.Picture:
        """Return the picture, transparency and all, resized and cropped.

        Args:
            picture: Any.
            name: What messages call it.

        Raises:
            DataError: It is smaller than what is to be cut out.
        """
        pixels = self._cut(picture.pixels, name)
        alpha = None if picture.alpha is None else self._cut(picture.alpha[..., None], name)[..., 0]
        return replace(picture, pixels=pixels, alpha=alpha)

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


def plan(source: Path, target: Path) -> list[tuple[Path, Path]]:
    """Pair input files with output files.

    Args:
        source: An image, or a folder whose images (not those of its folders) are taken.
        target: A file for a file (or a folder to put it in), a folder for a folder.

    Raises:
        DataError: There is nothing to denoise.
        OutputError: An input would be overwritten.
    """
    if source.is_dir():
        images = sorted(path for path in source.iterdir() if path.suffix.lower() in reading.SUFFIXES)
        if not images:
            raise DataError(f"{source} holds no image ({', '.join(reading.SUFFIXES)})")
        if target.is_file():
            raise OutputError(f"{target} is a file; a folder of images needs a folder")
        pairs = [(path, target / path.name) for path in images]
    elif source.is_file():
        to_folder = target.is_dir() or not target.suffix
        pairs = [(source, target / source.name if to_folder else target)]
    else:
        raise DataError(f"{source} does not exist")
    for path, output in pairs:
        if output.exists() and output.samefile(path):
            raise OutputError(f"{output} is the input itself; name another output")
        if output.suffix.lower() not in reading.SUFFIXES:
            raise OutputError(f"{output}: the name must end with {', '.join(reading.SUFFIXES)}")
    return pairs


def run(
    denoiser: Denoiser,
    pairs: list[tuple[Path, Path]],
    tile: int,
    overlap: int,
    frame: Frame = WHOLE,
    progress: Callable[[], None] = lambda: None,
) -> list[str]:
    """Denoise files one by one; a broken one does not stop the others.

    The next file is read, and the one before written, in threads while the network runs: memory holds three images.

    Args:
        denoiser: Of gray or color images.
        pairs: Input and output files, as of `plan`.
        tile: Of `Denoiser.image`.
        overlap: Of `Denoiser.image`.
        frame: What of each image is denoised.
        progress: Called after each file.

    Returns:
        What went wrong, one line per file; empty when all went well.
    """
    problems = []

    def finish(written: Future[None]) -> None:
        try:
            written.result()
        except DegrainError as error:
            problems.append(str(error))
        progress()

    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        last: Future[None] | None = None
        ahead = reader.submit(_read, pairs[0][0], frame) if pairs else None
        for (source, target), following in zip(pairs, [*pairs[1:], None], strict=True):
            assert ahead is not None  # noqa: S101
            current = ahead
            wait([current])
            ahead = reader.submit(_read, following[0], frame) if following else None
            written = _denoised(denoiser, current, tile, overlap)
            if last:
                finish(last)
            last = writer.submit(_write, source, target, written)
            del current, written
        if last:
            finish(last)
    return problems


def _read(source: Path, frame: Frame) -> reading.Picture:
    return frame.cut(reading.read(source), str(source))


def _denoised(
    denoiser: Denoiser, read: Future[reading.Picture], tile: int, overlap: int
) -> reading.Picture | DegrainError:
    try:
        picture = read.result()
        return replace(picture, pixels=denoiser.image(picture.pixels, tile, overlap))
    except DegrainError as error:
        return error


def _write(source: Path, target: Path, written: reading.Picture | DegrainError) -> None:
    if isinstance(written, DegrainError):
        raise written
    reading.write(target, written)
    log.info("%s -> %s", source, target)
