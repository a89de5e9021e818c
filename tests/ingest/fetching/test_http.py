"""A download is whole and right, whatever the server does."""

from __future__ import annotations

import base64
import logging
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from degrain.artifacts.source import RawFile
from degrain.errors import DownloadError, OutputError
from degrain.ingest.fetching.retries import pause
from tests.ingest.fetching.conftest import DATA, HURRIED, OTHER, Place, digest, remote, unpublished
from tests.ingest.fetching.site import OLD, Answer, Site

HALF = len(DATA) // 2


def nobody() -> str:
    """A URL that nothing listens to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/file.bin"


def interrupt(place: Place, site: Site, answer: Answer, **change: object) -> int:
    """Leave a half-downloaded file, as an earlier run would; returns its size."""
    url = site.serve("/file.bin", answer.but(cut=HALF), Answer(status=404))
    with pytest.raises(DownloadError):
        place.fetch(remote(url, **change))
    site.requests.clear()
    return place.part.stat().st_size


def test_a_file_arrives_with_what_is_to_be_known_of_it(place: Place, site: Site, good: Answer) -> None:
    file = remote(site.serve("/file.bin", good))
    made = RawFile(file="file.bin", bytes=len(DATA), sha256=digest(DATA), origin=file.urls[0])
    assert place.fetch(file) == [made]
    assert place.got() == DATA
    assert not list(place.downloads.rglob("*.part*"))


def test_bytes_are_asked_for_uncompressed(place: Place, site: Site, good: Answer) -> None:
    place.fetch(remote(site.serve("/file.bin", good)))
    assert site.requests[0].headers["accept-encoding"] == "identity"


def test_a_dropped_connection_is_resumed_at_the_right_byte(place: Place, site: Site, good: Answer) -> None:
    place.fetch(remote(site.serve("/file.bin", good.but(cut=1000), good.but(cut=500), good)))
    assert site.ranges() == [None, "bytes=1000-", "bytes=1500-"]
    assert site.requests[1].headers["if-range"] == '"v1"'
    assert place.got() == DATA


def test_new_bytes_keep_a_flaky_server_in_the_game(place: Place, site: Site, good: Answer) -> None:
    """Many more connections than attempts, each of which brings something."""
    cuts = [good.but(cut=10_000) for _ in range(4 * HURRIED.attempts)]
    place.fetch(remote(site.serve("/file.bin", *cuts, good)))
    assert place.got() == DATA


def test_a_server_that_never_gets_further_is_given_up(place: Place, site: Site, good: Answer) -> None:
    url = site.serve("/file.bin", good.but(ranges=False, cut=HALF))
    with pytest.raises(DownloadError, match="broke off"):
        place.fetch(remote(url))
    assert len(site.requests) == 1 + HURRIED.attempts


def test_the_next_run_resumes_what_the_last_one_left(place: Place, site: Site, good: Answer) -> None:
    left = interrupt(place, site, good)
    place.fetch(remote(site.serve("/file.bin", good)))
    assert left == HALF
    assert site.ranges() == [f"bytes={HALF}-"]
    assert place.got() == DATA


def test_last_modified_is_proof_enough_to_resume(place: Place, site: Site) -> None:
    answer = Answer(DATA, headers={"Last-Modified": OLD})
    interrupt(place, site, answer)
    place.fetch(remote(site.serve("/file.bin", answer)))
    assert (site.ranges(), site.requests[0].headers["if-range"]) == ([f"bytes={HALF}-"], OLD)


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": 'W/"v1"'},
        {"Last-Modified": format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)},
        {"Last-Modified": "yesterday"},
        {},
    ],
    ids=["weak ETag", "changed just now", "no date", "nothing"],
)
def test_without_proof_that_it_is_the_same_file_nothing_is_resumed(
    place: Place, site: Site, headers: dict[str, str]
) -> None:
    answer = Answer(DATA, headers=headers)
    interrupt(place, site, answer)
    place.fetch(remote(site.serve("/file.bin", answer.but(cut=HALF), answer)))
    assert site.ranges() == [None, None]
    assert place.got() == DATA


@pytest.mark.parametrize("obeys_if_range", [True, False])
@pytest.mark.parametrize("proof", ["ETag", "Last-Modified"])
def test_a_file_that_changed_between_two_runs_is_the_new_one(
    place: Place, site: Site, proof: str, obeys_if_range: bool
) -> None:
    new = {"ETag": '"v2"', "Last-Modified": "Tue, 02 Jan 2024 00:00:00 GMT"}[proof]
    old = {"ETag": '"v1"', "Last-Modified": OLD}[proof]
    interrupt(place, site, Answer(DATA, headers={proof: old}), sha256=None)
    changed = Answer(OTHER, headers={proof: new}, if_range=obeys_if_range)
    place.fetch(remote(site.serve("/file.bin", changed), sha256=None))
    assert site.ranges()[0] == f"bytes={HALF}-"
    assert place.got() == OTHER


def test_a_file_that_grew_is_never_a_mix(place: Place, site: Site, good: Answer) -> None:
    """The server forgets to change the ETag; only the size tells."""
    interrupt(place, site, good, size=None, sha256=None)
    place.fetch(unpublished(site.serve("/file.bin", good.but(content=OTHER + b"more"))))
    assert place.got() == OTHER + b"more"


def test_a_server_that_ignores_ranges_is_read_from_the_start(place: Place, site: Site, good: Answer) -> None:
    interrupt(place, site, good)
    place.fetch(remote(site.serve("/file.bin", good.but(ranges=False))))
    assert site.ranges() == [f"bytes={HALF}-"]
    assert place.got() == DATA


@pytest.mark.parametrize(
    "content_range", ["bytes 0-9/300000", "bytes 150001-299999/300000", "nonsense", "bytes */300000"]
)
def test_a_rest_from_another_place_is_not_appended(place: Place, site: Site, good: Answer, content_range: str) -> None:
    interrupt(place, site, good)
    wrong = good.but(headers={"ETag": '"v1"', "Content-Range": content_range})
    place.fetch(remote(site.serve("/file.bin", wrong, good)))
    assert site.ranges() == [f"bytes={HALF}-", None]
    assert place.got() == DATA


def test_part_of_the_rest_is_taken_and_the_rest_of_it_asked_for(place: Place, site: Site, good: Answer) -> None:
    interrupt(place, site, good)
    some = Answer(
        DATA[HALF : HALF + 10], 206, {"ETag": '"v1"', "Content-Range": f"bytes {HALF}-{HALF + 9}/{len(DATA)}"}
    )
    place.fetch(remote(site.serve("/file.bin", some, good)))
    assert site.ranges() == [f"bytes={HALF}-", f"bytes={HALF + 10}-"]
    assert place.got() == DATA


def test_a_range_that_cannot_be_satisfied_starts_again(place: Place, site: Site, good: Answer) -> None:
    interrupt(place, site, good)
    place.fetch(remote(site.serve("/file.bin", Answer(status=416), good)))
    assert site.ranges() == [f"bytes={HALF}-", None]
    assert place.got() == DATA


def test_a_length_that_is_too_long_is_found_out(place: Place, site: Site, good: Answer) -> None:
    place.fetch(unpublished(site.serve("/file.bin", good.but(claim=len(DATA) + 100))))
    assert site.ranges() == [None, f"bytes={len(DATA)}-"]
    assert place.got() == DATA


@pytest.mark.parametrize("claim", [len(DATA) + 100, len(DATA) - 100])
def test_another_length_than_the_published_one_is_refused_at_once(
    place: Place, site: Site, good: Answer, claim: int
) -> None:
    url = site.serve("/file.bin", good.but(claim=claim))
    with pytest.raises(DownloadError, match=f"has {claim} bytes, not the {len(DATA)} that were published"):
        place.fetch(remote(url))
    assert not place.part.exists()


def test_a_length_that_is_too_short_does_not_pass_a_checksum(place: Place, site: Site, good: Answer) -> None:
    url = site.serve("/file.bin", good.but(claim=len(DATA) - 100))
    with pytest.raises(DownloadError, match="has SHA-256"):
        place.fetch(remote(url, size=None))


def test_an_end_without_a_length_is_held_against_the_published_size(place: Place, site: Site, good: Answer) -> None:
    """A server without Content-Length cannot say that it was cut off."""
    nameless = good.but(claim=None)
    place.fetch(remote(site.serve("/file.bin", nameless.but(cut=HALF), nameless)))
    assert site.ranges() == [None, f"bytes={HALF}-"]
    assert place.got() == DATA


def test_a_server_that_does_not_stop_is_stopped(place: Place, site: Site, good: Answer) -> None:
    url = site.serve("/file.bin", good.but(content=DATA + DATA, claim=None))
    with pytest.raises(DownloadError, match=f"sends more than the {len(DATA)} bytes"):
        place.fetch(remote(url))


def test_corrupt_bytes_of_the_right_size_are_refused_and_the_next_mirror_is_asked(
    place: Place, site: Site, good: Answer
) -> None:
    bad = site.serve("/bad.bin", good.but(content=OTHER))
    (entry,) = place.fetch(remote(bad, site.serve("/good.bin", good)))
    assert entry.origin.endswith("/good.bin")
    assert place.got() == DATA


def test_every_source_is_named_with_its_reason(place: Place, site: Site, good: Answer) -> None:
    urls = (site.serve("/bad.bin", good.but(content=OTHER)), site.url("/absent.bin"), nobody())
    with pytest.raises(DownloadError) as caught:
        place.fetch(remote(*urls))
    text = str(caught.value)
    assert text.startswith("cannot get set/file.bin: ")
    reasons = ("has SHA-256", "answers 404 Not Found", "cannot be reached")
    assert [f"{url}: {reason}" in text for url, reason in zip(urls, reasons, strict=True)] == [True] * 3
    assert "\n" not in text
    assert not place.part.exists()


def test_damage_that_an_earlier_run_left_is_not_blamed_on_the_source(place: Place, site: Site, good: Answer) -> None:
    interrupt(place, site, good)
    place.part.write_bytes(OTHER[:HALF])
    place.fetch(remote(site.serve("/file.bin", good)))
    assert site.ranges() == [f"bytes={HALF}-", None]
    assert place.got() == DATA


def test_a_damaged_note_costs_only_the_bytes(place: Place, site: Site, good: Answer) -> None:
    interrupt(place, site, good)
    place.part.with_suffix(".part.json").write_text('{"source": ')
    place.fetch(remote(site.serve("/file.bin", good)))
    assert site.ranges() == [None]
    assert place.got() == DATA


@pytest.mark.parametrize("headers", [{"ETag": '"v1"'}, {}])
def test_a_kill_between_the_last_byte_and_the_name_costs_nothing(
    place: Place, site: Site, headers: dict[str, str]
) -> None:
    answer = Answer(DATA, headers=headers)
    interrupt(place, site, answer)
    place.part.write_bytes(DATA)
    place.fetch(remote(site.serve("/file.bin", answer)))
    assert site.requests == []
    assert place.got() == DATA


def test_a_silent_server_is_asked_again(place: Place, site: Site, good: Answer) -> None:
    hurry = replace(HURRIED, read_timeout=0.2)
    url = site.serve("/file.bin", good.but(stall=1000), good.but(stall=0), good)
    place.fetch(remote(url), policy=hurry)
    assert site.ranges() == [None, "bytes=1000-", "bytes=1000-"]
    assert place.got() == DATA


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_not_repeated(place: Place, site: Site, status: int) -> None:
    url = site.serve("/file.bin", Answer(b"no", status))
    with pytest.raises(DownloadError, match=f"answers {status}"):
        place.fetch(remote(url))
    assert len(site.requests) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_an_error_that_may_pass_is_waited_out(place: Place, site: Site, good: Answer, status: int) -> None:
    place.fetch(remote(site.serve("/file.bin", Answer(b"later", status), Answer(b"later", status), good)))
    assert place.got() == DATA


def test_the_bytes_that_are_there_survive_an_error_in_between(place: Place, site: Site, good: Answer) -> None:
    place.fetch(remote(site.serve("/file.bin", good.but(cut=HALF), Answer(b"later", 503), good)))
    assert site.ranges() == [None, f"bytes={HALF}-", f"bytes={HALF}-"]


def test_retry_after_is_obeyed(place: Place, site: Site, good: Answer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "degrain")
    patient = replace(HURRIED, first_wait=50, longest_wait=60)
    place.fetch(remote(site.serve("/file.bin", Answer(b"", 503, {"Retry-After": "0"}), good)), policy=patient)
    assert "answers 503 Service Unavailable; asking again in 0 s" in caplog.text


def test_a_server_that_asks_for_too_long_a_pause_is_given_up(place: Place, site: Site, good: Answer) -> None:
    busy = site.serve("/busy.bin", Answer(b"", 429, {"Retry-After": "3600"}))
    place.fetch(remote(busy, site.serve("/file.bin", good)))
    with pytest.raises(DownloadError, match="asks to come back in 3600 s"):
        place.fetch(remote(busy, sha256="0" * 64))


def test_retry_after_may_be_a_date() -> None:
    later = datetime.now(UTC) + timedelta(seconds=90)
    assert pause(format_datetime(later, usegmt=True)) == pytest.approx(90, abs=5)
    assert [pause(OLD), pause("7"), pause("soon"), pause("")] == [0, 7, None, None]


@pytest.mark.parametrize(
    "page",
    [
        Answer(b"\n<!DOCTYPE html><title>Sign in</title>"),
        Answer(b"<script>go()</script>", headers={"Content-Type": "text/html; charset=utf-8"}),
    ],
)
def test_a_login_page_is_no_file(place: Place, site: Site, good: Answer, page: Answer) -> None:
    """Nor does it cost the bytes that are there."""
    interrupt(place, site, good, sha256=None, size=None)
    url = site.serve("/file.bin", page)
    with pytest.raises(DownloadError, match="sends a web page, not the file"):
        place.fetch(unpublished(url))
    assert place.part.stat().st_size == HALF
    assert not place.checksums.exists()


def test_an_empty_answer_is_no_file(place: Place, site: Site) -> None:
    url = site.serve("/file.bin", Answer(b""))
    with pytest.raises(DownloadError, match="empty"):
        place.fetch(unpublished(url))


def test_redirects_are_followed_and_resumed_through(place: Place, site: Site, good: Answer) -> None:
    site.serve("/real.bin", good.but(cut=HALF), good)
    url = site.serve("/file.bin", Answer(status=302, headers={"Location": "/real.bin"}))
    (entry,) = place.fetch(remote(url))
    assert entry.origin == url
    assert [request.range for request in site.requests if request.path == "/real.bin"] == [None, f"bytes={HALF}-"]
    assert place.got() == DATA


def test_redirects_in_a_circle_are_one_line(place: Place, site: Site) -> None:
    url = site.serve("/file.bin", Answer(status=302, headers={"Location": "/file.bin"}))
    with pytest.raises(DownloadError, match="cannot be followed"):
        place.fetch(remote(url))


@pytest.mark.parametrize("url", ["htp://example.org/file.bin", "http://127.0.0.1:port/file.bin", "file.bin"])
def test_what_is_no_url_is_one_line(place: Place, url: str) -> None:
    with pytest.raises(DownloadError, match="cannot be followed"):
        place.fetch(remote(url))


def test_another_mirror_does_not_go_on_with_the_first_ones_bytes(place: Place, site: Site, good: Answer) -> None:
    first = site.serve("/first.bin", good.but(cut=HALF), Answer(status=404))
    second = site.serve("/second.bin", good)
    place.fetch(remote(first, second))
    assert site.ranges() == [None, f"bytes={HALF}-", None]
    assert place.got() == DATA


def test_a_mirror_that_is_gone_does_not_cost_the_first_ones_bytes(place: Place, site: Site, good: Answer) -> None:
    first = site.serve("/first.bin", good.but(cut=HALF), Answer(status=503))
    with pytest.raises(DownloadError):
        place.fetch(remote(first, nobody()))
    assert place.part.read_bytes() == DATA[:HALF]


def test_a_disk_without_room_is_one_line_before_anything_is_written(place: Place, site: Site) -> None:
    """No disk has an exabyte."""
    url = site.serve("/file.bin", Answer(DATA, headers={"ETag": '"v1"'}, claim=10**18))
    with pytest.raises(OutputError, match=r"file\.bin needs 1\.0 EB, and .* are free on .*; make room"):
        place.fetch(unpublished(url))
    assert not place.part.exists()


def test_a_proxy_of_the_environment_is_used(
    place: Place, site: Site, good: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host exists only for the proxy."""
    monkeypatch.setenv("HTTP_PROXY", site.url(""))
    site.serve("/file.bin", good)
    place.fetch(remote("http://data.invalid/file.bin"))
    assert site.requests[0].path == "http://data.invalid/file.bin"
    assert place.got() == DATA


def test_a_proxy_that_cannot_be_is_one_line(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "nonsense://x:1")
    with pytest.raises(DownloadError, match="proxy"):
        place.fetch(remote("http://data.invalid/file.bin"))


def test_a_password_in_a_url_is_sent_and_never_shown(
    place: Place, site: Site, good: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "degrain")
    url = site.serve("/file.bin", Answer(status=503), good).replace("127.0.0.1", "me:secret@127.0.0.1")
    (entry,) = place.fetch(unpublished(url))
    assert site.requests[0].headers["authorization"] == f"Basic {base64.b64encode(b'me:secret').decode()}"
    written = " ".join(path.read_text() for path in place.root.rglob("*.json"))
    assert "secret" not in entry.model_dump_json() + caplog.text + written


def test_the_log_says_when_a_big_download_begins_and_ends(
    place: Place, site: Site, good: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "degrain")
    big = bytes(21_000_000)
    place.fetch(unpublished(site.serve("/file.bin", good.but(content=big))))
    lines = [record.getMessage() for record in caplog.records if "downloading" in record.getMessage()]
    assert lines[0] == "downloading file.bin: 21.0 MB to go"
    assert lines[1].startswith("downloading file.bin: 21.0 MB in ")


def test_files_in_subfolders_keep_their_place(place: Place, site: Site, good: Answer) -> None:
    url = site.serve("/file.bin", good)
    place.fetch(replace(remote(url), name="deep/er/file.bin"))
    assert place.got("deep/er/file.bin") == DATA
