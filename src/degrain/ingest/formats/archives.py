"""What all archives share: limits, names that are refused, and gzip and tar files, read in one pass.

Nothing is ever extracted to disk. Zips are in `zips`.
"""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from degrain import files
from degrain.errors import DataError

GIB = 1 << 30
MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What is refused, far above what data sets need.

    Attributes:
        members: Members of one archive.
        directory: Bytes of a zip's table of contents.
        member: Bytes of one member, unpacked.
        total: Bytes of all members of a zip, unpacked.
        memory: Bytes of one stack of images, or of one tar file, unpacked; they are held in memory.
        ratio: Bytes unpacked for each byte packed; deflate can reach 1032.
        ratio_from: Smaller members may have any ratio.
    """

    members: int = 1_000_000
    directory: int = GIB // 4
    member: int = GIB
    total: int = 200 * GIB
    memory: int = 2 * GIB
    ratio: int = 200
    ratio_from: int = MIB


LIMITS = Limits()

_READ_AT_ONCE = 16 * MIB
_FAULTS = tuple(
    (re.compile(pattern).search, reason)
    for pattern, reason in (
        (r"^$", "is empty"),
        (r"[\0-\x1f\x7f]", "holds a NUL or another control character"),
        (r"\\", "holds a backslash"),
        (r"^/", "is absolute"),
        (r"^[A-Za-z]:", "begins with a drive letter"),
        (r"(^|/)\.\.(/|$)", "leaves its folder by '..'"),
    )
)


def fault(name: str) -> str | None:
    """Say why a path inside an archive or data set is refused, or None if it is harmless.

    >>> fault("../x.png")
    "leaves its folder by '..'"
    """
    return next((reason for found, reason in _FAULTS if found(name)), None)


def opened(path: Path) -> IO[bytes]:
    """Open a file for reading.

    Raises:
        DataError: It is missing, cannot be read, or is a pipe or a device.
    """
    try:
        return files.opened(path)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def refusal(path: Path, member: str, reason: str) -> DataError:
    """Return the error for an archive that is refused because of a member."""
    return DataError(f"{path} is refused: its member {member!r} {reason}")


def contents(path: Path) -> bytes:
    """Read a whole file; errors are those of `opened`."""
    with opened(path) as file:
        return file.read()


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that may be gzipped; what is read is unpacked, and its checksum is checked at its end.

    Raises:
        DataError: The file is missing, damaged or truncated, also while it is read.
    """
    with opened(path) as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            if packed:
                with gzip.GzipFile(fileobj=file, mode="rb") as contents:
                    yield cast("IO[bytes]", contents)
            else:
                yield file
        except EOFError as error:
            raise DataError(f"{path} is truncated: {_line(error)}") from error
        except (OSError, zlib.error) as error:
            raise DataError(f"{path} is damaged: {_line(error)}") from error


def verify_gzip(path: Path, limits: Limits = LIMITS) -> None:
    """Unpack a gzipped file, a part at a time, against its checksum.

    Raises:
        DataError: It is missing, damaged, truncated, or unpacks to more than fits into memory.
    """
    with unpacked(path) as file:
        done = 0
        while block := file.read(MIB):
            done += len(block)
            if done > limits.memory:
                raise DataError(f"{path} is refused: it unpacks to more than {limits.memory} bytes")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


def tar_members(path: Path, limits: Limits = LIMITS) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each file in a tar file, gzipped or not, in one pass.

    Raises:
        DataError: The file is missing, damaged, truncated, no tar, empty, or refused; see the module.
    """
    try:
        with unpacked(path) as file:
            yield from _tar_stream(_Capped(file, path, limits.memory), path, limits)
    except DataError:
        raise
    except Exception as error:  # tarfile lets through what its parsing of bent headers raises
        raise DataError(f"{path} is damaged: {_line(error)}") from error


def _tar_stream(stream: _Capped, path: Path, limits: Limits) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=stream, mode="r:") as tar:  # type: ignore[call-overload]
        yield from _tar_files(tar, path, limits)
    if stream.last_block.strip(b"\0") or len(stream.last_block) < tarfile.BLOCKSIZE:
        raise DataError(f"{path} is damaged: it ends amid its members")
    while stream.read(MIB):
        pass  # to the end, where gzip has its checksum


def _tar_files(tar: tarfile.TarFile, path: Path, limits: Limits) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    empty = True
    for info in tar:
        reason = fault(info.name) or _tar_fault(info, limits)
        if reason or info.name in seen:
            raise refusal(path, info.name, reason or "comes twice")
        seen.add(info.name)
        if len(seen) > limits.members:
            raise DataError(f"{path} is refused: it has more than {limits.members} members")
        source = None if info.isdir() else tar.extractfile(info)
        if source is not None:
            empty = False
            yield info.name, b"".join(iter(lambda read=source.read: read(MIB), b""))  # type: ignore[misc]
    if empty:
        raise DataError(f"{path} holds no file")


def _tar_fault(info: tarfile.TarInfo, limits: Limits) -> str | None:
    if not info.isdir() and info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        return "is a link or a device"
    return f"has {info.size} bytes, more than {limits.member}" if info.size > limits.member else None


class _Capped:
    """A file for `tarfile` that refuses to go beyond a limit, or to read a header of many MiB at once."""

    def __init__(self, file: IO[bytes], path: Path, limit: int) -> None:
        self._file, self._path, self._limit = file, path, limit
        self.last_block = b""

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, *whence: Any) -> int:
        self._check(offset)
        return self._file.seek(offset, *whence)

    def read(self, size: int) -> bytes:
        self._check(self._file.tell() + size if 0 <= size <= _READ_AT_ONCE else self._limit + 1)
        data = self._file.read(size)
        if size == tarfile.BLOCKSIZE:
            self.last_block = data
        return data

    def _check(self, offset: int) -> None:
        if offset > self._limit:
            raise DataError(f"{self._path} is refused: it unpacks to more than {self._limit} bytes")
