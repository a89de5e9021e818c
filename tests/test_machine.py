"""Variables and paths: relative ones belong to the project, also where DVC runs an experiment in a copy of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from degrain.ingest.datasets import catalog
from degrain.machine import variables
from degrain.params.study import Params
from tests.conftest import merged, picture, save


@pytest.fixture(params=["in the project", "in a temporary copy"])
def project(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder; the present folder is itself or DVC's copy of it."""
    folder = tmp_path / "project"
    here = folder if request.param == "in the project" else folder / ".dvc" / "tmp" / "exps" / "tmpabc"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    for name in ("DEGRAIN_HOME", "DEGRAIN_MIRROR", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return folder


def test_state_lies_in_the_project(project: Path) -> None:
    assert variables.home().resolve() == project / ".degrain"
    assert variables.tracking_uri() == f"sqlite:///{project.as_posix()}/.degrain/mlflow/mlflow.db"


@pytest.mark.parametrize("relative", ["elsewhere", "../beside"])
def test_relative_variables_belong_to_the_project(
    project: Path, monkeypatch: pytest.MonkeyPatch, relative: str
) -> None:
    monkeypatch.setenv("DEGRAIN_HOME", relative)
    monkeypatch.setenv("DEGRAIN_MIRROR", relative)
    assert variables.home().resolve() == (project / relative).resolve()
    assert Path(variables.mirror() or "").resolve() == (project / relative).resolve()


def test_absolute_ones_and_addresses_stay(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEGRAIN_HOME", str(tmp_path / "home"))
    assert variables.home() == tmp_path / "home"
    for mirror in (str(tmp_path / "mirror"), "http://127.0.0.1:8000/data"):
        monkeypatch.setenv("DEGRAIN_MIRROR", mirror)
        assert variables.mirror() == mirror
    monkeypatch.setenv("DEGRAIN_MIRROR", (tmp_path / "a b").as_uri())
    assert variables.mirror() == str(tmp_path / "a b")
    monkeypatch.setenv("DEGRAIN_MIRROR", "")
    assert variables.mirror() is None


def test_the_user_s_own_folder_may_be_written_short(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/me")
    for name in ("DEGRAIN_HOME", "DEGRAIN_MIRROR"):
        monkeypatch.setenv(name, "~/here")
    assert (variables.home(), variables.mirror()) == (Path("/me/here"), "/me/here")


@pytest.mark.parametrize(
    ("chosen", "meant"),
    [
        ("sqlite:///team/mlflow.db", "sqlite:///{project}/team/mlflow.db"),
        ("sqlite:////team/mlflow.db", "sqlite:////team/mlflow.db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_a_relative_registry_belongs_to_the_project(
    project: Path, monkeypatch: pytest.MonkeyPatch, chosen: str, meant: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", chosen)
    assert variables.tracking_uri() == meant.format(project=project.as_posix())


def test_a_relative_folder_of_images_belongs_to_the_project(project: Path, quickstart: dict[str, Any]) -> None:
    save(project.parent / "photos" / "a.png", picture(0))
    params = Params.model_validate(merged(quickstart, {"data": {"dataset": "folder", "path": "../photos"}}))
    download = catalog.spec("folder").download
    assert download is not None
    (record,) = download(Path(), params.data)
    assert record.file == "a.png"
    assert Path("a.png").is_file()


def test_what_libraries_are_told_to_do_without_is_part_of_the_kind_of_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from degrain.machine import description, variables

    for name in variables.ARITHMETIC:
        monkeypatch.delenv(name, raising=False)
    plain = description.kind(torch.device("cpu"))
    for name in variables.ARITHMETIC:
        with monkeypatch.context() as changed:
            changed.setenv(name, "AVX2")
            assert description.kind(torch.device("cpu")) == f"{plain} {name}=AVX2"
    monkeypatch.setenv(*variables.WORKSPACE)  # as degrain does
    assert description.kind(torch.device("cpu")) == plain
    assert ("avx512_bf16" in plain) == torch.cpu._is_avx512_bf16_supported()
