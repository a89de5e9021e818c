"""A project that is moved or copied keeps its registry, and touches nothing where it was."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from degrain import files
from degrain.errors import RegistryError
from degrain.machine import variables
from degrain.registry import aliases, loading, publishing, relocation, tracking
from tests.artifacts import records
from tests.conftest import ROOT
from tests.registry.test_registry import make_grid


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DEGRAIN_HOME", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        yield


def registered(project: Path, weights: str) -> str:
    """Publish a grid from a project and make a model of it champion; returns the version."""
    os.chdir(project)
    Path("figures").mkdir(exist_ok=True)
    Path("figures", "unet-heat_map.svg").write_text("<svg/>")
    model = project / "model"
    made = records.model(model, f"weights.safetensors {weights}", key=weights)
    with tracking.connect() as client:
        _, runs = publishing.publish(client, tracking.experiment(client, "tiny"), make_grid(weights))
        source = publishing.log_model(client, runs[weights], model, made, {})
        version = aliases.register(client, "tiny", source, runs[weights], records.version_tags(made, model))
        client.set_registered_model_alias("tiny", aliases.CHAMPION, str(version.version))
    return str(version.version)


def champion(project: Path) -> str:
    os.chdir(project)
    with loading.folder_of("models:/tiny@champion", Path("trials")) as folder:
        return (folder / "weights.safetensors").read_text()


def contents(folder: Path) -> dict[str, str]:
    return {str(path): files.sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("moved_to", ["after", "a folder with spaces", "b%20c", "caf\u00e9"])
def test_a_project_that_was_renamed_keeps_its_champion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved_to: str
) -> None:
    before, after = tmp_path / "before", tmp_path / moved_to
    before.mkdir()
    monkeypatch.chdir(before)
    registered(before, "one")
    before.rename(after)
    assert champion(after) == "weights.safetensors one"
    assert registered(after, "two") == "2"
    assert champion(after) == "weights.safetensors two"
    assert not before.exists()


def test_a_copy_and_its_original_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.mkdir()
    monkeypatch.chdir(original)
    registered(original, "one")
    shutil.copytree(original, copy)
    assert_they_do_not_meet(copy, original)


def assert_they_do_not_meet(project: Path, other: Path) -> None:
    """Register in one of two projects that have the same champion, then in the other."""
    whole = contents(other)
    assert champion(project) == "weights.safetensors one"
    registered(project, "two")
    assert contents(other) == whole
    assert champion(other) == "weights.safetensors one"
    whole = contents(project)
    registered(other, "three")
    assert contents(project) == whole
    assert champion(project) == "weights.safetensors two"


def locks(folder: Path) -> set[int]:
    """The inodes of the lock files in a project; a dvc.lock among the artifacts is none."""
    found = [path for path in (folder / ".degrain").rglob("*.lock") if path.name != "dvc.lock"]
    assert found
    return {path.stat().st_ino for path in found}


def hard_linked(original: Path, copy: Path) -> None:
    """What degrain keeps is linked; what a test writes in place is copied."""
    shutil.copytree(original, copy)
    shutil.rmtree(copy / ".degrain")
    shutil.copytree(original / ".degrain", copy / ".degrain", copy_function=os.link)


def test_figures_that_are_published_anew_stay_as_they_are_in_a_hard_linked_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.mkdir()
    monkeypatch.chdir(original)
    registered(original, "one")
    hard_linked(original, copy)
    whole = contents(original)
    monkeypatch.chdir(copy)
    Path("figures", "unet-heat_map.svg").write_text("<svg>new</svg>")
    code = """
from degrain.registry import publishing, tracking
from tests.registry.test_registry import make_grid
with tracking.connect() as client:
    publishing.publish(client, tracking.experiment(client, "tiny"), make_grid("one"))
"""
    # NOTE: a process of its own, since MLflow keeps the place of each run's artifacts as long as a process lives.
    monkeypatch.syspath_prepend(str(ROOT))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=environment, check=True, capture_output=True)
    assert contents(original) == whole
    assert files.sha256(copy / "figures" / "unet-heat_map.svg") in contents(copy / ".degrain").values()


@pytest.mark.parametrize("first", ["copy", "original"])
def test_a_hard_linked_copy_and_its_original_do_not_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.mkdir()
    monkeypatch.chdir(original)
    registered(original, "one")
    hard_linked(original, copy)
    project, other = (copy, original) if first == "copy" else (original, copy)
    assert_they_do_not_meet(project, other)
    assert champion(other) == "weights.safetensors three"
    assert locks(original).isdisjoint(locks(copy))


def test_mlflow_s_own_experiment_goes_with_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    monkeypatch.chdir(before)
    registered(before, "one")
    before.rename(after)
    monkeypatch.chdir(after)
    with tracking.connect() as client:
        assert client.get_experiment("0").artifact_location == f"{variables.artifact_root().resolve().as_uri()}/Default"


def test_addresses_that_are_not_ours_stay(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE experiments (name TEXT, artifact_location TEXT)")
        rows = [
            ("ours", "file:///old/.degrain/mlflow/artifacts/ours"),
            ("cloud", "s3://bucket/mlflow/artifacts/cloud"),
            ("theirs", "file:///data/artifacts/theirs"),
        ]
        connection.executemany("INSERT INTO experiments VALUES (?, ?)", rows)
    relocation.relocate(database, tmp_path / "mlflow" / "artifacts")
    with sqlite3.connect(database) as connection:
        found = dict(connection.execute("SELECT name, artifact_location FROM experiments"))
    assert found == dict(rows) | {"ours": f"{(tmp_path / 'mlflow' / 'artifacts').as_uri()}/ours"}


def test_a_store_that_is_in_its_place_is_only_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    registered(tmp_path, "one")
    root = variables.artifact_root().resolve()
    database = next(tmp_path.rglob("mlflow.db"))
    relocation.relocate(database, root)  # gives MLflow's own experiment its place
    with sqlite3.connect(database) as other:
        other.execute("BEGIN IMMEDIATE")  # another process is writing: who only reads need not wait
        relocation.relocate(database, root)


def test_a_moved_store_that_cannot_be_written_says_why_it_must_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "mlflow.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE experiments (name TEXT, artifact_location TEXT)")
        connection.execute("INSERT INTO experiments VALUES ('ours', 'file:///old/.degrain/mlflow/artifacts/ours')")
    connect = sqlite3.connect
    monkeypatch.setattr(
        relocation.sqlite3, "connect", lambda path, **options: connect(f"file:{path}?mode=ro", uri=True, **options)
    )
    with pytest.raises(RegistryError, match="readonly database; the project was moved or copied"):
        relocation.relocate(database, tmp_path / "mlflow" / "artifacts")


def test_a_damaged_database_is_one_line(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    database.write_bytes(b"no database at all, " * 100)
    with pytest.raises(RegistryError, match="MLflow's store"):
        relocation.relocate(database, tmp_path)
