"""MLflow's SQLite file is whole whatever happens while it is made or migrated."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from degrain.errors import RegistryError
from degrain.registry import store, tracking

# A version of the tables of MLflow 2.
OLD = "0584bdc529eb"
MAKE = """
import logging, resource, sys
from pathlib import Path
from degrain.registry import store
from degrain.errors import DegrainError
import mlflow.store.db.utils
logging.disable()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
print("ready", flush=True)
try:
    store.make_whole(Path(sys.argv[1]))
except DegrainError as error:
    sys.exit(str(error))
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("whole") / "mlflow.db"
    store.make_whole(file)
    return file


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of an older MLflow with an experiment in it."""
    from alembic import command
    from mlflow.store.db import utils as typed
    from mlflow.store.db.base_sql_model import Base  # noqa: F401  (declares the tables)

    utils: Any = typed
    file = tmp_path_factory.mktemp("old") / "mlflow.db"
    engine = utils.create_sqlalchemy_engine(f"sqlite:///{file}")
    utils.InitialBase.metadata.create_all(engine)
    config = utils._get_alembic_config(f"sqlite:///{file}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, OLD)
    engine.dispose()
    changed(file, "INSERT INTO experiments (experiment_id, name) VALUES (7, 'kept')")
    return file


@pytest.fixture(params=["new", "old"])
def began(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where a store is to be made or migrated."""
    file = tmp_path / "a ?%20b" / "mlflow.db"
    file.parent.mkdir()
    if request.param == "old":
        file.write_bytes(request.getfixturevalue("old").read_bytes())
    return file


def changed(file: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return file


def kept(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [name for (name,) in connection.execute("SELECT name FROM experiments")]


def assert_whole_or_as_before(file: Path, before: bytes | None) -> None:
    if before is None:
        assert not file.exists() or store._revision(file) == store._newest()
    else:
        assert file.read_bytes() == before or store._revision(file) == store._newest()
        assert kept(file) == ["kept"]


def started(file: Path, limit: int = -1) -> subprocess.Popen[str]:
    words = [sys.executable, "-W", "ignore", "-c", MAKE, str(file), str(limit)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_store_that_is_made_or_migrated_opens(began: Path) -> None:
    before = began.exists()
    for _ in range(2):
        store.make_whole(began)
        assert store._revision(began) == store._newest()
        assert kept(began) == ["kept"] * before
    assert [path.name for path in began.parent.iterdir()] == ["mlflow.db"]


def test_a_store_that_was_emptied_is_said_to_be_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "mlflow.db"
    file.touch()
    store.make_whole(file)
    assert store._revision(file) == store._newest()
    assert f"{file} was empty, and is made anew with nothing in it; restore a backup" in caplog.text
    assert "dvc repro -f -s register" in caplog.text
    assert "migrated" not in caplog.text


@pytest.mark.parametrize("content", ["half", "text"])
def test_a_damaged_store_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    file = tmp_path / "mlflow.db"
    store.make_whole(file)
    whole = file.read_bytes()
    damaged = whole[: len(whole) // 2] if content == "half" else b"no database at all, " * 1000
    file.write_bytes(damaged)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
    with pytest.raises(RegistryError) as caught, tracking.connect():
        pass
    assert str(caught.value).endswith(f"; {store.WAY_OUT}")
    assert str(caught.value).count(store.WAY_OUT) == 1
    assert file.read_bytes() == damaged


@pytest.mark.slow
def test_a_kill_leaves_what_was_there_or_a_whole_store(began: Path) -> None:
    before = began.read_bytes() if began.exists() else None
    for delay in (0.02, 0.2, 0.5, 0.8, 1.2):
        process = started(began)
        time.sleep(delay)
        process.kill()
        process.communicate()
        assert_whole_or_as_before(began, before)
    store.make_whole(began)
    assert store._revision(began) == store._newest()
    assert [path.name for path in began.parent.iterdir()] == ["mlflow.db"]


@pytest.mark.parametrize(
    "limit", [1000, *(pytest.param(limit, marks=pytest.mark.slow) for limit in (300_000, 600_000))]
)
def test_a_full_disk_is_one_line_and_leaves_what_was_there(began: Path, limit: int) -> None:
    before = began.read_bytes() if began.exists() else None
    process = started(began, limit)
    _, told = process.communicate()
    assert process.returncode == 1, told
    assert told.startswith((f"MLflow's store {began}: ", f"cannot write {began}: "))
    assert told.count("\n") == 1
    assert (began.read_bytes() if began.exists() else None) == before
    assert [path.name for path in began.parent.iterdir()] == ["mlflow.db"] * bool(before)


HALF_MADE = {
    "tables of the next version": ["UPDATE alembic_version SET version_num = '" + OLD + "'"],
    "no version": ["DELETE FROM alembic_version"],
    "no table of versions": ["DROP TABLE alembic_version"],
    "only the first tables": ["DROP TABLE alembic_version", "DROP TABLE model_versions"],
}


@pytest.mark.parametrize("state", HALF_MADE)
def test_a_store_that_was_left_half_made_is_named_with_what_to_do(tmp_path: Path, whole: Path, state: str) -> None:
    file = tmp_path / "mlflow.db"
    file.write_bytes(whole.read_bytes())
    before = changed(file, *HALF_MADE[state]).read_bytes()
    with pytest.raises(RegistryError) as caught:
        store.make_whole(file)
    told = str(caught.value)
    assert told.startswith(f"MLflow's store {file}: it is half-made, and nothing is published in it: remove it")
    assert "\n" not in told
    assert file.read_bytes() == before


def test_a_store_that_holds_runs_is_never_said_to_be_removed(tmp_path: Path, whole: Path) -> None:
    file = tmp_path / "mlflow.db"
    file.write_bytes(whole.read_bytes())
    changed(file, "INSERT INTO runs (run_uuid) VALUES ('x')", *HALF_MADE["no version"])
    with pytest.raises(RegistryError, match=r"duplicate column|already exists") as caught:
        store.make_whole(file)
    assert "remove" not in str(caught.value)


def test_a_store_of_a_newer_mlflow_is_said_to_be_one(tmp_path: Path, whole: Path) -> None:
    file = tmp_path / "mlflow.db"
    file.write_bytes(whole.read_bytes())
    changed(file, "UPDATE alembic_version SET version_num = 'ffffffffffff'")
    with pytest.raises(RegistryError, match=r"made by a newer MLflow .*ffffffffffff.*; install that one$"):
        store.make_whole(file)


def test_what_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"no database at all, " * 100)
    with pytest.raises(RegistryError, match=r"^MLflow's store .*: file is not a database; restore a backup"):
        store.make_whole(tmp_path / "mlflow.db")


def test_nobody_writes_to_a_store_while_it_is_replaced(tmp_path: Path, whole: Path) -> None:
    file = tmp_path / "mlflow.db"
    file.write_bytes(whole.read_bytes())
    with store.replaced(file) as copy, closing(sqlite3.connect(file, timeout=0)) as other:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("DELETE FROM experiments")
        assert store._revision(copy) == store._newest()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        yield
