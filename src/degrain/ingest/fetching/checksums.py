"""Trust on first use: a file without a published checksum must stay what it was when it first came."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from degrain import console, files
from degrain.artifacts.base import explain
from degrain.errors import DataError
from degrain.ingest.fetching import disk
from degrain.ingest.fetching.remote import RemoteFile, SourceFailed
from degrain.ingest.formats import archives, zips


@dataclass(frozen=True)
class Found:
    """What a file on the disk turned out to be: its size in bytes and its SHA-256 in hexadecimal."""

    bytes: int
    sha256: str

    @classmethod
    def at(cls, path: Path) -> Found:
        """Read a whole file."""
        return cls(path.stat().st_size, disk.sha256(path))


class Recorded(BaseModel):
    """One line of the record: what came first, when, and where it came from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: Annotated[int, Field(ge=0)]
    date: str
    origin: Annotated[str, Field(alias="from")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


_RECORDS = TypeAdapter(dict[str, Recorded])


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
            if found.sha256 != record.sha256:
                first = f"{record.sha256} for {key}, which came from {record.origin} on {record.date}"
                raise SourceFailed(
                    f"has SHA-256 {found.sha256}, but {self.path} records {first}; if the publisher really changed it, "
                    "remove that line"
                )
        else:
            check_archive(path, path.name.removesuffix(".part"))

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
            known[key] = Recorded(bytes=found.bytes, date=today, **{"from": origin}, sha256=found.sha256)
            lines = [
                f"  {json.dumps(name)}: {json.dumps(known[name].model_dump(by_alias=True), sort_keys=True)}"
                for name in sorted(known)
            ]
            with files.new_file(self.path) as partial:
                partial.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")

    def _read(self) -> dict[str, Recorded]:
        try:
            return _RECORDS.validate_json(files.contents(self.path))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise DataError(f"cannot read {self.path}: {error.strerror}") from error
        except ValidationError as error:
            raise DataError(
                f"{self.path} is damaged ({explain(error)}); mend it, or restore it: git checkout {self.path}"
            ) from None


def check_archive(path: Path, name: str) -> None:
    """Refuse an archive that could do harm, by its table of contents; then read all of it against its own checksums.

    Args:
        path: The file.
        name: What it is to be called; the suffix says what it is. Other files than archives pass.

    Raises:
        SourceFailed: It is refused or damaged.
    """
    try:
        with console.transfer(f"checking {name}") as show:
            if name.endswith(".zip"):
                archive = zips.Zip(path)
                try:
                    archive.verify(show)
                finally:
                    archive.close()
            elif name.endswith((".tar", ".tar.gz", ".tgz")):
                for _ in archives.tar_members(path):
                    pass
            elif name.endswith(".gz"):
                archives.verify_gzip(path)
    except DataError as error:
        raise SourceFailed(str(error).replace(str(path), name)) from error
