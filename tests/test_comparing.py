"""`degrain compare` and `degrain lineage`: which of two models is better, and where one comes from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Project
from tests.inference.test_denoiser import package
from tests.test_cli import assert_one_line, degrain_here


@pytest.fixture
def workspace(reproduced: Project, tmp_path: Path) -> Path:
    return Path(shutil.copytree(reproduced.folder, tmp_path / "copy", symlinks=True))


def test_two_trials_are_compared_by_source(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = degrain_here(workspace, "compare", "unet-adam-mse", "data/trials/unet/unet-adadelta-mse")
    assert done.returncode == 0, done.stderr
    told = capsys.readouterr().out + done.stdout
    assert "PSNR, dB, test patches" in told
    assert "PSNR, dB, held-out photographs" in told
    assert "too few for an interval" in " ".join(told.split())
    assert told.count("the first is better by +") == 2


def test_a_model_equals_itself(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = degrain_here(workspace, "compare", "unet-adam-mse", "unet-adam-mse")
    assert done.returncode == 0, done.stderr
    told = capsys.readouterr().out + done.stdout
    assert told.count("the two are equal, on all ") == 2
    assert "better" not in told


def test_compared_models_are_shown_side_by_side(workspace: Path) -> None:
    two = "unet-adam-mse", "unet-adadelta-mse"
    done = degrain_here(workspace, "compare", *two, "--pictures", "shown")
    assert done.returncode == 0, done.stderr
    photographs = sorted((workspace / "data" / "evaluated" / "examples" / "photographs").iterdir())
    drawn = sorted((workspace / "shown").iterdir())
    assert [path.stem for path in drawn] == [path.name for path in photographs]
    with Image.open(drawn[0]) as strip, Image.open(photographs[0] / "clean.png") as clean:
        assert strip.size == (4 * clean.width, clean.height)
        assert np.array_equal(np.asarray(strip)[:, 3 * clean.width :], np.asarray(clean))
    assert_one_line(degrain_here(workspace, "compare", *two, "--pictures", "shown"), "shown is there already")


def test_models_of_other_images_are_refused(workspace: Path) -> None:
    package(workspace / "gray", "unet", 1)
    assert_one_line(degrain_here(workspace, "compare", "unet-adam-mse", "gray"), "gray denoises other images than")
    assert_one_line(degrain_here(workspace, "compare", "unet-adm-mse", "gray"), "did you mean 'unet-adam-mse'?")


def test_the_registry_alone_tells_where_a_version_comes_from(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace / '.degrain' / 'mlflow' / 'mlflow.db'}")
    shutil.rmtree(workspace / "data")
    done = degrain_here(elsewhere, "lineage", "models:/tiny/1", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    registered = json.loads((workspace / "results" / "registration.json").read_text())
    assert told["training"]["key"] == registered["trial_key"]
    assert told["version"]["weights"] == registered["weights_sha256"]
    assert told["data"]["patch store"] == registered["data_sha256"]
    assert told["data"]["data set"] == "photos"
    assert told["data"]["data/prepared (DVC)"].endswith(".dir")
    assert told["libraries"]["torch"]
    assert told["sources"]["licence"]
    assert told["sources"]["citation"]
    assert_one_line(degrain_here(elsewhere, "lineage", "models:/tiny/9"), "MLflow at sqlite")
    assert_one_line(degrain_here(elsewhere, "lineage", "tiny"), "write models:/NAME@ALIAS or models:/NAME/VERSION")
