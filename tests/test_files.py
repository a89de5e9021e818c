"""Outputs appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from degrain import files
from degrain.errors import DataError, OutputError


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("astronaut", "astronaut"),
        ("motorcycle_left.1", "motorcycle_left.1"),
        ("a b", "a-b"),
        ("../up", "up"),
        ("猫", "猫"),
        ("हिन्दी", "हिन्दी"),
        ("cafe\u0301", "caf\u00e9"),
        ("<img onerror=x>", "img-onerror-x"),
        ("???", "image"),
        ("", "image"),
        ("x" * 300, "x" * 150),
        ("猫" * 100, "猫" * 50),
    ],
)
def test_names_keep_the_letters_of_every_script(text: str, name: str) -> None:
    assert files.portable_name(text, "image") == name


def test_names_that_a_file_system_takes_for_one_are_told_apart() -> None:
    taken: list[str] = []
    for name in ("cat", "CAT", "stra\u00dfe", "STRASSE", "caf\u00e9", "cafe\u0301"):
        taken.append(files.told_apart(name, taken, name))
    assert taken == ["cat", "CAT-15b89a", "stra\u00dfe", "STRASSE-b97805", "caf\u00e9", "cafe\u0301-81ef06"]


@pytest.mark.parametrize("name", ["\udce9t\udce9.png", "\udcff" * 255, "\ud800", "a\udc80"])
def test_names_that_are_no_text_can_be_told_apart(name: str) -> None:
    assert files.portable_name(name, "image").isascii()
    assert files.told_apart("a", ["a"], name) != files.told_apart("a", ["a"], f"{name}.")


@pytest.mark.parametrize("name", [b"\xe9t\xe9.json", b"\xff" * 255, b"\xff" * 150, b"\xff" * 151])
def test_files_and_folders_of_any_name_are_written(tmp_path: Path, name: bytes) -> None:
    for target in (tmp_path / os.fsdecode(name), tmp_path / "in" / os.fsdecode(name)):
        files.write_json(target, 1)
        assert files.read_json(target) == 1
        target.unlink()
        with files.new_folder(target):
            pass
        assert target.is_dir()


def _special(folder: Path, kind: str) -> Path:
    path = folder / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    else:
        path.symlink_to(f"/dev/{kind}")
    return path


@pytest.mark.parametrize("read", [files.sha256, files.contents, files.opened], ids=lambda read: read.__name__)
@pytest.mark.parametrize("kind", ["pipe", "socket", "zero", "null", "urandom"])
def test_what_is_no_file_is_not_read(tmp_path: Path, kind: str, read: Callable[[Path], object]) -> None:
    path = _special(tmp_path, kind)
    with pytest.raises(OSError, match=r"it is a (pipe|socket|device), not a file") as caught:
        read(path)
    assert caught.value.errno == errno.ENXIO
    with pytest.raises(DataError, match=r"^cannot read .*: it is a (pipe|socket|device), not a file$"):
        files.read_json(path)


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    assert files.contents(tmp_path / "x", 5) == files.contents(tmp_path / "x") == b"12345"
    with pytest.raises(OSError, match="it has more than 4 bytes"):
        files.contents(tmp_path / "x", 4)


def test_one_more_digit_tells_apart_what_six_do_not() -> None:
    digits = hashlib.sha256(b"x").hexdigest()
    taken = ["a", f"a-{digits[:6]}", f"a-{digits[:7]}"]
    assert files.told_apart("a", taken, "x") == f"a-{digits[:8]}"


def test_a_folder_that_fails_leaves_what_stood_there(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").write_text("old")

    def fail() -> None:
        with files.new_folder(target) as folder:
            (folder / "new").write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "old"]


def test_a_folder_replaces_what_stood_there(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    for name in ("old", "new"):
        with files.new_folder(target) as folder:
            (folder / name).write_text(name)
    assert [path.name for path in target.iterdir()] == ["new"]


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    """The process may write no file above 1000 bytes, as on a full disk."""
    code = f"""
import resource, signal
from pathlib import Path
from degrain import files
from degrain.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    files.write_json(Path({str(tmp_path)!r}) / "big.json", "x" * 5000)
except OutputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"cannot write {tmp_path}/big.json: File too large\n"
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(params=["hard links", "no hard links"])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    if request.param == "no hard links":
        monkeypatch.setattr(os, "link", refuse)
    return str(request.param)


@pytest.mark.usefixtures("links")
@pytest.mark.parametrize("taken", ["file", "folder", "link to a file", "link to nothing"])
def test_what_appears_while_a_file_is_written_stays_as_it_is(tmp_path: Path, taken: str) -> None:
    target, other = tmp_path / "out", tmp_path / "other"
    other.write_text("other")

    def write() -> None:
        with files.new_file(target, replace=False) as partial:
            partial.write_text("new")
            if taken == "file":
                target.write_text("other")
            elif taken == "folder":
                target.mkdir()
            else:
                target.symlink_to(other if taken == "link to a file" else "nothing")

    with pytest.raises(OutputError, match=r"out is there already: it appeared meanwhile, and is not replaced$"):
        write()
    assert other.read_text() == "other"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "out"]
    assert target.is_symlink() == taken.startswith("link")
    assert not target.is_file() or target.read_text() == "other"


@pytest.mark.usefixtures("links")
def test_of_many_that_write_a_file_at_once_one_succeeds(tmp_path: Path) -> None:
    ready = threading.Barrier(8)

    def write(number: int, target: Path) -> bool:
        try:
            with files.new_file(target, replace=False) as partial:
                partial.write_text(str(number))
                ready.wait(30)
        except OutputError:
            return False
        return True

    for attempt in range(20):
        target = tmp_path / str(attempt)
        with ThreadPoolExecutor(8) as threads:
            done = list(threads.map(write, range(8), [target] * 8))
        assert done.count(True) == 1
        assert target.read_text() == str(done.index(True))
        assert target.stat().st_nlink == 1
    assert len(list(tmp_path.iterdir())) == 20


def test_an_unwritable_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        files.write_json(tmp_path / "file" / "out.json", 1)


def test_a_damaged_json_file_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"half": ')
    with pytest.raises(DataError, match="damaged"):
        files.read_json(tmp_path / "x.json")
    with pytest.raises(DataError, match="missing; run the stage"):
        files.read_json(tmp_path / "y.json")


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    host = socket.gethostname()
    (tmp_path / f"out.{host}.{child.pid}-abcd.partial").mkdir()
    running = tmp_path / f"out.{host}.1-abcd.partial"  # process 1 runs
    elsewhere = tmp_path / f"out.other-machine.{child.pid}-abcd.partial"
    for folder in (running, elsewhere):
        folder.mkdir()
    with files.new_folder(tmp_path / "out"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["out", running.name, elsewhere.name])


def test_where_nothing_can_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    files.require_writable(tmp_path / "new" / "deep" / "out.png", tmp_path / "file", tmp_path)
    assert not (tmp_path / "new").exists()
    for target in (tmp_path / "file" / "out.png", Path("/proc/degrain/out"), Path("/dev/full/x")):
        with pytest.raises(OutputError, match=f"^cannot write {target}: ") as caught:
            files.require_writable(target)
        assert "\n" not in str(caught.value)


def test_a_full_disk_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.tempfile, "TemporaryFile", lambda dir: Full())
    with pytest.raises(OutputError, match="No space left on device"):
        files.require_writable(tmp_path / "x")


def test_a_file_with_several_names_gets_bytes_of_its_own(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    assert not files.separate(one)
    one.write_text("text")
    assert not files.separate(one)
    os.link(one, other)
    assert files.separate(one)
    with one.open("a") as file:
        file.write(" and more")
    assert (one.read_text(), other.read_text()) == ("text and more", "text")
    assert not files.separate(other)
