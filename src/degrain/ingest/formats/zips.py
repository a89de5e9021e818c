"""Zip files read where they lie, member by member, by Python's zipfile; nothing is extracted to disk.

A zip is checked as a whole when it is opened, and refused by name if any member could do harm: a path that leaves the
folder, a link, a name that comes twice, members that overlap (as in Fifield's zip bomb, USENIX WOOT 2019), or sizes
beyond `Limits`.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from degrain.errors import DataError
from degrain.ingest.formats.archives import LIMITS, Limits, fault, opened

_LOCAL_HEADER = 30  # bytes, and the name after it
_LONGEST_END = 22 + 0xFFFF  # bytes of the end record with its comment
_IN_ZIP64 = 0xFFFF
_ENCRYPTED = 1 | 1 << 6 | 1 << 13
_BLOCK = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Zip:
    """An open zip file; any number of threads may read from it at once.

    Args:
        path: The file.
        limits: What is refused.

    Raises:
        DataError: The file is missing, damaged, truncated, no zip, empty, or refused; see the module.
    """

    def __init__(self, path: Path, limits: Limits = LIMITS) -> None:
        self._path = path
        file = opened(path)
        try:
            self._zip = _open(file, path, limits)
            self._members = _checked(self._zip, path, limits)
        except BaseException:
            file.close()
            raise
        self._file = file

    @property
    def names(self) -> list[str]:
        """Names of the files in it, in the order of its table of contents; no folders."""
        return list(self._members)

    def read(self, name: str) -> bytes:
        """Return a member's bytes, of the announced size and checksum.

        Raises:
            DataError: There is no such member, or it is damaged.
        """
        member = self._members.get(name)
        if member is None:
            raise DataError(f"{self._path} has no member {name!r}")
        with self._opened(member) as file:
            # NOTE: zipfile checks the CRC-32 at the announced size; without a number it would unpack all there is.
            data = file.read(member.file_size + 1)
        if len(data) != member.file_size:
            raise DataError(f"{self._path}::{name} is damaged: it has not the announced {member.file_size} bytes")
        return data

    def verify(self, progress: Callable[[int, int], None] = lambda *_: None) -> None:
        """Read every member against its announced size and checksum, a part at a time.

        Args:
            progress: Called with how many bytes are done, and of how many.

        Raises:
            DataError: One is damaged.
        """
        total, done = sum(member.file_size for member in self._members.values()), 0
        for name, member in self._members.items():
            with self._opened(member) as file:
                read = 0
                while block := file.read(_BLOCK):
                    read += len(block)
                    if read > member.file_size:
                        break
                    progress(done + read, total)
            if read != member.file_size:
                raise DataError(f"{self._path}::{name} is damaged: it has not the announced {member.file_size} bytes")
            done += read

    @contextmanager
    def _opened(self, member: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
        try:
            with self._zip.open(member) as file:
                yield file
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
            raise DataError(f"{self._path}::{member.filename} is damaged: {error or 'it ends too early'}") from error

    def close(self) -> None:
        """Close the file."""
        self._zip.close()
        self._file.close()


def _open(file: IO[bytes], path: Path, limits: Limits) -> zipfile.ZipFile:
    size = os.fstat(file.fileno()).st_size
    begins_as_zip = file.read(4) == b"PK\3\4"
    try:
        opened_zip = zipfile.ZipFile(file)
        announced = _announced(file, size)
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, EOFError) as error:
        if begins_as_zip and "not a zip" in str(error):
            raise DataError(f"{path} is truncated: its table of contents is missing; download it again") from error
        reason = "is no zip file" if "not a zip" in str(error) else f"is damaged: {error}"
        raise DataError(f"{path} {reason}") from error
    if size - opened_zip.start_dir > limits.directory:
        raise DataError(f"{path} is refused: its table of contents has {size - opened_zip.start_dir} bytes")
    # NOTE: zipfile does not compare: one changed byte can make an entry swallow those after it.
    if announced not in (len(opened_zip.infolist()), _IN_ZIP64):
        raise DataError(
            f"{path} is damaged: its table of contents has {len(opened_zip.infolist())} entries, not {announced}"
        )
    return opened_zip


def _announced(file: IO[bytes], size: int) -> int:
    """The number of entries that the end record of an archive announces."""
    file.seek(max(0, size - _LONGEST_END))
    tail = file.read()
    return int.from_bytes(tail[tail.rfind(b"PK\5\6") + 10 :][:2], "little")


def _checked(archive: zipfile.ZipFile, path: Path, limits: Limits) -> dict[str, zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > limits.members:
        raise DataError(f"{path} is refused: it has more than {limits.members} members")
    seen: set[str] = set()
    for member in members:
        name = member.orig_filename
        reason = fault(name) or _kind_fault(member) or _size_fault(member, limits)
        if reason or name in seen:
            raise DataError(f"{path} is refused: its member {name!r} {reason or 'comes twice'}")
        seen.add(name)
    if all(member.is_dir() for member in members):
        raise DataError(f"{path} holds no file")
    total = sum(member.file_size for member in members)
    if total > limits.total:
        raise DataError(f"{path} is refused: it unpacks to {total} bytes, more than {limits.total}")
    _refuse_overlaps(members, archive.start_dir, path)
    return {member.filename: member for member in members if not member.is_dir()}


def _kind_fault(member: zipfile.ZipInfo) -> str | None:
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if member.is_dir():
        return "is a folder with contents of its own" if member.file_size else None
    faults = {
        "lies in another part of a split archive": member.volume not in (0, 0xFFFF),
        "is encrypted": member.flag_bits & _ENCRYPTED,
        f"is packed by method {member.compress_type}, not stored or deflated: pack it anew by zip": (
            member.compress_type not in _METHODS
        ),
        "is stored but has two sizes": (
            member.compress_type == zipfile.ZIP_STORED and member.compress_size != member.file_size
        ),
    }
    return next((reason for reason, found in faults.items() if found), None)


def _size_fault(member: zipfile.ZipInfo, limits: Limits) -> str | None:
    size = member.file_size
    if size > limits.member:
        return f"has {size} bytes, more than {limits.member}"
    if size > limits.ratio_from and size > limits.ratio * member.compress_size:
        return f"unpacks to more than {limits.ratio} times its size, as a bomb does"
    return None


def _refuse_overlaps(members: list[zipfile.ZipInfo], end: int, path: Path) -> None:
    order = sorted(members, key=lambda member: member.header_offset)
    ends = [member.header_offset for member in order[1:]] + [end]
    for member, following in zip(order, ends, strict=True):
        name_size = len(member.orig_filename.encode("utf-8" if member.flag_bits & 0x800 else "cp437"))
        if member.header_offset + _LOCAL_HEADER + name_size + member.compress_size > following:
            raise DataError(f"{path} is refused: its member {member.orig_filename!r} overlaps another, as in a bomb")
