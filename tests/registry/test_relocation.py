"""A project that is moved or copied keeps its registry, and touches nothing where it was."""

from __future__ import annotations

import os
import shutil
import sqlite3
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from degrain import files
from degrain.errors import RegistryError
from degrain.machine import variables
from degrain.registry import aliases, loading, publishing, relocation, tracking
from tests.artifacts import records
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
        source = publishing.log_model(client, runs[weights], model, made)
        version = aliases.register(client, "tiny", source, runs[weights], records.version_tags(made))
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
    whole = contents(original)
    assert champion(copy) == "weights.safetensors one"
    registered(copy, "two")
    assert contents(original) == whole
    assert champion(original) == "weights.safetensors one"
    whole = contents(copy)
    registered(original, "three")
    assert contents(copy) == whole
    assert champion(copy) == "weights.safetensors two"


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


def test_a_damaged_database_is_one_line(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    database.write_bytes(b"no database at all, " * 100)
    with pytest.raises(RegistryError, match="MLflow's store"):
        relocation.relocate(database, tmp_path)
