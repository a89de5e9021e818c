"""Zip, gzip and tar files: read to the last bit, or refused by name."""

from __future__ import annotations

import stat
import tarfile
import tracemalloc
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from degrain.errors import DataError
from degrain.ingest.formats import archives
from degrain.ingest.formats.archives import Limits
from degrain.ingest.formats.zips import Zip
from tests.ingest.formats import fixtures

MEMBERS = {"a/x.png": b"one" * 500, "a/y.png": fixtures.noise((900,)).tobytes(), "b/empty.txt": b"", "z.png": b"z"}
BOMB = bytes(3 << 20)


def everything(path: Path, limits: Limits = archives.LIMITS) -> dict[str, bytes]:
    archive = Zip(path, limits)
    try:
        return {name: archive.read(name) for name in archive.names}
    finally:
        archive.close()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("comment", [b"", b"a comment"])
@pytest.mark.parametrize("front", [b"", b"#!/bin/sh self-extracting\n" * 40])
def test_members_come_back_as_they_were(tmp_path: Path, method: int, comment: bytes, front: bytes) -> None:
    path = fixtures.write(tmp_path / "x.zip", front + fixtures.zipped(MEMBERS, method, comment))
    assert everything(path) == MEMBERS


def test_large_archives_of_the_zip64_kind_are_read(tmp_path: Path) -> None:
    data = fixtures.raw_zip(*((name, {"data": value}) for name, value in MEMBERS.items()), large=True)
    assert everything(fixtures.write(tmp_path / "x.zip", data)) == MEMBERS
    with zipfile.ZipFile(tmp_path / "x.zip") as peer:
        assert peer.testzip() is None


EMPTY = {
    "a bare end record": b"PK\5\6" + bytes(18),
    "an end record and a comment": b"PK\5\6" + bytes(16) + b"\2\0hi",
    "folders only": fixtures.zipped({"a/": b"", "a/b/": b""}),
}


@pytest.mark.parametrize("kind", EMPTY)
def test_a_zip_without_a_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = fixtures.write(tmp_path / "x.zip", EMPTY[kind])
    with pytest.raises(DataError, match=f"^{path} holds no file$"):
        Zip(path)


def _folder(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE
    return info


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("members", [{}, {"a": _folder("a")}], ids=["nothing", "a folder"])
def test_a_tar_without_a_file_is_refused(tmp_path: Path, members: dict[str, Any], packed: bool) -> None:
    path = fixtures.write(tmp_path / "x.tar", fixtures.tarred(members, packed))
    with pytest.raises(DataError, match=f"^{path} holds no file$"):
        list(archives.tar_members(path))


def test_folders_are_not_listed(tmp_path: Path) -> None:
    path = fixtures.write(tmp_path / "x.zip", fixtures.zipped({"a/": b"", "a/x.png": b"x"}))
    archive = Zip(path)
    assert archive.names == ["a/x.png"]
    archive.close()


def test_what_pillow_and_others_write_is_read_as_zipfile_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("größe/ß.png", "w") as member:
        member.write(b"streamed, sizes follow in a descriptor")
    with zipfile.ZipFile(path) as peer:
        assert everything(path) == {name: peer.read(name) for name in peer.namelist()}


HOSTILE: dict[str, tuple[bytes, str]] = {
    "absolute": (fixtures.raw_zip(("/etc/x.png", {})), "'/etc/x.png' is absolute"),
    "drive": (fixtures.raw_zip(("C:/x.png", {})), "drive letter"),
    "parent": (fixtures.raw_zip(("ok.png", {}), ("../x.png", {})), r"'../x.png' leaves its folder by '\.\.'"),
    "parent amid": (fixtures.raw_zip(("a/../../x.png", {})), "leaves its folder"),
    "backslash": (fixtures.raw_zip(("a\\x.png", {})), "backslash"),
    "NUL": (fixtures.raw_zip(("x.png\0.exe", {})), "NUL"),
    "line break": (fixtures.raw_zip(("a\nb.png", {})), "control character"),
    "no name": (fixtures.raw_zip(("", {})), "is empty"),
    "link": (fixtures.with_mode("link.png", stat.S_IFLNK), "'link.png' is a link or a device"),
    "device": (fixtures.with_mode("sda", stat.S_IFBLK), "is a link or a device"),
    "pipe": (fixtures.with_mode("pipe", stat.S_IFIFO), "is a link or a device"),
    "twice": (fixtures.raw_zip(("x.png", {}), ("y.png", {}), ("x.png", {})), "'x.png' comes twice"),
    "encrypted": (fixtures.raw_zip(("x.png", {"flags": 0x801})), "'x.png' is encrypted"),
    "strongly encrypted": (fixtures.raw_zip(("x.png", {"flags": 0x840})), "is encrypted"),
    "lzma": (fixtures.zipped({"x.png": b"x"}, zipfile.ZIP_LZMA), "method 14"),
    "folder with contents": (fixtures.raw_zip(("a/", {})), "contents of its own"),
    "two sizes": (fixtures.raw_zip(("x.png", {"size": 11})), "two sizes"),
    "ratio": (fixtures.zipped({"small.txt": b"1", "bomb.png": BOMB}), "'bomb.png' unpacks to more than 200 times"),
    "Fifield": (fixtures.fifield_zip(), "overlaps another"),
    "quoted": (fixtures.raw_zip(("a", {"data": b"a" * 99}), ("b", {"offset": 50})), "'a' overlaps another"),
    "into the table": (fixtures.raw_zip(("a", {"packed": 5000, "size": 5000})), "overlaps another"),
    "another disk": (fixtures.raw_zip(("a", {"disk": 3})), "split archive"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_zips_are_refused_by_name(tmp_path: Path, case: str) -> None:
    data, reason = HOSTILE[case]
    path = fixtures.write(tmp_path / "x.zip", data)
    with pytest.raises(DataError, match=rf"x\.zip is refused: its member .*{reason}") as error:
        Zip(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(members=3), "more than 3 members"),
        (Limits(directory=50), "table of contents has"),
        (Limits(member=1000), "has 1500 bytes, more than 1000"),
        (Limits(total=2000), "unpacks to 2401 bytes"),
    ],
)
def test_what_is_beyond_the_limits_is_refused(tmp_path: Path, limits: Limits, reason: str) -> None:
    path = fixtures.write(tmp_path / "x.zip", fixtures.zipped(MEMBERS))
    assert everything(path) == MEMBERS
    with pytest.raises(DataError, match=reason):
        Zip(path, limits)


def test_a_member_count_that_lies_is_noticed(tmp_path: Path) -> None:
    path = fixtures.write(tmp_path / "x.zip", fixtures.raw_zip(("a", {}), ("b", {}), count=1))
    with pytest.raises(DataError, match=r"x\.zip is damaged: its table of contents has 2 entries, not 1"):
        Zip(path)


def test_a_member_never_unpacks_beyond_its_announced_size(tmp_path: Path) -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflate.compress(bytes(64 << 20)) + deflate.flush()
    change = {"data": packed, "packed": len(packed), "size": 1000, "crc": zlib.crc32(bytes(1000)), "method": 8}
    archive = Zip(fixtures.write(tmp_path / "x.zip", fixtures.raw_zip(("x.png", change))))
    tracemalloc.start()
    assert archive.read("x.png") == bytes(1000)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    archive.close()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"crc": 1}, "Bad CRC-32"),
        ({"local_name": "other"}, "File name in directory"),
        ({"method": 8}, "invalid"),
    ],
)
def test_a_member_that_contradicts_the_table_is_refused(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    path = fixtures.write(tmp_path / "x.zip", fixtures.raw_zip(("first", {}), ("x.png", change)))
    archive = Zip(path)
    assert archive.read("first") == b"x" * 10
    with pytest.raises(DataError, match=rf"x\.zip::x\.png is damaged: .*{reason}"):
        archive.read("x.png")
    archive.close()


def test_a_member_that_is_not_where_the_table_says_is_refused(tmp_path: Path) -> None:
    data = fixtures.raw_zip(("x.png", {})).replace(b"PK\3\4", b"PK\3\5")
    archive = Zip(fixtures.write(tmp_path / "x.zip", data))
    with pytest.raises(DataError, match="Bad magic number for file header"):
        archive.read("x.png")
    archive.close()


def test_a_name_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    archive = Zip(fixtures.write(tmp_path / "x.zip", fixtures.zipped(MEMBERS)))
    with pytest.raises(DataError, match=r"x\.zip has no member 'a/q\.png'"):
        archive.read("a/q.png")
    archive.close()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_truncated_zip_is_refused_wherever_it_ends(tmp_path: Path, method: int) -> None:
    whole = fixtures.zipped(MEMBERS, method)
    for data in fixtures.truncations(whole):
        with pytest.raises(DataError, match=r"x\.zip is (truncated|no zip|damaged)"):
            Zip(fixtures.write(tmp_path / "x.zip", data))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_changed_byte_never_gives_other_data(tmp_path: Path, method: int) -> None:
    path = tmp_path / "x.zip"
    noticed = 0
    for data in fixtures.flips(fixtures.zipped(MEMBERS, method), 400):
        path.write_bytes(data)
        try:
            found = everything(path)
        except DataError:
            noticed += 1
        else:
            assert list(found.values()) == list(MEMBERS.values())
    assert noticed > 200


def test_a_zip_that_shrinks_while_it_is_open_is_an_error(tmp_path: Path) -> None:
    path = fixtures.write(tmp_path / "x.zip", fixtures.zipped(MEMBERS, zipfile.ZIP_STORED))
    archive = Zip(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match="is damaged: "):
        archive.read("a/x.png")
    archive.close()


@pytest.mark.parametrize("data", [b"", b"PK", b"hello", bytes(70_000)])
def test_what_is_no_zip_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(DataError, match=r"x\.zip is no zip file"):
        Zip(fixtures.write(tmp_path / "x.zip", data))
    with pytest.raises(DataError, match="does not exist"):
        Zip(tmp_path / "y.zip")


def test_many_threads_read_what_one_reads(tmp_path: Path) -> None:
    members = {f"{i}.bin": fixtures.noise((3000 + i,), seed=i, high=40).tobytes() for i in range(200)}
    archive = Zip(fixtures.write(tmp_path / "x.zip", fixtures.zipped(members)))
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            assert list(pool.map(archive.read, members)) == list(members.values())
    archive.close()


# --- tar -------------------------------------------------------------------------------------------------------------

FILES: dict[str, bytes | tarfile.TarInfo] = {
    "d/a.bin": b"a" * 700,
    "d/b.bin": fixtures.noise((2000,)).tobytes(),
    "e": b"",
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_files_of_a_tar_come_back_as_they_were(tmp_path: Path, packed: bool, form: int) -> None:
    files = {**FILES, "long/" * 30 + "x.bin": b"long"} if form != tarfile.USTAR_FORMAT else FILES
    path = fixtures.write(tmp_path / "x.tar", fixtures.tarred(files, packed, form))
    assert dict(archives.tar_members(path)) == files


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    path = fixtures.write(tmp_path / "x.tar", fixtures.tarred({**FILES, "link": fixtures.tar_link(kind)}))
    with pytest.raises(DataError, match=r"'link\.bin' is a link or a device"):
        list(archives.tar_members(path))


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "C:/x", "a\\x"])
def test_paths_in_a_tar_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    path = fixtures.write(tmp_path / "x.tar", fixtures.tarred({"ok": b"ok", name: b"bad"}))
    with pytest.raises(DataError, match=r"x\.tar is refused: its member"):
        list(archives.tar_members(path))


def test_a_file_that_comes_twice_in_a_tar_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("d/a.bin")
    path = fixtures.write(tmp_path / "x.tar", fixtures.tarred({**FILES, "again": info}))
    with pytest.raises(DataError, match=r"'d/a\.bin' comes twice"):
        list(archives.tar_members(path))


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(members=2), "more than 2 members"),
        (Limits(member=1000), r"'d/b\.bin' has 2000 bytes"),
        (Limits(memory=2048), "unpacks to more than 2048 bytes"),
    ],
)
def test_a_tar_beyond_the_limits_is_refused(tmp_path: Path, limits: Limits, reason: str) -> None:
    path = fixtures.write(tmp_path / "x.tar", fixtures.tarred(FILES))
    with pytest.raises(DataError, match=reason):
        list(archives.tar_members(path, limits))


def test_a_huge_header_in_a_tar_is_refused_without_reading_it(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.pax_headers = {"comment": "0" * (40 << 20)}
    path = fixtures.write(tmp_path / "x.tar", fixtures.tarred({"x": info}))
    tracemalloc.start()
    with pytest.raises(DataError, match="is refused"):
        list(archives.tar_members(path))
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_headers_that_announce_headers_without_end_are_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 11
    header = info.tobuf(tarfile.USTAR_FORMAT) + b"11 a=12345\n".ljust(512, b"\0")
    path = fixtures.write(tmp_path / "x.tar", header * 3000 + bytes(1024))
    with pytest.raises(DataError, match=r"x\.tar is damaged: maximum recursion"):
        list(archives.tar_members(path))


@pytest.mark.parametrize("packed", [False, True])
def test_a_truncated_tar_is_refused_wherever_it_ends(tmp_path: Path, packed: bool) -> None:
    whole = fixtures.tarred(FILES, packed)
    end = len(whole) if packed else 512 * 9  # beyond its members a tar has nothing but zeros
    for data in fixtures.truncations(whole[:end]):
        with pytest.raises(DataError, match=r"x\.tar is (truncated|damaged)"):
            list(archives.tar_members(fixtures.write(tmp_path / "x.tar", data)))


def test_a_changed_byte_in_a_packed_tar_never_gives_other_data(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    noticed = 0
    for data in fixtures.flips(fixtures.tarred(FILES), 300):
        path.write_bytes(data)
        try:
            assert dict(archives.tar_members(path)) == FILES
        except DataError:
            noticed += 1
    assert noticed > 200


def test_a_broken_header_amid_a_tar_is_not_taken_for_its_end(tmp_path: Path) -> None:
    data = bytearray(fixtures.tarred(FILES, packed=False, form=tarfile.USTAR_FORMAT))
    data[512 + 1024 + 100] ^= 1
    with pytest.raises(DataError, match="damaged: it ends amid its members"):
        list(archives.tar_members(fixtures.write(tmp_path / "x.tar", bytes(data))))
