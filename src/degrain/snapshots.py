"""Folders as they were when every byte of them was read, and the refusal of what has become of them since."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from degrain import files
from degrain.errors import DataError

BLOCK = 1 << 20  # bytes


@dataclass(frozen=True)
class Checked:
    """A file whose bytes were read.

    Attributes:
        mark: Device, inode, size in bytes and time of the last change in nanoseconds: while they stay, so do the bytes.
        sha256: SHA-256 of the bytes, in hexadecimal.
    """

    mark: tuple[int, int, int, int]
    sha256: str

    @property
    def bytes(self) -> int:
        """Size of the file."""
        return self.mark[2]

    @classmethod
    def read(cls, path: Path, progress: Callable[[int], None] = lambda _: None) -> Checked:
        """Read a whole file.

        Args:
            path: The file.
            progress: Called with how many more bytes are read.

        Raises:
            OSError: As of `degrain.files.opened`.
        """
        with files.opened(path) as file:
            return cls(_mark(file), _sha256(file, progress))


@dataclass(frozen=True)
class Snapshot:
    """What a folder held when it was read.

    Processes on one machine may hand it to each other. A file that was written again with the same bytes is the same.

    Attributes:
        folder: Where.
        again: What to run when it has changed, such as "run: dvc repro prepare".
        files: What was read, by the path in the folder.
    """

    folder: Path
    again: str
    files: Mapping[str, Checked] = field(repr=False)

    @classmethod
    def take(cls, folder: Path, again: str, paths: Iterable[Path]) -> Snapshot:
        """Read files.

        Args:
            folder: In which they are.
            again: What to run when one cannot be read or has changed.
            paths: Which.

        Raises:
            DataError: One cannot be read.
        """
        found = {}
        for path in paths:
            try:
                found[path.relative_to(folder).as_posix()] = Checked.read(path)
            except OSError as error:
                raise DataError(f"cannot read {path}: {error.strerror}; {again}") from error
        return cls(folder, again, found)

    @property
    def sha256(self) -> str:
        """Digest of paths and bytes, as of `degrain.files.tree_digest`."""
        return files.digest({name: file.sha256 for name, file in self.files.items()})

    def open(self, name: str) -> io.BufferedReader:
        """Open a file for reading what was read then, whatever takes its place later.

        Raises:
            DataError: It was not there then, or it is another now.
        """
        path = self.folder / name
        if name not in self.files:
            raise DataError(f"{path} is missing; {self.again}")
        try:
            file = files.opened(path)
            if _mark(file) == self.files[name].mark:
                return file
            if _sha256(file) == self.files[name].sha256:
                file.seek(0)
                return file
            file.close()
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}; {self.again}") from error
        raise DataError(f"{path} has changed while it was used; {self.again}")

    def require_unchanged(self) -> None:
        """Refuse to go on where a file is not what was read.

        Raises:
            DataError: One is another now, or gone.
        """
        for name in self.files:
            self.open(name).close()


def require_unchanged(snapshots: Iterable[Snapshot]) -> None:
    """Refuse to go on where a file of one of several folders is not what was read.

    Raises:
        DataError: One is another now, or gone.
    """
    for snapshot in snapshots:
        snapshot.require_unchanged()


def _mark(file: IO[bytes]) -> tuple[int, int, int, int]:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _sha256(file: IO[bytes], progress: Callable[[int], None] = lambda _: None) -> str:
    digest = hashlib.sha256()
    while block := file.read(BLOCK):
        digest.update(block)
        progress(len(block))
    return digest.hexdigest()
