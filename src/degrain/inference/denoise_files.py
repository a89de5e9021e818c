"""`degrain denoise`: image files in, image files out."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from degrain import files
from degrain.errors import DataError, DegrainError, MissingExtra, OutputError, Stopped, printable
from degrain.inference.recipe import Recipe
from degrain.ingest.formats import camera_raw, folders, reading, writing
from degrain.ingest.formats.picture import Picture

log = logging.getLogger(__name__)


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
    if reason := folders.problem(source):
        raise DataError(f"{source} {reason}")
    to_folder = files.is_folder(target) or not target.suffix
    output = target / _output_name(Path(source.name)) if to_folder else target
    require_free(output, [source], tuple(writing.FORMATS), force)
    return Plan([(source, output)], [], [], "")


def require_free(output: Path, sources: Sequence[Path], suffixes: Sequence[str], force: bool) -> None:
    """Refuse an output that a person named.

    Args:
        output: Where it is to go.
        sources: What is read.
        suffixes: One of which its name must end with.
        force: Whether what is there is replaced.

    Raises:
        OutputError: It is an input, is there already, or has another name.
    """
    there = files.is_there(output)
    files.require_no_input(output, files.inodes(sources))
    if output.suffix.lower() not in suffixes:
        raise OutputError(f"{output}: the name must end with {', '.join(suffixes)}")
    if there and not force:
        raise OutputError(f"{output} is there already; --force replaces it")


def _output_name(name: Path) -> Path:
    return name.with_suffix(".tif") if name.suffix.lower() in camera_raw.SUFFIXES else name


def _told_apart(output: Path, source: Path, taken: set[str]) -> Path:
    """Return an output of the same format that no other input has, on any file system."""
    if source.suffix.lower() in camera_raw.SUFFIXES and files.folded(str(output)) in taken:
        output = output.with_name(f"{source.name}.tif")
    wanted = output
    for number in itertools.count(2):
        if files.folded(str(output)) not in taken:
            break
        output = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
    if output != wanted:
        log.warning(
            "%s is written as %s: another image has its name but for letter case or Unicode form", source, output.name
        )
    taken.add(files.folded(str(output)))
    return output


def run(
    recipe: Recipe,
    pairs: list[tuple[Path, Path]],
    progress: Callable[[], None] = lambda: None,
    force: bool = False,
) -> list[str]:
    """Denoise files one by one; a broken one does not stop the others.

    The next file is read, and the one before written, in threads while the network runs: memory holds three images.

    Args:
        recipe: How.
        pairs: Input and output files, as of `plan`.
        progress: Called after each file.
        force: Whether an output that is there when its image is denoised is replaced, rather than the image refused.

    Returns:
        What went wrong, one line per file; empty when all went well. An error that nobody foresaw is named by its kind.
    """
    problems = []

    def finish(written: Future[str]) -> None:
        if found := written.result():
            problems.append(found)
        progress()

    def read(source: Path, target: Path) -> Picture:
        picture = recipe.read(source)
        writing.check(target, picture)
        return picture

    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        last: Future[str] | None = None
        ahead = reader.submit(read, *pairs[0]) if pairs else None
        for (source, target), following in itertools.zip_longest(pairs, pairs[1:]):
            assert ahead is not None  # noqa: S101
            current = ahead
            wait([current])
            ahead = reader.submit(read, *following) if following else None
            written = _denoised(recipe, current)
            if last:
                finish(last)
            last = writer.submit(_write, source, target, written, force)
            del current, written
        if last:
            finish(last)
    return problems


def _denoised(recipe: Recipe, read: Future[Picture]) -> Picture | Exception:
    try:
        return recipe.denoised(read.result())
    except Stopped:
        raise
    except Exception as error:
        return error


def _write(source: Path, target: Path, made: Picture | Exception, force: bool) -> str:
    """Write what was made of an image; return what went wrong with it, or "" if nothing did."""
    if isinstance(made, Exception):
        return problem(source, made)
    try:
        lost = writing.write(target, made, force)
    except Exception as error:
        return problem(source, error)
    notes = "; ".join((*made.notes, *writing.lossy_by_name(made, source, target), *lost))
    log.info("%s -> %s%s", source, target, f" ({notes})" if notes else "")
    return ""


def problem(source: Path, error: Exception) -> str:
    """Say in one line why an image could not be denoised, whatever a library raised."""
    if isinstance(error, MissingExtra):
        return f"{source} cannot be read: {error}"
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
