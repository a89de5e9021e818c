"""What publishers say of their files at present."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from degrain.errors import DownloadError
from degrain.ingest import upstream
from degrain.ingest.fetching.remote import RemoteFile
from tests.ingest.fetching.conftest import HURRIED
from tests.ingest.fetching.site import OLD, Answer, Site


def test_an_etag_tells_versions_apart_and_nothing_is_downloaded(site: Site) -> None:
    file = RemoteFile("a.zip", "set/a.zip", (site.serve("/a.zip", Answer(b"one", headers={"ETag": '"1"'})),))
    assert upstream.marks([file], None, HURRIED) == {"a.zip": 'ETag "1"'}
    site.serve("/a.zip", Answer(b"two", headers={"ETag": '"2"'}))
    assert upstream.marks([file], None, HURRIED) == {"a.zip": 'ETag "2"'}
    assert {request.method for request in site.requests} == {"HEAD"}


def test_without_an_etag_time_and_size_do(site: Site) -> None:
    file = RemoteFile("a.zip", "set/a.zip", (site.serve("/a.zip", Answer(b"one", headers={"Last-Modified": OLD})),))
    assert upstream.marks([file], None, HURRIED) == {"a.zip": f"{OLD}, 3 bytes"}


def test_the_mirror_is_asked_first_and_the_next_place_where_one_refuses(site: Site) -> None:
    file = RemoteFile("a.zip", "set/a.zip", (site.serve("/a.zip", Answer(b"one", headers={"ETag": '"far"'})),))
    site.serve("/mirror/set/a.zip", Answer(b"one", headers={"ETag": '"near"'}))
    assert upstream.marks([file], site.url("/mirror"), HURRIED) == {"a.zip": 'ETag "near"'}
    assert upstream.marks([file], site.url("/elsewhere/"), HURRIED) == {"a.zip": 'ETag "far"'}


def test_a_file_in_a_mirrors_folder_is_known_by_size_and_time(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    path = tmp_path / "set" / "a.zip"
    path.write_bytes(b"one")
    os.utime(path, (1000, 1000))
    file = RemoteFile("a.zip", "set/a.zip")
    assert upstream.marks([file], str(tmp_path), HURRIED) == {"a.zip": "3 bytes, changed 1000"}


def test_where_nobody_answers_every_place_is_named(site: Site, tmp_path: Path) -> None:
    file = RemoteFile("a.zip", "set/a.zip", (site.url("/gone.zip"), "http://127.0.0.1:1/a.zip"))
    with pytest.raises(DownloadError) as caught:
        upstream.marks([file], str(tmp_path), HURRIED)
    assert "gone.zip: status 404" in str(caught.value)
    assert "set/a.zip" in str(caught.value)
    assert "refused" in str(caught.value)


def test_data_sets_that_nobody_publishes_file_by_file_have_no_marks() -> None:
    assert upstream.marks([], None, HURRIED) == {}
