"""`degrain denoise` of one image: from a file or stdin, to a file or stdout, shown before and after on a page."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from degrain import console, files
from degrain.errors import DataError, OutputError, ParamsError, Stopped
from degrain.inference import before_after, denoise_files
from degrain.inference.recipe import Recipe
from degrain.ingest.formats import folders, tiff, writing
from degrain.ingest.formats.picture import Picture

log = logging.getLogger(__name__)

# How the command line calls stdin and stdout.
STREAM = "-"
# Largest image that is read from stdin, in bytes: 200 million pixels of four channels of 16 bits, and some metadata.
LIMIT = 2**31


@dataclass(frozen=True)
class Route:
    """Where one image comes from and where it goes.

    Attributes:
        source: The file; None is stdin.
        target: The file; None is stdout.
        page: Where the page goes that shows it before and after, if one is asked for.
    """

    source: Path | None
    target: Path | None
    page: Path | None

    @property
    def name(self) -> str:
        """What messages call the image."""
        return str(self.source or "stdin")

    @property
    def outputs(self) -> list[Path]:
        """Files that are written."""
        return [path for path in (self.target, self.page) if path]


def is_meant(source: str, target: str, page: Path | None) -> bool:
    """Tell whether a command is about one image, not a folder of them; arguments are those of `route`."""
    return STREAM in (source, target) or page is not None or not files.is_folder(Path(source))


def route(source: str, target: str, page: Path | None = None, force: bool = False) -> Route:
    """Find out where an image comes from and goes, and refuse what cannot be.

    Args:
        source: An image file, or "-" for stdin.
        target: A file or a folder to put it in, or "-" for stdout.
        page: See `Route`.
        force: Whether files that are there are replaced.

    Raises:
        ParamsError: The source is a folder.
        DataError: It is no file that can be read, or a terminal.
        OutputError: An output is the input, is there already, has a wrong name, or is a terminal.
    """
    if source != STREAM and files.is_folder(Path(source)):
        raise ParamsError(f"{source} is a folder; {'--compare shows' if page else 'stdout takes'} one image")
    made = Route(_source(source), _target(source, target, force), page)
    if page:
        denoise_files.require_free(page, [made.source] if made.source else [], before_after.SUFFIXES, force)
    return made


def _source(source: str) -> Path | None:
    if source != STREAM:
        if reason := folders.problem(Path(source)):
            raise DataError(f"{source} {reason}")
        return Path(source)
    if sys.stdin is None or sys.stdin.isatty():
        raise DataError("stdin is a terminal or closed; send an image to it: degrain denoise - clean.png < noisy.png")
    return None


def _target(source: str, target: str, force: bool) -> Path | None:
    if target == STREAM:
        # NOTE: where a process starts without a stream, its number becomes that of the next file.
        if sys.stdout is None or sys.stdout.isatty():
            raise OutputError(
                "stdout is a terminal or closed; send it to a file: degrain denoise noisy.png - > out.png"
            )
        return None
    if source != STREAM:
        ((_, output),) = denoise_files.plan(Path(source), Path(target), force=force).pairs
        return output
    if files.is_folder(Path(target)):
        raise OutputError(f"{target} is a folder; an image from stdin needs the name of a file")
    denoise_files.require_free(Path(target), [], tuple(writing.FORMATS), force)
    return Path(target)


def run(recipe: Recipe, asked: Route, facts: Mapping[str, str], force: bool = False) -> str:
    """Denoise one image.

    Args:
        recipe: How.
        asked: Where it comes from and goes.
        facts: What the page says of the model.
        force: Whether files are replaced that appeared meanwhile.

    Returns:
        What went wrong, in one line; "" if nothing did.
    """
    try:
        picture = recipe.read(asked.source) if asked.source else recipe.decode(_all_of_stdin(), asked.name)
        suffix = _suffix(picture)
        writing.check(asked.target or Path(f"stdout{suffix}"), picture)
        with console.progress("denoise", len(picture.pixels)) as advance:
            made = recipe.denoised(picture, advance)
        before = picture if asked.page else None
        del picture  # or memory would hold it while the result is encoded
        lost = writing.write(asked.target, made, force) if asked.target else _to_stdout(made, suffix)
        by_name = writing.lossy_by_name(made, asked.source, asked.target) if asked.source and asked.target else ()
        notes = "; ".join((*made.notes, *by_name, *lost))
        log.info("%s -> %s%s", asked.name, asked.target or "stdout", f" ({notes})" if notes else "")
        if asked.page and before:
            before_after.write(asked.page, before, made, Path(asked.name).name, facts, force)
            log.info("%s shows it before and after", asked.page)
    except Stopped:
        raise
    except Exception as error:
        return denoise_files.problem(Path(asked.name), error)
    return ""


def _all_of_stdin() -> bytes:
    data = sys.stdin.buffer.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise DataError(f"stdin has more than {LIMIT} bytes")
    if _is_preview(data):
        raise DataError("stdin is a camera raw file, which only its name tells from a TIFF; give its name instead of -")
    return data


def _is_preview(data: bytes) -> bool:
    """Tell whether a TIFF is but the preview of a camera raw file, which only its name tells from other TIFFs."""
    if not data.startswith(tiff.SIGNATURES) or tiff.is_dng(data):
        return False
    import rawpy
    from tifffile import TiffFile

    # NOTE: LibRaw also takes a plain gray TIFF of 16 bits for a raw file, but of the same size. What is wrong with a
    # file is found out when it is decoded.
    with suppress(Exception), TiffFile(io.BytesIO(data)) as file, rawpy.imread(io.BytesIO(data)) as raw:
        shown = file.pages.first
        return bool(raw.sizes.raw_width * raw.sizes.raw_height > shown.imagewidth * shown.imagelength)
    return False


def _suffix(picture: Picture) -> str:
    """Return the kind of file that goes to stdout: the one that came in, and one that can hold what is in it.

    Camera raw files become TIFF as files do, and a BMP with transparency becomes a PNG.
    """
    kind = writing.FORMATS.get(picture.suffix)
    if kind is None:
        return ".tif"
    return picture.suffix if kind.alpha or picture.alpha is None else ".png"


def _to_stdout(picture: Picture, suffix: str) -> tuple[str, ...]:
    """Write an image to stdout, when all of it is encoded; return what is lost.

    Raises:
        OutputError: It cannot be encoded or written.
    """
    with TemporaryDirectory(prefix="degrain-") as temporary:
        file = Path(temporary, f"stdout{suffix}")
        lost = writing.write(file, picture)
        data = file.read_bytes()
    try:
        # NOTE: what Python's own stdout holds back when a reader is gone, it tries to write again at exit.
        with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as stdout:
            stdout.write(data)
    except OSError as error:
        raise OutputError(f"cannot write stdout: {error.strerror or error}") from error
    return lost
