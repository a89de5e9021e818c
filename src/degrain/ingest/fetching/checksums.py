"""Trust on first use: a file without a published checksum must stay what it was when it first came."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from degrain import console, files
from degrain.errors import DataError
from degrain.ingest.fetching import disk
from degrain.ingest.fetching.remote import RemoteFile, SourceFailed


@dataclass(frozen=True)
class Found:
    """What a file on the disk turned out to be: its size in bytes and its SHA-256 in hexadecimal."""

    bytes: int
    sha256: str

    @classmethod
    def at(cls, path: Path) -> Found:
        """Read a whole file."""
        return cls(path.stat().st_size, disk.sha256(path))


@dataclass(frozen=True)
class Checksums:
    """The record of first downloads.

    Attributes:
        path: A JSON file under version control, one line per file: "<dataset>/<name>" and what came first.
        lock: Held while the record is changed, so that two processes do not lose each other's lines.
    """

    path: Path
    lock: Path

    def knows(self, key: str, file: RemoteFile) -> bool:
        """Tell whether a file's checksum is published or recorded."""
        return file.sha256 is not None or key in self._read()

    def check(self, key: str, file: RemoteFile, path: Path, found: Found) -> None:
        """Hold a file against what was published about it, or else what was recorded, or else its own check values.

        Args:
            key: "<dataset>/<name>".
            file: What was published.
            path: The file.
            found: What it is.

        Raises:
            SourceFailed: It is not that file.
            DataError: The record is damaged.
        """
        if file.size not in (None, found.bytes):
            raise SourceFailed(f"has {found.bytes} bytes, not the {file.size} that were published")
        if file.sha256 is not None:
            if found.sha256 != file.sha256.lower():
                raise SourceFailed(f"has SHA-256 {found.sha256}, not the published {file.sha256.lower()}")
        elif record := self._read().get(key):
            if found.sha256 != record["sha256"]:
                first = f"{record['sha256']} for {key}, which came from {record['from']} on {record['date']}"
                raise SourceFailed(
                    f"has SHA-256 {found.sha256}, but {self.path} records {first}; if the publisher really changed it, "
                    "remove that line"
                )
        elif path.name.removesuffix(".part").endswith(".zip"):
            check_zip(path)

    def record(self, key: str, file: RemoteFile, found: Found, origin: str) -> None:
        """Note what a file looked like the first time, unless its checksum is published.

        Args:
            key: "<dataset>/<name>".
            file: What was published.
            found: What it is.
            origin: Where it came from.
        """
        if file.sha256 is not None:
            return
        with FileLock(self.lock):
            known = self._read()
            if key in known:
                return
            today = datetime.now(UTC).date().isoformat()
            known[key] = {"bytes": found.bytes, "date": today, "from": origin, "sha256": found.sha256}
            lines = [f"  {json.dumps(name)}: {json.dumps(known[name], sort_keys=True)}" for name in sorted(known)]
            with files.new_file(self.path) as partial:
                partial.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            known: dict[str, dict[str, Any]] = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise DataError(
                f"{self.path} is damaged ({error}); mend it, or restore it: git checkout {self.path}"
            ) from None
        return known


def check_zip(path: Path) -> None:
    """Read every member of a zip against its CRC-32.

    Raises:
        SourceFailed: It is no zip, or one is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive, console.transfer(f"checking {path.name}") as show:
            members = archive.infolist()
            total, done = sum(member.file_size for member in members), 0
            for member in members:
                with archive.open(member) as file:
                    for block in disk.blocks(file):
                        done += len(block)
                        show(done, total)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise SourceFailed(f"is a damaged zip: {error}") from error
