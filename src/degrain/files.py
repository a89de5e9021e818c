"""Writing files so that a kill, a full disk or a second process never leaves a half-written one behind."""

from __future__ import annotations

import errno
import glob
import hashlib
import io
import itertools
import json
import os
import secrets
import shutil
import socket
import stat
import tempfile
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from degrain.errors import DataError, OutputError

# Bytes; file systems take 255, and more is put behind such a name.
LONGEST_NAME = 150
# Lists and objects within each other in a JSON file; none of ours has as many.
DEEPEST = 100
# How the names of half-written files and folders end.
PARTIAL = ".partial"

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)


def special(mode: int) -> str | None:
    """Say what has a mode, as of `os.stat`, if that is no file and no folder: reading it might never end.

    >>> special(Path("/dev/null").stat().st_mode)
    'is a device, not a file'
    """
    return next((f"is {kind}, not a file" for is_kind, kind in _KINDS if is_kind(mode)), None)


def opened(path: Path) -> io.BufferedReader:
    """Open a file for reading.

    Raises:
        OSError: It cannot be read. Its `strerror` says why; that of a pipe, socket or device has the number ENXIO.
    """
    if reason := special(path.stat().st_mode):
        raise OSError(errno.ENXIO, f"it {reason}", str(path))
    return path.open("rb")


def contents(path: Path, limit: int | None = None) -> bytes:
    """Read a whole file.

    Args:
        path: The file.
        limit: The most bytes that it may have.

    Raises:
        OSError: As of `opened`; that of a larger file has the number EFBIG.
    """
    with opened(path) as file:
        data = file.read() if limit is None else file.read(limit + 1)
    if limit is not None and len(data) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit} bytes", str(path))
    return data


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal; errors are those of `opened`."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verified(path: Path, digest: str | None) -> io.BytesIO | None:
    """Read a whole file whose SHA-256 is known: what is checked is what is read, whatever takes its place meanwhile.

    Args:
        path: The file.
        digest: SHA-256 that it must have, in hexadecimal.

    Returns:
        Its bytes; None where they are others, or where it cannot be read.
    """
    try:
        content = contents(path)
    except OSError:
        return None
    return io.BytesIO(content) if hashlib.sha256(content).hexdigest() == digest else None


def digest(value: object) -> str:
    """Return the SHA-256 of a value that JSON can hold; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def tree_digest(folder: Path, *suffixes: str) -> str:
    """Return the SHA-256 of what a folder holds: of each file's relative path and bytes.

    Args:
        folder: Where the files are, at any depth.
        suffixes: Such as ".npy"; files of others do not count. All count if there are none.
    """
    return digest({path.relative_to(folder).as_posix(): sha256(path) for path in tree(folder, *suffixes)})


def contents_digest(contents: Mapping[str, bytes]) -> str:
    """Return the `tree_digest` of a folder that would hold these files: contents by relative path."""
    return digest({name: hashlib.sha256(data).hexdigest() for name, data in contents.items()})


def tree(folder: Path, *suffixes: str) -> list[Path]:
    """Return the files in a folder, at any depth, sorted; those with one of some suffixes if there are any."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in paths if not suffixes or path.suffix in suffixes)


def is_partial(path: Path) -> bool:
    """Tell whether a path is, or lies in, what a process is writing or has left when it was killed."""
    return any(part.endswith(PARTIAL) for part in path.parts)


def portable_name(text: str, otherwise: str) -> str:
    """Return a name for files that people recognise: letters, marks and digits of every script, `.`, `_` and `-`.

    Args:
        text: What is to be named; composed and decomposed forms of a letter give the same name.
        otherwise: The name of what has none of these.

    >>> portable_name("caf\u00e9 / 猫.1", "image")
    'café-猫.1'
    """
    kept = (
        letter if letter in "._-" or unicodedata.category(letter)[0] in "LMN" else " "
        for letter in unicodedata.normalize("NFC", text)
    )
    name = "-".join("".join(kept).split()).strip("-.")
    while len(name.encode()) > LONGEST_NAME:
        name = name[:-1]
    return name or otherwise


def told_apart(name: str, taken: Collection[str], identity: str) -> str:
    """Return a name that no file system takes for one of those that are taken.

    Args:
        name: What it is where it is free.
        taken: The names of others.
        identity: What is named, in full; six or more digits of its SHA-256 are put behind a name that is taken.

    >>> told_apart("a-b", ["A-b"], "a b")
    'a-b-c8687a'
    """
    held = {folded(other) for other in taken}
    digits = hashlib.sha256(identity.encode(errors="surrogatepass")).hexdigest()
    candidates = itertools.chain([name], (f"{name}-{digits[:length]}" for length in range(6, len(digits) + 1)))
    return next(candidate for candidate in candidates if folded(candidate) not in held)


def folded(name: str) -> str:
    """Return what is the same of names that may be one file: some file systems ignore case and composition."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Fill a folder beside its place and move it there when it is whole.

    Args:
        target: Where the folder belongs; what stood there is replaced.

    Yields:
        An empty folder to write into.

    Raises:
        OutputError: The folder cannot be written. Nothing is left behind then, and what stood there still stands.
    """
    with _partial(target) as partial:
        partial.mkdir(parents=True)
        yield partial
        aside = partial.with_name(f"{partial.name[: -len('.partial')]}-old.partial")
        if target.exists():
            target.replace(aside)
        try:
            partial.replace(target)
        except OSError:
            if aside.exists():
                aside.replace(target)
            raise
        _remove(aside)


@contextmanager
def new_file(target: Path, replace: bool = True) -> Iterator[Path]:
    """Write a file beside its place, flush it to the disk and move it there; otherwise like `new_folder`.

    Args:
        target: Where the file belongs.
        replace: Whether what stands there when the file is whole is replaced, whoever put it there meanwhile.

    Yields:
        A path to write to.

    Raises:
        OutputError: The file cannot be written, or something stands in its place and is not to be replaced.
    """
    with _partial(target) as partial:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        flush(partial)
        try:
            partial.replace(target) if replace else _move_to_free(partial, target)
        except FileExistsError:
            raise OutputError(f"{target} is there already: it appeared meanwhile, and is not replaced") from None
        flush(target.parent)


def _move_to_free(partial: Path, target: Path) -> None:
    """Give a file a second name, which `_partial` makes its only one.

    Where the file system has no hard links, an empty file holds the place for a moment. Who reads it finds nothing,
    who writes to it loses that, and a kill leaves it behind.

    Raises:
        FileExistsError: The name is taken; nothing has been touched.
        OSError: The system does not let us.
    """
    try:
        os.link(partial, target)
    except FileExistsError:
        raise
    except OSError:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            partial.replace(target)
        except OSError:
            _remove(target)
            raise


def separate(path: Path) -> bool:
    """Give a file that has several names, as `cp -al` makes them, bytes of its own before it is written to in place.

    Returns:
        Whether it had several.

    Raises:
        OutputError: It cannot be copied.
    """
    try:
        if path.stat().st_nlink == 1:
            return False
    except FileNotFoundError:
        return False
    with new_file(path) as partial:
        shutil.copyfile(path, partial)
    return True


def require_writable(*targets: Path) -> None:
    """Refuse to begin work whose result could not be written.

    Args:
        targets: Files or folders that are to be made.

    Raises:
        OutputError: Where one belongs nothing can be written; the text names it.
    """
    for target in targets:
        is_there(target)
        with _errors_of(target):
            there = next(path for path in target.absolute().parents if path.exists())
            with tempfile.TemporaryFile(dir=there) as probe:
                probe.write(b"\0" * 4096)


def is_there(target: Path) -> bool:
    """Tell whether an output is there already.

    Raises:
        OutputError: It cannot be written, since the system takes no such name, or does not let us look.
    """
    with _errors_of(target):
        return target.exists()


def inodes(paths: Iterable[Path]) -> dict[tuple[int, int], Path]:
    """Return files by their device and inode, which links share; what cannot be looked at is left out."""
    found = {}
    for path in paths:
        with suppress(OSError):
            status = path.stat()
            found[status.st_dev, status.st_ino] = path
    return found


def require_no_input(target: Path, inputs: Mapping[tuple[int, int], Path]) -> None:
    """Refuse an output that is a file that is read, also under another name or by a link.

    Args:
        target: The output; need not exist.
        inputs: Everything that is read, as of `inodes`.

    Raises:
        OutputError: It is one of them; the text names which.
    """
    for inode in inodes([target]):
        if inode in inputs:
            other = inputs[inode]
            which = "the input itself" if other == target else f"the input {other}"
            raise OutputError(f"{target} is {which}; name another output")


def is_folder(path: Path) -> bool:
    """Tell whether a path is a folder; what no system would take for a path is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


@contextmanager
def _errors_of(target: Path) -> Iterator[None]:
    """Say in one line what the system has against an output.

    Raises:
        OutputError: It has something.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {target}: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    """What the system says; of many files that could not be copied, of the first one."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        return str(error.args[0][0][-1])
    return error.strerror or str(error)


def flush(path: Path) -> None:
    """Have the disk hold what was written to a file, or which names a folder has."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """Give a path for half-written output; clean up after errors, and after processes that were killed."""
    # NOTE: a file system takes 255 bytes, and the rest of the name takes up to 90.
    short = target.name if len(os.fsencode(target.name)) <= LONGEST_NAME else digest(target.name)
    here = f"{short}.{socket.gethostname()}"
    partial = target.with_name(f"{here}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    with _errors_of(target):
        for left in target.parent.glob(f"{glob.escape(here)}.*.partial*"):
            pid = left.name.removeprefix(f"{here}.").partition("-")[0]
            if pid.isdigit() and not _runs(int(pid)):
                _remove(left)
        try:
            yield partial
        finally:
            # NOTE: SQLite keeps a journal beside its file.
            for path in (partial, *target.parent.glob(f"{glob.escape(partial.name)}-*")):
                _remove(path)


def _remove(path: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def write_json(target: Path, value: object) -> None:
    """Write a value as indented JSON, atomically."""
    with new_file(target) as partial:
        partial.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def read_json(path: Path, again: str = "remove it and run dvc repro") -> Any:
    """Read a JSON file that an earlier stage wrote.

    Args:
        path: The file.
        again: What to do about a damaged one.

    Raises:
        DataError: It is missing, damaged, or cannot be read.
    """
    try:
        return parse_json(contents(path))
    except FileNotFoundError:
        raise DataError(f"{path} is missing; run the stage that makes it: dvc repro") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path} is damaged ({error}); {again}") from error


def parse_json(content: bytes | str) -> Any:
    """Parse JSON that anybody may have written.

    Args:
        content: The text; bytes are UTF-8.

    Raises:
        ValueError: It is no JSON, or holds a number that is too long or values that are nested too deep to be read.
    """
    text = content.decode() if isinstance(content, bytes) else content
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"it is nested more than {DEEPEST} deep") from None
    if _is_deep(value):
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    return value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(level)
