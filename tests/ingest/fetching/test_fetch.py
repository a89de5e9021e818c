"""Files come from the first source that has them, are kept, checked, and are the same ever after."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from degrain.errors import DataError, DownloadError, OutputError
from degrain.ingest.fetching.remote import RemoteFile
from tests.ingest.fetching.conftest import DATA, HURRIED, OTHER, Place, digest, remote, unpublished
from tests.ingest.fetching.site import Answer, Site

HALF = len(DATA) // 2


def a_mirror(root: Path, content: bytes = DATA) -> Path:
    """A folder of somebody else's: nobody may write it."""
    file = root / "mirror" / "set" / "file.bin"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    file.chmod(0o444)
    return root / "mirror"


def script(place: Place, url: str, before: str = "") -> list[str]:
    """A command that fetches the file in a process of its own."""
    folder = place.folder()
    return [
        sys.executable,
        "-c",
        f"""
import signal, sys
from pathlib import Path
from degrain import console
from degrain.errors import DegrainError
from degrain.ingest.fetching.fetch import fetch
from degrain.ingest.fetching.remote import RemoteFile
from degrain.ingest.fetching.retries import Policy
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started these tests may have it ignored
{before}
console.set_up_logging()
file = RemoteFile("file.bin", "set/file.bin", ({url!r},), {len(DATA)}, {digest(DATA)!r})
try:
    fetch("set", [file], Path({str(folder)!r}), Path({str(place.downloads)!r}), Path({str(place.checksums)!r}), None,
          {HURRIED!r})
except DegrainError as error:
    sys.exit(str(error))
""",
    ]


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Until a child process has come as far as that."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_mirror_folder_is_asked_first_and_not_kept_twice(place: Place, site: Site, good: Answer) -> None:
    mirror = a_mirror(place.root)
    (entry,) = place.fetch(remote(site.serve("/file.bin", good)), mirror=str(mirror))
    assert entry.origin == "DEGRAIN_MIRROR/set/file.bin"  # no path of this machine
    assert place.got() == DATA
    assert site.requests == []
    assert not place.finished.exists()


def test_a_copy_from_a_read_only_mirror_can_be_written(place: Place) -> None:
    place.fetch(remote(), mirror=str(a_mirror(place.root)))
    (copied,) = place.root.glob("raw-*/file.bin")
    assert copied.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_mirror_may_be_a_server(place: Place, site: Site, good: Answer, slash: str) -> None:
    site.serve("/data/set/a%20file.bin", good)
    file = RemoteFile("file.bin", "set/a file.bin", (site.url("/elsewhere"),), sha256=digest(DATA))
    (entry,) = place.fetch(file, mirror=site.url("/data") + slash)
    assert entry.origin == site.url("/data/set/a%20file.bin")
    assert place.got() == DATA


@pytest.mark.parametrize("kind", ["folder", "server"])
def test_what_a_mirror_lacks_comes_from_elsewhere_without_alarm(
    place: Place, site: Site, good: Answer, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = str(place.folder()) if kind == "folder" else site.url("/mirror")
    place.fetch(remote(site.serve("/file.bin", good)), mirror=mirror)
    assert place.got() == DATA
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_mirror_with_other_bytes_is_passed_over(place: Place, site: Site, good: Answer) -> None:
    place.fetch(remote(site.serve("/file.bin", good)), mirror=str(a_mirror(place.root, OTHER)))
    assert place.got() == DATA


def test_a_mirror_folder_that_does_not_exist_is_a_mistake(place: Place) -> None:
    with pytest.raises(DownloadError, match="DEGRAIN_MIRROR=/no/such: there is no such folder"):
        place.fetch(remote("http://127.0.0.1/file.bin"), mirror="/no/such")


def test_a_file_that_only_mirrors_have_says_so(place: Place) -> None:
    way_out = "it is only to be had from a mirror: set DEGRAIN_MIRROR to a folder or URL that holds set/file.bin"
    with pytest.raises(DownloadError) as caught:
        place.fetch(remote())
    assert str(caught.value) == f"cannot get set/file.bin: {way_out}"
    folder = place.folder()
    with pytest.raises(DownloadError) as caught:
        place.fetch(remote(), mirror=str(folder))
    assert str(caught.value) == f"cannot get set/file.bin: {folder}/set/file.bin: is not there; {way_out}"


def test_a_finished_download_is_checked_and_used_again(place: Place, site: Site, good: Answer) -> None:
    file = remote(site.serve("/file.bin", good))
    first = place.fetch(file)
    assert place.fetch(file) == first
    assert len(site.requests) == 1
    assert place.got() == DATA


def test_a_finished_download_takes_no_room_twice(place: Place, site: Site, good: Answer) -> None:
    place.fetch(remote(site.serve("/file.bin", good)))
    (linked,) = place.root.glob("raw-*/file.bin")
    assert linked.samefile(place.finished)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="wants a second file system")
def test_a_finished_download_is_copied_to_another_file_system(place: Place, site: Site, good: Answer) -> None:
    import tempfile

    from degrain.ingest.fetching.fetch import fetch

    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        file = remote(site.serve("/file.bin", good))
        fetch("set", [file], Path(elsewhere), place.downloads, place.checksums, None, HURRIED)
        assert (Path(elsewhere) / "file.bin").read_bytes() == DATA


@pytest.mark.parametrize("published", [True, False])
def test_a_finished_download_that_has_changed_is_fetched_again(
    place: Place, site: Site, good: Answer, published: bool
) -> None:
    url = site.serve("/file.bin", good)
    file = remote(url) if published else unpublished(url)
    place.fetch(file)
    place.finished.write_bytes(OTHER)
    place.fetch(file)
    assert place.got() == DATA
    assert place.finished.read_bytes() == DATA


def test_a_file_put_there_by_hand_is_as_good(place: Place) -> None:
    place.finished.parent.mkdir(parents=True)
    place.finished.write_bytes(DATA)
    (entry,) = place.fetch(remote("http://127.0.0.1:9/file.bin"))
    assert entry.origin == "put into the folder of downloads by hand"
    assert place.got() == DATA


def test_a_failure_in_one_file_does_not_cost_the_others(place: Place, site: Site, good: Answer) -> None:
    first = remote(site.serve("/file.bin", good))
    second = RemoteFile("b.bin", "set/b.bin", (site.serve("/b.bin", Answer(status=404)),))
    with pytest.raises(DownloadError, match=r"set/b\.bin"):
        place.fetch(first, second)
    site.serve("/b.bin", good)
    place.fetch(first, second)
    assert [request.path for request in site.requests] == ["/file.bin", "/b.bin", "/b.bin"]


def test_the_first_download_is_recorded_where_no_checksum_is_published(place: Place, site: Site, good: Answer) -> None:
    line = {"bytes": 1, "date": "2026-01-02", "from": "x", "sha256": "0" * 64}
    place.checksums.write_text(json.dumps({"zoo/z": line, "abc/a": line}))
    (entry,) = place.fetch(unpublished(site.serve("/file.bin", good)))
    record = json.loads(place.checksums.read_text())
    assert list(record) == ["abc/a", "set/file.bin", "zoo/z"]
    assert record["set/file.bin"].pop("date").count("-") == 2
    assert record["set/file.bin"] == {"bytes": len(DATA), "from": entry.origin, "sha256": digest(DATA)}
    assert len(place.checksums.read_text().splitlines()) == 2 + len(record)


def test_a_published_checksum_is_not_recorded(place: Place, site: Site, good: Answer) -> None:
    place.fetch(remote(site.serve("/file.bin", good)))
    assert not place.checksums.exists()


def test_every_later_download_must_match_the_first(place: Place, site: Site, good: Answer) -> None:
    """Also on another machine, to which the record comes by git; and the user can decide that the new one is right."""
    url = site.serve("/file.bin", good)
    place.fetch(unpublished(url))
    place.finished.unlink()
    site.serve("/file.bin", good.but(content=OTHER))
    with pytest.raises(DownloadError) as caught:
        place.fetch(unpublished(url))
    for part in (str(place.checksums), "set/file.bin", digest(DATA), digest(OTHER), url, "remove that line"):
        assert part in str(caught.value)
    assert not place.finished.exists()
    place.checksums.unlink()
    place.fetch(unpublished(url))
    assert place.got() == OTHER


def test_what_comes_from_a_mirror_must_match_the_record_too(place: Place, site: Site, good: Answer) -> None:
    place.fetch(unpublished(site.serve("/file.bin", good)))
    place.finished.unlink()
    place.fetch(unpublished(site.url("/file.bin")), mirror=str(a_mirror(place.root, OTHER)))
    assert place.got() == DATA


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero"])
def test_a_record_that_is_no_file_is_not_read(place: Place, site: Site, good: Answer, kind: str) -> None:
    place.checksums.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(place.checksums)
    else:
        place.checksums.symlink_to(kind)
    with pytest.raises(DataError, match=r"^cannot read .*checksums\.json: it is a (pipe|device), not a file$"):
        place.fetch(unpublished(site.serve("/f", good)))


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero"])
def test_a_file_of_a_mirror_that_is_none_is_not_read(tmp_path: Path, place: Place, kind: str) -> None:
    mirror = a_mirror(tmp_path)
    file = mirror / "set" / "file.bin"
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to(kind)
    with pytest.raises(DownloadError, match=r"cannot be read: it is a (pipe|device), not a file"):
        place.fetch(remote(), mirror=str(mirror))


def test_a_damaged_record_says_how_to_mend_it(place: Place, site: Site, good: Answer) -> None:
    place.checksums.write_text('{"set/file.bin": ')
    with pytest.raises(DataError, match=r"checksums\.json is damaged .* git checkout"):
        place.fetch(unpublished(site.serve("/file.bin", good)))


def hostile(kind: str) -> tuple[str, bytes]:
    """Name and bytes of an archive that could do harm."""
    buffer = io.BytesIO()
    if kind == "tar":
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            archive.addfile(tarfile.TarInfo("../x.png"))
        return "x.tar.gz", buffer.getvalue()
    if kind == "gzip":
        return "x.gz", gzip.compress(b"x" * 999)[:-4]
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_BZIP2 if kind == "method" else zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../x.png" if kind == "path" else "x.png", b"\0" * (1 << 24 if kind == "bomb" else 99))
    data = bytearray(buffer.getvalue())
    entry = data.rindex(b"PK\1\2")
    if kind == "encrypted":
        data[entry + 8] |= 1
        data[6] |= 1
    if kind == "name":
        data[entry + 9] |= 8
        data[entry + 46] = 0xFF
    return "x.zip", bytes(data)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("path", "x.zip is refused: its member '../x.png' leaves its folder by '..'"),
        ("bomb", "x.zip is refused: its member 'x.png' unpacks to more than 200 times its size, as a bomb does"),
        ("method", "x.zip is refused: its member 'x.png' is packed by method 12, not stored or deflated"),
        ("encrypted", "x.zip is refused: its member 'x.png' is encrypted"),
        ("name", "x.zip is damaged: 'utf-8' codec can't decode"),
        ("tar", "x.tar.gz is refused: its member '../x.png' leaves its folder by '..'"),
        ("gzip", "x.gz is truncated"),
    ],
)
def test_an_archive_that_could_do_harm_is_refused_before_its_checksum_is_recorded(
    place: Place, site: Site, good: Answer, kind: str, words: str
) -> None:
    name, data = hostile(kind)
    with pytest.raises(DownloadError) as caught:
        place.fetch(RemoteFile(name, f"set/{name}", (site.serve(f"/{name}", good.but(content=data)),)))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not place.checksums.exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"a": 1}', '{"a": {"sha256": "x"}}', '{"a": {"bytes": true}}']
)
def test_a_damaged_record_of_checksums_is_one_line(place: Place, site: Site, good: Answer, text: str) -> None:
    place.checksums.write_text(text)
    with pytest.raises(
        DataError, match=r"checksums.json is damaged \(.*\); mend it, or restore it: git checkout"
    ) as caught:
        place.fetch(RemoteFile("x.png", "set/x.png", (site.serve("/x.png", good),)))
    assert "\n" not in str(caught.value)


def test_a_zip_without_a_checksum_is_held_against_its_own(place: Place, site: Site, good: Answer) -> None:
    path = place.root / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("image.png", DATA)
    whole = path.read_bytes()
    damaged = whole[:1000] + b"damage" + whole[1006:]
    bad, ok = site.serve("/bad.zip", good.but(content=damaged)), site.serve("/ok.zip", good.but(content=whole))
    with pytest.raises(DownloadError, match=r"x.zip::image.png is damaged: Bad CRC-32 for file 'image.png'"):
        place.fetch(RemoteFile("x.zip", "set/x.zip", (bad,)))
    with pytest.raises(DownloadError, match=r"x\.zip is no zip file"):
        place.fetch(RemoteFile("x.zip", "set/x.zip", (site.serve("/no.zip", good),)))
    (entry,) = place.fetch(RemoteFile("x.zip", "set/x.zip", (bad, ok)))
    assert entry.origin == ok


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_download_that_is_stopped_is_resumed(place: Place, site: Site, good: Answer, how: signal.Signals) -> None:
    url = site.serve("/file.bin", good.but(stall=HALF), good)
    child = subprocess.Popen(script(place, url), stderr=subprocess.DEVNULL)
    wait_for(lambda: place.part.exists() and place.part.stat().st_size == HALF)
    child.send_signal(how)
    child.wait(timeout=30)
    assert place.part.read_bytes() == DATA[:HALF]
    place.fetch(remote(url))
    assert site.ranges() == [None, f"bytes={HALF}-"]
    assert place.got() == DATA


def test_two_processes_download_once(place: Place, site: Site, good: Answer) -> None:
    """The second waits for the first, and the first is not let go before the second has come."""
    url = site.serve("/file.bin", good.but(stall=HALF), good)
    first = subprocess.Popen(script(place, url), stderr=subprocess.DEVNULL)
    wait_for(lambda: place.part.exists() and place.part.stat().st_size == HALF)
    second = subprocess.Popen(script(place, url), stderr=subprocess.PIPE, text=True)
    assert second.stderr is not None
    assert second.stderr.readline() == "another process is fetching file.bin; waiting for it\n"
    site.ending.set()
    assert first.wait(timeout=30) == 0
    assert second.wait(timeout=30) == 0
    second.stderr.close()
    assert site.ranges() == [None, f"bytes={HALF}-"]
    assert [path.read_bytes() for path in place.root.glob("raw-*/file.bin")] == [DATA, DATA]


def test_a_full_disk_is_one_line_and_the_next_run_goes_on(place: Place, site: Site, good: Answer) -> None:
    """The process may write no file above 100,000 bytes, as on a full disk."""
    url = site.serve("/file.bin", good)
    limit = """
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
"""
    done = subprocess.run(script(place, url, limit), capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == (
        f"cannot write {place.part}: File too large; the 100.0 kB that are there are kept for the next run\n"
    )
    place.fetch(remote(url))
    assert site.ranges() == [None, "bytes=100000-"]
    assert place.got() == DATA


def test_a_mirror_that_does_not_fit_is_one_line(place: Place) -> None:
    """The file is mostly a hole; a copy would not be."""
    mirror = a_mirror(place.root)
    huge = mirror / "set" / "file.bin"
    huge.chmod(0o644)
    os.truncate(huge, shutil.disk_usage(place.root).free + 10**11)
    with pytest.raises(OutputError, match=r"file\.bin needs .*; make room"):
        place.fetch(remote(), mirror=str(mirror))
    assert not list(place.root.glob("raw-*/*"))


def test_an_unwritable_place_is_one_line(place: Place) -> None:
    place.downloads.write_text("in the way")
    with pytest.raises(OutputError, match="cannot fetch set"):
        place.fetch(remote("http://127.0.0.1:9/file.bin"))
