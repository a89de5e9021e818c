"""Kaggle's own client, in processes of its own, against a server that speaks its protocol."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from degrain.artifacts.source import RawFile
from degrain.errors import DownloadError
from degrain.ingest.fetching.remote import RemoteFile
from degrain.machine.variables import kaggle_credentials
from tests.inference.test_denoiser import package
from tests.ingest.fetching.conftest import HURRIED, Place
from tests.ingest.fetching.site import Answer, Site
from tests.ingest.formats.fixtures import mat_v5

ASK = "/api/v1/datasets.DatasetApiService/DownloadDataset"
LOG_IN = "/api/v1/security.OAuthService/IntrospectToken"
PAGE = "https://www.kaggle.com/datasets/owner/faces"


def packed() -> bytes:
    """A data set's zip as Kaggle makes it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("train/happy/1.jpg", random.Random(3).randbytes(200_000))
    return made.getvalue()


ZIP = packed()


def says(value: object, status: int = 200) -> Answer:
    return Answer(json.dumps(value).encode(), status, {"Content-Type": "application/json"})


@dataclass
class Kaggle:
    """Kaggle and its storage, and a user with a token."""

    api: Site
    storage: Site
    place: Place

    def __post_init__(self) -> None:
        self.api.serve(LOG_IN, says({"active": True, "username": "me"}))
        self.signed("1")
        self.stores(Answer(ZIP, headers={"ETag": '"v1"'}))

    def signed(self, *signatures: str) -> None:
        """Addresses in the storage that are given out in turn."""
        place = self.storage.url("/bucket/archive.zip")
        self.api.serve(ASK, *(Answer(status=302, headers={"Location": f"{place}?signed={s}"}) for s in signatures))

    def stores(self, *answers: Answer) -> None:
        self.storage.serve("/bucket/archive.zip", *answers)

    def fetch(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Fetch the data set "faces" as a user would; warnings are errors."""
        file = RemoteFile("faces.zip", "kaggle/owner/faces.zip", kaggle="owner/faces")
        place, folder = self.place, self.place.folder()
        code = f"""
from degrain.ingest.fetching.fetch import fetch
from degrain.ingest.fetching.remote import RemoteFile
from degrain.ingest.fetching.retries import Policy
answer = fetch("faces", [{file!r}], Path({str(folder)!r}), Path({str(place.downloads)!r}),
               Path({str(place.checksums)!r}), None, {HURRIED!r})
answer = [file.model_dump() for file in answer]
"""
        return self.run(code, **variables)

    def submit(self, table: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Hand a table in to the competition "benchmark"; warnings are errors."""
        code = f"""
from degrain.ingest.fetching import kaggle_client
answer = kaggle_client.submit(Path({str(table)!r}), "benchmark", "a try")
"""
        return self.run(code, **variables)

    def run(self, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run code that sets `answer`, in a process of its own, and print that as JSON."""
        inner = "    ".join(f"{line}\n" for line in code.strip().splitlines())
        code = f"""
import json, sys
from pathlib import Path
from kagglesdk import kaggle_env
kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.LOCAL] = {self.api.url("")!r}
from degrain.errors import DegrainError
try:
    {inner}
    print(json.dumps(answer))
except DegrainError as error:
    sys.exit(str(error))
"""
        user = {name: value for name, value in os.environ.items() if not name.startswith(("KAGGLE_", "XDG_"))}
        user |= {"HOME": str(self.place.root), "KAGGLE_API_ENVIRONMENT": "LOCALHOST", "KAGGLE_API_TOKEN": "a-token"}
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env=user | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def fetched(self) -> RawFile:
        """Fetch, which must succeed."""
        done = self.fetch()
        assert done.returncode == 0, done.stderr
        (entry,) = json.loads(done.stdout)
        return RawFile.model_validate(entry)


@pytest.fixture
def kaggle(place: Place, site: Site) -> Iterator[Kaggle]:
    storage = Site()
    yield Kaggle(site, storage, place)
    storage.close()


def test_a_data_set_arrives_as_one_zip(kaggle: Kaggle) -> None:
    entry = kaggle.fetched()
    assert (entry.file, entry.bytes, entry.origin) == ("faces.zip", len(ZIP), PAGE)
    assert kaggle.place.got("faces.zip") == ZIP
    (asked,) = [request for request in kaggle.api.requests if request.path == ASK]
    assert json.loads(asked.body) == {"ownerSlug": "owner", "datasetSlug": "faces"}
    # The token goes to Kaggle and nowhere else, and the signed address into no record.
    assert asked.headers["authorization"] == "Bearer a-token"
    assert all("authorization" not in request.headers for request in kaggle.storage.requests)
    assert "signed" not in kaggle.place.checksums.read_text()


def test_a_cut_connection_is_resumed(kaggle: Kaggle) -> None:
    """The first request is the client's own, which needs no bytes."""
    answer = Answer(ZIP, headers={"ETag": '"v1"'})
    kaggle.stores(answer.but(cut=0), answer.but(cut=50_000), answer)
    kaggle.fetched()
    assert kaggle.storage.ranges() == [None, None, "bytes=50000-"]
    assert kaggle.place.got("faces.zip") == ZIP


def test_the_next_run_resumes_with_a_new_signature(kaggle: Kaggle) -> None:
    answer = Answer(ZIP, headers={"ETag": '"v1"'})
    kaggle.stores(answer, answer.but(cut=50_000), Answer(status=404))
    assert kaggle.fetch().returncode == 1
    kaggle.signed("2")
    kaggle.stores(answer)
    kaggle.fetched()
    assert kaggle.storage.requests[-1].path.endswith("signed=2")
    assert kaggle.storage.ranges()[-1] == "bytes=50000-"
    assert kaggle.place.got("faces.zip") == ZIP


def test_a_signature_that_runs_out_midway_is_renewed(kaggle: Kaggle) -> None:
    answer = Answer(ZIP, headers={"ETag": '"v1"'})
    kaggle.signed("1", "2")
    kaggle.stores(answer, answer.but(cut=50_000), Answer(b"expired", 403), answer)
    kaggle.fetched()
    assert [request.path[-1] for request in kaggle.storage.requests] == ["1", "1", "1", "2", "2"]
    assert kaggle.place.got("faces.zip") == ZIP


def test_bytes_that_come_without_a_redirect_are_taken_too(kaggle: Kaggle) -> None:
    answer = Answer(ZIP, headers={"ETag": '"v1"'})
    kaggle.api.serve(ASK, answer, answer.but(cut=50_000), answer)
    kaggle.fetched()
    asked = [request for request in kaggle.api.requests if request.path == ASK]
    assert [(request.method, request.range) for request in asked][1:] == [("POST", None), ("POST", "bytes=50000-")]
    assert len({(request.headers["authorization"], request.body) for request in asked}) == 1
    assert kaggle.place.got("faces.zip") == ZIP


def test_a_corrupt_zip_of_the_right_size_is_refused(kaggle: Kaggle) -> None:
    kaggle.stores(Answer(ZIP[:100_000] + b"damage" + ZIP[100_006:], headers={"ETag": '"v1"'}))
    assert kaggle.fetch().stderr == (
        f"cannot get faces/faces.zip: {PAGE}: faces.zip::train/happy/1.jpg is damaged: "
        "Bad CRC-32 for file 'train/happy/1.jpg'\n"
    )
    assert not list(kaggle.place.downloads.rglob("*.zip*part*"))


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (
            401,
            "does not accept the credentials in KAGGLE_API_TOKEN: get a new token at https://www.kaggle.com/settings",
        ),
        (403, f"does not let this account have it: open {PAGE}, signed in as the owner of the token, and accept"),
        (404, f"has no data set owner/faces, or keeps it private: see {PAGE}"),
    ],
)
def test_a_refusal_becomes_advice(kaggle: Kaggle, status: int, advice: str) -> None:
    kaggle.api.serve(ASK, says({"code": status, "message": "no"}, status))
    done = kaggle.fetch()
    assert advice in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_refused_login_is_advice_too(kaggle: Kaggle) -> None:
    for path in (LOG_IN, ASK):
        kaggle.api.serve(path, says({"code": 401, "message": "no"}, 401))
    assert "get a new token" in kaggle.fetch().stderr


def test_an_overloaded_kaggle_is_asked_again(kaggle: Kaggle) -> None:
    redirect = kaggle.api.answers[ASK][0]
    kaggle.api.serve(ASK, Answer(b"busy", 503), redirect)
    kaggle.fetched()


def test_a_legacy_key_is_as_good(kaggle: Kaggle) -> None:
    folder = kaggle.place.root / ".kaggle"
    folder.mkdir()
    (folder / "kaggle.json").write_text('{"username": "me", "key": "k"}')
    done = kaggle.fetch(KAGGLE_API_TOKEN="")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[")  # the client's warnings about the file's mode are not among the results


def test_without_credentials_nobody_is_asked(kaggle: Kaggle) -> None:
    done = kaggle.fetch(KAGGLE_API_TOKEN="")
    for needed in ("https://www.kaggle.com/settings", PAGE, "KAGGLE_API_TOKEN"):
        assert needed in done.stderr
    assert done.stderr.count("\n") == 1
    assert kaggle.api.requests == []
    assert not (kaggle.place.root / ".config").exists()  # which the client's import makes


def test_a_mirror_spares_the_account(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(place.root))
    monkeypatch.delenv("KAGGLE_API_TOKEN", raising=False)
    mirrored = place.root / "mirror" / "kaggle" / "owner" / "faces.zip"
    mirrored.parent.mkdir(parents=True)
    mirrored.write_bytes(ZIP)
    file = RemoteFile("faces.zip", "kaggle/owner/faces.zip", kaggle="owner/faces")
    place.fetch(file, mirror=str(place.root / "mirror"))
    assert place.got("faces.zip") == ZIP


def test_without_credentials_the_urls_are_still_tried(
    place: Place, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(place.root))
    for name in [name for name in os.environ if name.startswith("KAGGLE_")]:
        monkeypatch.delenv(name)
    file = RemoteFile("faces.zip", "x", (site.serve("/faces.zip", Answer(ZIP)),), kaggle="owner/faces")
    (entry,) = place.fetch(file)
    assert entry.origin == site.url("/faces.zip")
    with pytest.raises(DownloadError, match=r"Kaggle wants to know who asks.*answers 404"):
        place.fetch(RemoteFile("b.zip", "x", (site.url("/b.zip"),), kaggle="owner/faces"))


UPLOAD = "/api/v1/competitions.CompetitionApiService/StartSubmissionUpload"
CREATE = "/api/v1/competitions.CompetitionApiService/CreateSubmission"


def test_a_table_is_handed_in(kaggle: Kaggle, tmp_path: Path) -> None:
    table = tmp_path / "submission.csv"
    table.write_text("ID,BLOCK\n0,AAAA\n")
    kaggle.api.serve(UPLOAD, says({"createUrl": kaggle.storage.url("/upload"), "token": "t1"}))
    kaggle.api.serve(CREATE, says({"message": "Successfully submitted to benchmark"}))
    kaggle.storage.serve("/upload", Answer(b""))
    done = kaggle.submit(table)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == "Successfully submitted to benchmark"
    (stored,) = kaggle.storage.requests
    assert stored.body == table.read_bytes()
    assert "authorization" not in stored.headers
    (started,) = (json.loads(request.body) for request in kaggle.api.requests if request.path == UPLOAD)
    assert (started["competitionName"], started["contentLength"]) == ("benchmark", len(stored.body))
    (created,) = (json.loads(request.body) for request in kaggle.api.requests if request.path == CREATE)
    assert created == {
        "competitionName": "benchmark",
        "blobFileTokens": "t1",
        "submissionDescription": "a try",
    }


def test_sidd_submission_denoises_and_hands_in(kaggle: Kaggle, tmp_path: Path) -> None:
    package(tmp_path / "model", "unet", 3)
    source, table = tmp_path / "BenchmarkNoisyBlocksSrgb.mat", tmp_path / "submission.csv"
    source.write_bytes(mat_v5(BenchmarkNoisyBlocksSrgb=np.zeros((1, 2, 32, 32, 3), np.uint8)))
    kaggle.api.serve(UPLOAD, says({"createUrl": kaggle.storage.url("/upload"), "token": "t1"}))
    kaggle.api.serve(CREATE, says({"message": "Successfully submitted to benchmark"}))
    kaggle.storage.serve("/upload", Answer(b""))
    arguments = ["sidd-submission", *map(str, (source, table)), "--model", str(tmp_path / "model")]
    code = f"""
from degrain.cli.main import main
try:
    main({[*arguments, "--submit", "benchmark", "--message", "first"]!r})
except SystemExit as left:
    answer = left.code
"""
    missing = kaggle.run(code, KAGGLE_API_TOKEN="")
    assert "Kaggle wants to know who submits" in missing.stderr
    assert not table.exists()
    done = kaggle.run(code)
    assert done.returncode == 0, done.stderr
    assert "Successfully submitted to benchmark" in done.stderr
    (stored,) = kaggle.storage.requests
    assert stored.body == table.read_bytes()
    assert [line.split(b",")[0] for line in stored.body.splitlines()] == [b"ID", b"0", b"1"]
    (created,) = (json.loads(request.body) for request in kaggle.api.requests if request.path == CREATE)
    assert created["submissionDescription"] == "first"


@pytest.mark.parametrize(
    ("answer", "stored", "reason"),
    [
        (says({}, 401), 200, "does not accept the credentials"),
        (
            says({}, 403),
            200,
            "join the competition, signed in as the owner of the token, at https://www.kaggle.com/comp",
        ),
        (says({}, 404), 200, "there is no competition benchmark"),
        (None, 403, "Kaggle's storage did not take"),
    ],
)
def test_a_table_that_is_not_taken(
    kaggle: Kaggle, tmp_path: Path, answer: Answer | None, stored: int, reason: str
) -> None:
    table = tmp_path / "submission.csv"
    table.write_text("ID,BLOCK\n")
    kaggle.api.serve(UPLOAD, answer or says({"createUrl": kaggle.storage.url("/upload"), "token": "t1"}))
    kaggle.storage.serve("/upload", Answer(b"", status=stored))
    done = kaggle.submit(table)
    assert done.returncode == 1
    assert reason in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_without_credentials_nothing_is_handed_in(kaggle: Kaggle, tmp_path: Path) -> None:
    done = kaggle.submit(tmp_path / "submission.csv", KAGGLE_API_TOKEN="")
    assert done.returncode == 1
    assert "Kaggle wants to know who submits" in done.stderr
    assert kaggle.api.requests == []


KEY = '{"username": "me", "key": "k"}'


@pytest.mark.parametrize(
    ("files", "variables", "found"),
    [
        ({}, {}, None),
        ({}, {"KAGGLE_API_TOKEN": "t"}, "KAGGLE_API_TOKEN"),
        ({}, {"KAGGLE_USERNAME": "me", "KAGGLE_KEY": "k"}, "KAGGLE_USERNAME and KAGGLE_KEY"),
        ({}, {"KAGGLE_USERNAME": "me"}, None),
        ({".kaggle/access_token": "t\n"}, {}, ".kaggle/access_token"),
        ({".kaggle/access_token.txt": "t"}, {}, ".kaggle/access_token.txt"),
        ({".kaggle/access_token": "\n"}, {}, None),
        ({".kaggle/kaggle.json": KEY}, {}, ".kaggle/kaggle.json"),
        ({".kaggle/kaggle.json": '{"key": "k"}'}, {"KAGGLE_USERNAME": "me"}, ".kaggle/kaggle.json"),
        ({".kaggle/kaggle.json": '{"key": '}, {}, None),
        ({".config/kaggle/kaggle.json": KEY}, {}, ".config/kaggle/kaggle.json"),
        ({".config/kaggle/kaggle.json": KEY, ".kaggle/other": ""}, {}, None),
        ({"xdg/kaggle/kaggle.json": KEY}, {"XDG_CONFIG_HOME": "xdg"}, "xdg/kaggle/kaggle.json"),
        ({"here/kaggle.json": KEY}, {"KAGGLE_CONFIG_DIR": "here"}, "here/kaggle.json"),
        ({".kaggle/credentials.json": '{"refresh_token": "r"}'}, {}, ".kaggle/credentials.json"),
    ],
)
def test_credentials_are_found_where_the_client_finds_them(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    variables: dict[str, str],
    found: str | None,
) -> None:
    for name in [name for name in os.environ if name.startswith(("KAGGLE_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    credentials = kaggle_credentials()
    assert credentials == (str(tmp_path / found) if found and found.startswith(".") else found)
