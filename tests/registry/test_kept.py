"""The kept champion: it is the present champion and what was registered, or MLflow is asked."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import chdir, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from degrain.artifacts.kept_champion import KeptChampion
from degrain.artifacts.trial import TRIAL, WEIGHTS
from degrain.errors import RegistryError, Unreachable
from degrain.machine import variables
from degrain.registry import aliases, kept, loading, lookup, promotion, publishing, tags, tracking, turns
from pipelines.addresses import free_port
from tests.artifacts import records
from tests.conftest import ROOT
from tests.ingest.fetching.site import Answer, Site
from tests.services.processes import HOST, Process

ALIAS = "/api/2.0/mlflow/registered-models/alias"


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(turns, "PAUSE", 0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        yield


def fill(client: Any) -> None:
    """Register three versions of "tiny", of which the first is the champion."""
    for number in (1, 2, 3):
        run = client.create_run(tracking.experiment(client, "tiny")).info.run_id
        folder = Path(f"model{number}")
        made = records.model(folder, f"weights {number}", key=f"key{number}")
        source = publishing.log_model(client, run, folder, made, {})
        aliases.register(client, "tiny", source, run, records.version_tags(made, folder))
    promotion.by_hand(client, "tiny", "1", "the first")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the three versions."""
    folder = tmp_path_factory.mktemp("filled")
    with chdir(folder), pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        warnings.simplefilter("ignore")
        with tracking.connect() as client:
            fill(client)
    return folder


@pytest.fixture
def client(workspace: None, filled: Path) -> Iterator[Any]:
    shutil.copytree(filled, ".", dirs_exist_ok=True)
    with tracking.connect() as client:
        yield client


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows when MLflow is asked."""
    connect, calls = tracking.connect, list[str]()

    def counted() -> Any:
        calls.append("asked")
        return connect()

    monkeypatch.setattr(tracking, "connect", counted)
    return calls


def weights() -> str:
    """The weights of the champion as a command finds it."""
    with kept.champion("tiny") as folder:
        return (folder / WEIGHTS).read_text()


def packages() -> list[Path]:
    return sorted(path for path in kept.folder().iterdir() if path.is_dir())


def record() -> Path:
    (path,) = kept.folder().glob("*.json")
    return path


def test_the_second_start_asks_nobody(client: Any, asked: list[str]) -> None:
    assert [weights() for _ in range(3)] == ["weights 1"] * 3
    assert asked == ["asked"]


def test_the_second_start_imports_neither_mlflow_nor_pandas(client: Any) -> None:
    program = (
        "import sys\nfrom degrain.registry import kept\n"
        "with kept.champion('tiny') as folder:\n    print((folder / 'weights.safetensors').read_text())\n"
        "print(sorted({'mlflow', 'pandas', 'sqlalchemy'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    for expected in ("['mlflow', 'pandas', 'sqlalchemy']", "[]"):
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
        )
        assert done.stdout.splitlines() == ["weights 1", expected], done.stderr


def by_hand(client: Any) -> None:
    """As MLflow's page does it."""
    client.set_registered_model_alias("tiny", aliases.CHAMPION, "2")


def by_degrain(client: Any) -> None:
    promotion.by_hand(client, "tiny", "2", "better")


def in_the_file(_: Any) -> None:
    with closing(sqlite3.connect(variables.tracking_database())) as connection, connection:
        connection.execute("UPDATE registered_model_aliases SET version = 2 WHERE alias = 'champion'")


@pytest.mark.parametrize("move", [by_hand, by_degrain, in_the_file])
def test_a_champion_that_has_moved_is_noticed(client: Any, asked: list[str], move: Any) -> None:
    assert weights() == "weights 1"
    move(client)
    assert [weights(), weights()] == ["weights 2"] * 2
    assert asked == ["asked"] * 2


def test_a_roll_back_to_a_kept_champion_asks_nobody(client: Any, asked: list[str]) -> None:
    weights()
    by_degrain(client)
    weights()
    promotion.roll_back(client, "tiny", "worse")
    assert weights() == "weights 1"
    assert asked == ["asked"] * 2


def test_no_champion_is_said_though_one_is_kept(client: Any) -> None:
    weights()
    client.delete_registered_model_alias("tiny", aliases.CHAMPION)
    with pytest.raises(RegistryError, match="the registry has no champion of 'tiny' yet"):
        weights()


def test_a_deleted_champion_is_not_taken(client: Any) -> None:
    weights()
    client.delete_model_version("tiny", "1")
    with pytest.raises(RegistryError):
        weights()


DAMAGE: dict[str, Any] = {
    "other weights": lambda package: (package / WEIGHTS).write_text("weights 2"),
    "no weights": lambda package: (package / WEIGHTS).unlink(),
    "another trial": lambda package: shutil.copy(Path("model2", TRIAL), package / TRIAL),
    "no trial": lambda package: (package / TRIAL).write_text("{"),
    "one more file": lambda package: (package / "more").touch(),
    "half a package": lambda package: [path.unlink() for path in package.iterdir() if path.suffix == ".py"],
    "another package": lambda package: [shutil.rmtree(package), shutil.copytree("model2", package)],
    "a file": lambda package: [shutil.rmtree(package), package.touch()],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_package_is_fetched_anew(client: Any, asked: list[str], damage: str) -> None:
    weights()
    (package,) = packages()
    DAMAGE[damage](package)
    assert [weights(), weights()] == ["weights 1"] * 2
    assert asked == ["asked"] * 2


def changed(**change: Any) -> None:
    KeptChampion.read(record()).model_copy(update=change).write(record())


@pytest.mark.parametrize(
    "damage",
    [
        lambda: record().write_text("{"),
        lambda: record().write_text(record().read_text().replace('"1"', '"2"')),
        lambda: changed(tables="of another MLflow"),
        lambda: changed(model="other"),
        lambda: changed(tracking_uri="sqlite:////elsewhere.db"),
        lambda: record().unlink(),
    ],
)
def test_a_record_that_does_not_fit_counts_for_nothing(client: Any, asked: list[str], damage: Any) -> None:
    weights()
    damage()
    assert [weights(), weights()] == ["weights 1"] * 2
    assert asked == ["asked"] * 2


@pytest.mark.parametrize("tag", [tags.WEIGHTS, tags.KEY, tags.PACKAGE])
@pytest.mark.parametrize("value", [None, "../../model2", "f" * 64])
def test_tags_that_were_changed_are_refused_as_if_nothing_were_kept(client: Any, tag: str, value: str | None) -> None:
    weights()
    if value is None:
        client.delete_model_version_tag("tiny", "1", tag)
    else:
        client.set_model_version_tag("tiny", "1", tag, value)
    said = []
    for _ in range(2):
        with pytest.raises(RegistryError) as caught:
            weights()
        said.append(str(caught.value))
        shutil.rmtree(kept.folder(), ignore_errors=True)
    assert said[0] == said[1]


def test_the_same_name_in_another_workspace_is_left_to_mlflow(client: Any) -> None:
    uri = variables.tracking_uri()
    assert lookup.champion("tiny", uri)
    with closing(sqlite3.connect(variables.tracking_database())) as connection, connection:
        for table in ("registered_model_aliases", "model_versions"):
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            others = ", ".join(name for name in columns if name != "workspace")
            connection.execute(
                f"INSERT INTO {table} ({others}, workspace) SELECT {others}, 'another' FROM {table} WHERE version = 1"
            )
    assert lookup.champion("tiny", uri) is None


@pytest.mark.parametrize("content", [None, b"", b"no database", b"SQLite format 3\0" + b"\0" * 100])
def test_a_file_that_is_no_store_is_left_to_mlflow(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "a ?%20#b.db"
    if content is not None:
        file.write_bytes(content)
    assert lookup.champion("tiny", variables.sqlite_uri(file)) is None
    assert file.exists() == (content is not None)


def test_a_store_that_somebody_writes_to_is_left_to_mlflow(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "ANSWER_TIME", 0.1)
    with closing(sqlite3.connect(variables.tracking_database(), isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        assert lookup.champion("tiny", variables.tracking_uri()) is None
        writer.execute("ROLLBACK")
    assert lookup.champion("tiny", variables.tracking_uri())


def test_packages_of_former_champions_are_removed_after_an_hour(client: Any) -> None:
    for number in ("1", "2"):
        client.set_registered_model_alias("tiny", aliases.CHAMPION, number)
        weights()
    first, second = sorted(packages(), key=lambda path: (path / WEIGHTS).read_text())
    for path in (first, second):
        os.utime(path, (time.time() - 4000,) * 2)
    client.set_registered_model_alias("tiny", aliases.CHAMPION, "3")
    weights()
    assert sorted((path / WEIGHTS).read_text() for path in packages()) == ["weights 3"]


def test_a_folder_that_cannot_be_written_costs_a_warning(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    kept.folder().touch()
    assert weights() == "weights 1"
    assert "version 1 of tiny is not kept for the next start: cannot write" in caplog.text


def test_a_copy_of_the_project_has_a_champion_of_its_own(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    weights()
    here = Path.cwd()
    subprocess.run(["cp", "-al", ".", "../copy"], check=True)
    monkeypatch.chdir(here.parent / "copy")
    with tracking.connect() as other:
        other.set_registered_model_alias("tiny", aliases.CHAMPION, "2")
    assert weights() == "weights 2"
    monkeypatch.chdir(here)
    assert weights() == "weights 1"


@pytest.mark.parametrize("other", [{}, {"version": "2"}, {"tags": {}}])
def test_where_the_store_does_not_say_what_mlflow_says_mlflow_is_asked_and_nothing_fetched_again(
    client: Any, asked: list[str], monkeypatch: pytest.MonkeyPatch, other: dict[str, Any]
) -> None:
    """Such as a server with accounts, or a store of an MLflow that nobody has seen yet."""
    as_it_is, fetch, fetched = lookup.champion, loading.fetch, list[str]()

    def says(name: str, uri: str) -> lookup.Holder | None:
        holder = as_it_is(name, uri)
        return replace(holder, **other) if holder and other else None

    def counted(version: Any, target: Path) -> Path:
        fetched.append(version.version)
        return fetch(version, target)

    monkeypatch.setattr(lookup, "champion", says)
    monkeypatch.setattr(loading, "fetch", counted)
    assert [weights() for _ in range(3)] == ["weights 1"] * 3
    assert (len(asked), len(fetched)) == (3, 1)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


HOLDER = {"name": "tiny", "version": "1", "tags": [{"key": "degrain.key", "value": "key1"}]}


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=401),
        Answer(status=404),
        Answer(b"<html>"),
        Answer(b"[]"),
        Answer(b"{}"),
        Answer(b'{"model_version": 7}'),
        Answer(json.dumps({"model_version": HOLDER | {"name": "other"}}).encode()),
        Answer(json.dumps({"model_version": HOLDER | {"tags": [1]}}).encode()),
    ],
)
def test_an_answer_that_says_nothing_is_left_to_mlflow(site: Site, answer: Answer) -> None:
    uri = site.serve(ALIAS, answer).removesuffix(ALIAS)
    assert lookup.champion("tiny", uri) is None
    assert site.requests[-1].path == f"{ALIAS}?name=tiny&alias=champion"


def test_a_server_with_errors_of_its_own_is_not_reached(site: Site) -> None:
    uri = site.serve(ALIAS, Answer(status=502)).removesuffix(ALIAS)
    with pytest.raises(Unreachable, match=f"MLflow at {uri} does not answer: HTTP 502"):
        lookup.champion("tiny", uri)


def test_a_server_that_says_nothing_in_time_is_not_reached(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "ANSWER_TIME", 0.2)
    uri = site.serve(ALIAS, Answer(b"never", stall=1)).removesuffix(ALIAS)
    with pytest.raises(Unreachable, match=f"MLflow at {uri} does not answer: "):
        lookup.champion("tiny", uri)


@pytest.mark.slow
def test_a_server_is_asked_and_its_last_known_champion_is_taken_when_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    uri = f"http://{HOST}:{port}"
    server = Process(
        [
            *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{tmp_path}/server.db"),
            *("--artifacts-destination", f"{tmp_path}/stored"),
        ],
        tmp_path / "mlflow.log",
        os.environ,
        tmp_path,
        lambda: httpx.get(f"{uri}/health").is_success,
    )
    server.start()
    try:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with tracking.connect() as client:
            fill(client)
            asked.clear()
            assert [weights(), weights()] == ["weights 1"] * 2
            assert asked == ["asked"]
            client.set_registered_model_alias("tiny", aliases.CHAMPION, "2")
        assert [weights(), weights()] == ["weights 2"] * 2
        assert asked == ["asked"] * 2
        assert "is taken" not in caplog.text
    finally:
        server.end(signal.SIGKILL)
    seen = KeptChampion.read(record()).seen
    caplog.set_level(logging.WARNING)
    assert weights() == "weights 2"
    assert f"MLflow at {uri} does not answer: " in caplog.text
    assert f"version 2 of tiny is taken, the champion of {seen}" in caplog.text
    shutil.rmtree(kept.folder())
    with pytest.raises(RegistryError, match=f"MLflow at {uri} does not answer"):
        weights()
