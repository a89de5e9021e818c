"""A half-downloaded file, and what must be known of it to go on in another run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from rich.filesize import decimal

from degrain import files
from degrain.errors import OutputError


@dataclass(frozen=True)
class State:
    """Which bytes a `.part` file holds the beginning of.

    Attributes:
        source: Who sent them.
        etag: The server's strong ETag, or empty.
        last_modified: The server's Last-Modified, where it is precise enough to tell versions apart, or empty.
        total: Size of the whole in bytes, if the server said.
    """

    source: str
    etag: str
    last_modified: str
    total: int | None

    @property
    def validator(self) -> str:
        """What If-Range takes: without it nobody can tell whether the rest belongs to the same bytes."""
        return self.etag or self.last_modified


class Part:
    """`<name>.part` with `<name>.part.json` beside it, in the folder of downloads."""

    def __init__(self, target: Path) -> None:
        self.name = target.name
        self.path = target.with_name(f"{target.name}.part")
        self._notes = target.with_name(f"{target.name}.part.json")

    def size(self) -> int:
        """Return how many bytes are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    def state(self) -> State | None:
        """Return what was noted when the file was begun, or None when that is missing or damaged."""
        try:
            return State(**files.parse_json(files.contents(self._notes)))
        except (OSError, ValueError, TypeError):
            return None

    def resumable(self, source: str) -> State | None:
        """Return the state if these bytes came from this source and are whole, or the rest can be asked for."""
        state, size = self.state(), self.size()
        if state is None or state.source != source or size == 0 or (state.total is not None and size > state.total):
            return None
        return state if state.validator or size == state.total else None

    def begin(self, state: State) -> None:
        """Drop what is there and note what comes."""
        # NOTE: emptied before the new note is written: a kill in between must not leave old bytes under a new note.
        self.remove()
        files.write_json(self._notes, asdict(state))

    def append(self, chunks: Iterable[bytes]) -> None:
        """Write chunks behind what is there.

        Raises:
            OutputError: They cannot be written; what could be stays, to go on from.
        """
        with self._writable() as file:
            file.writelines(chunks)

    def flush(self) -> None:
        """Make sure that the bytes are on the disk, not only in memory."""
        with self._writable() as file:
            os.fsync(file.fileno())

    @contextmanager
    def _writable(self) -> Iterator[BinaryIO]:
        files.separate(self.path)
        try:
            with self.path.open("ab") as file:
                yield file
        except OSError as error:
            kept = f"the {decimal(self.size())} that are there are kept for the next run"
            raise OutputError(f"cannot write {self.path}: {error.strerror or error}; {kept}") from error

    def remove(self) -> None:
        """Delete the bytes and the note."""
        self.path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)

    def become(self, target: Path) -> None:
        """Give the finished file its name."""
        self.path.replace(target)
        self._notes.unlink(missing_ok=True)
