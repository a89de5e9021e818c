"""`degrain denoise`: image files in, image files out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from degrain.errors import DataError, DegrainError, OutputError
from degrain.formats import reading
from degrain.inference.denoiser import Denoiser

log = logging.getLogger(__name__)


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
    progress: Callable[[], None] = lambda: None,
) -> list[str]:
    """Denoise files one by one; a broken one does not stop the others.

    Returns:
        What went wrong, one line per file; empty when all went well.
    """
    problems = []
    for source, target in pairs:
        try:
            picture = reading.read(source)
            white = np.float32(picture.maximum)
            output = denoiser.image(picture.pixels.astype(np.float32) / white, tile, overlap)
            pixels = np.rint(np.clip(output, 0, 1) * white).astype(picture.pixels.dtype)
            reading.write(target, reading.Picture(pixels, picture.alpha, picture.extras))
            log.info("%s -> %s", source, target)
        except DegrainError as error:
            problems.append(str(error))
        progress()
    return problems
