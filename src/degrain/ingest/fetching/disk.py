"""Room on the disk, and copies that show how far they are."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from rich.filesize import decimal

from degrain import console
from degrain.errors import OutputError
from degrain.files import opened
from degrain.ingest.fetching.remote import SourceFailed

BLOCK = 1 << 20  # bytes


def require(needed: int, folder: Path, what: str) -> None:
    """Refuse to begin what cannot fit.

    Args:
        needed: Bytes that are still to be written.
        folder: An existing folder, where they go.
        what: What the message calls them.

    Raises:
        OutputError: Fewer bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(f"{what} needs {decimal(needed)}, and {decimal(free)} are free on {folder}; make room")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, with a bar to watch."""
    digest, size = hashlib.sha256(), path.stat().st_size
    with console.transfer(f"checking {path.name}", size) as show, opened(path) as file:
        show(0, size)
        for block in blocks(file):
            digest.update(block)
            show(file.tell(), size)
    return digest.hexdigest()


def copy(source: Path, target: Path) -> None:
    """Copy a file's bytes, not its permissions: what comes from a read-only folder must not be read-only.

    Raises:
        OutputError: The copy does not fit or cannot be written.
        SourceFailed: The source cannot be read.
    """
    try:
        file, size = opened(source), source.stat().st_size
    except OSError as error:
        status = 404 if isinstance(error, FileNotFoundError) else None
        raise SourceFailed(f"cannot be read: {error.strerror or error}", status) from error
    with file, console.transfer(f"copying {source.name}", size) as show:
        require(size, target.parent, source.name)
        show(0, size)
        try:
            target.unlink(missing_ok=True)  # NOTE: it may have other names, whose bytes are not ours to write over.
            with target.open("wb") as copied:
                for block in blocks(file):
                    copied.write(block)
                    show(file.tell(), size)
        except OSError as error:
            raise OutputError(f"cannot copy {source} to {target}: {error.strerror or error}") from error


def link(source: Path, target: Path) -> None:
    """Give a file a second name without taking room; copy it where the file system cannot."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        os.link(source, target)
        return
    copy(source, target)


def blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Read a file in pieces of one mebibyte."""
    while block := file.read(BLOCK):
        yield block
