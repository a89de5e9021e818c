"""Filling a folder with the files of a data set.

Finished downloads stay in a folder of their own, since DVC deletes a stage's outputs before it runs: a rerun, a kill or
a failure in the next file never costs a second download.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from degrain.artifacts.source import RawFile
from degrain.errors import DownloadError, OutputError
from degrain.files import contents, parse_json, write_json
from degrain.ingest.fetching import disk
from degrain.ingest.fetching.checksums import Checksums, Found
from degrain.ingest.fetching.partial import Part
from degrain.ingest.fetching.remote import RemoteFile, SourceFailed
from degrain.ingest.fetching.retries import PATIENT, Policy
from degrain.ingest.fetching.sources import sources

log = logging.getLogger(__name__)

# Where records say that a file came from which somebody has put among the finished downloads.
BY_HAND = "put into the folder of downloads by hand"


def fetch(
    dataset: str,
    files: Sequence[RemoteFile],
    folder: Path,
    downloads: Path,
    checksums: Path,
    mirror: str | None,
    policy: Policy = PATIENT,
) -> list[RawFile]:
    """Fill a folder with all files of a data set.

    For each file: a finished download of an earlier run, the mirror, Kaggle, the URLs in turn; the first that gives the
    right bytes is taken.

    Args:
        dataset: The data set's name.
        files: What it consists of.
        folder: An existing, empty folder.
        downloads: Where finished and half-finished downloads are kept, outside DVC's outputs.
        checksums: JSON file that records the first download of files without a published checksum.
        mirror: DEGRAIN_MIRROR: a folder, or an http or https URL.
        policy: How patiently each source is asked.

    Returns:
        What each file is and where it came from; a mirror's folder is called DEGRAIN_MIRROR, so that no machine's paths
        get into records.

    Raises:
        DownloadError: No source gives a file; the text names each with its reason.
        OutputError: The disk is full or not writable. What came is kept, and the next call goes on from there.
        DataError: The record of checksums is damaged.
    """
    record = Checksums(checksums, downloads / "checksums.lock")
    try:
        return [_File(dataset, file, folder, downloads, record, mirror, policy).fetch() for file in files]
    except OSError as error:
        raise OutputError(f"cannot fetch {dataset}: {error}") from error


@dataclass(frozen=True)
class _File:
    """One file of a data set on its way into the folder."""

    dataset: str
    file: RemoteFile
    folder: Path
    downloads: Path
    checksums: Checksums
    mirror: str | None
    policy: Policy

    @property
    def key(self) -> str:
        return f"{self.dataset}/{self.file.name}"

    @property
    def finished(self) -> Path:
        return self.downloads / self.dataset / self.file.name

    @property
    def note(self) -> Path:
        """Where a finished download came from; written just before the file gets its name."""
        return self.finished.with_name(f"{self.finished.name}.source.json")

    def fetch(self) -> RawFile:
        target = self.folder / self.file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        self.finished.parent.mkdir(parents=True, exist_ok=True)
        with _alone(self.finished):
            found, origin = self._kept() or self._from_somewhere(target)
            self.checksums.record(self.key, self.file, found, origin)
            if not target.exists():
                disk.link(self.finished, target)
        return RawFile(file=self.file.name, bytes=found.bytes, sha256=found.sha256, origin=origin)

    def _kept(self) -> tuple[Found, str] | None:
        """The finished download of an earlier run, if it is still what it was."""
        if not self.finished.is_file():
            return None
        found, note = Found.at(self.finished), self._read_note()
        ours = note.get("sha256") == found.sha256
        if wrong := self._wrong(found, changed=bool(note) and not ours):
            log.warning("%s %s; it is fetched again", self.finished, wrong)
            self.finished.unlink()
            return None
        log.debug("%s is there already", self.finished)
        # NOTE: a file that somebody put here by hand is as good, if it is the right one.
        return found, note["from"] if ours else BY_HAND

    def _wrong(self, found: Found, changed: bool) -> str:
        if changed and not self.checksums.knows(self.key, self.file):
            return "has changed since it was downloaded"
        try:
            self._check(self.finished, found)
        except SourceFailed as failure:
            return str(failure)
        return ""

    def _read_note(self) -> dict[str, str]:
        try:
            note = parse_json(contents(self.note))
            return {"from": note["from"], "sha256": note["sha256"]}
        except (OSError, ValueError, TypeError, KeyError):
            return {}

    def _from_somewhere(self, target: Path) -> tuple[Found, str]:
        """The first source that gives the right bytes."""
        reasons: list[str] = []
        level = logging.DEBUG
        for source in sources(self.file, self.mirror, self.policy):
            # NOTE: of the last source only the error speaks: a person need not read the same thing twice.
            if reasons:
                log.log(level, "%s; trying %s", reasons[-1], source.name)
            try:
                if isinstance(source.get, Path):
                    return self._copied(source.get, target), source.origin
                return self._downloaded(source.origin, source.get), source.origin
            except SourceFailed as failure:
                lacks = source.is_mirror and failure.status in (404, 410)
                level = logging.INFO if lacks else logging.WARNING
                reasons.append(f"{source.name}: {'is not there' if lacks else failure}")
        if not self.file.urls and not self.file.kaggle:
            mirror = f"set DEGRAIN_MIRROR to a folder or URL that holds {self.file.mirror}"
            reasons.append(f"it is only to be had from a mirror: {mirror}")
        raise DownloadError(f"cannot get {self.key}: {'; '.join(reasons)}")

    def _copied(self, source: Path, target: Path) -> Found:
        disk.copy(source, target)
        found = Found.at(target)
        try:
            self._check(target, found)
        except SourceFailed:
            target.unlink()
            raise
        return found

    def _downloaded(self, origin: str, get: Callable[[Part], bool]) -> Found:
        part = Part(self.finished)
        resumed = get(part)
        try:
            found = self._checked(part)
        except SourceFailed as failure:
            if not resumed:
                raise
            # NOTE: what an earlier run left may be what is wrong, so the source gets one chance from the first byte.
            log.warning("%s: %s; downloading all of it again", origin, failure)
            get(part)
            found = self._checked(part)
        write_json(self.note, {"from": origin, "sha256": found.sha256})
        part.become(self.finished)
        return found

    def _checked(self, part: Part) -> Found:
        found = Found.at(part.path)
        try:
            self._check(part.path, found)
        except SourceFailed:
            part.remove()
            raise
        return found

    def _check(self, path: Path, found: Found) -> None:
        self.checksums.check(self.key, self.file, path, found)


@contextmanager
def _alone(finished: Path) -> Iterator[None]:
    """Keep other processes from writing the same part."""
    lock = FileLock(finished.with_name(f"{finished.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("another process is fetching %s; waiting for it", finished.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
