"""The pipeline as a user runs it, on the embedded photographs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from degrain import files
from tests.conftest import Project, clone, merged

TRIALS = ["sinha2018-adadelta-mse", "sinha2018-adam-mse", "unet-adadelta-mse", "unet-adam-mse"]


def weights(project: Project) -> dict[str, bytes]:
    found = sorted((project.folder / "data" / "trials").glob("*/*/weights.safetensors"))
    return {path.parent.name: path.read_bytes() for path in found}


def stages_run(output: str) -> list[str]:
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


@pytest.fixture
def copy(reproduced: Project, tmp_path: Path) -> Project:
    """A copy of the reproduced project that a test may change."""
    shutil.copytree(reproduced.folder, tmp_path / "copy", symlinks=True)
    return Project(tmp_path / "copy")


def test_everything_that_people_look_at_is_there(reproduced: Project) -> None:
    results = reproduced.folder / "results"
    assert (results / "report.html").stat().st_size > 100_000
    assert (results / "validation" / "index.html").is_file()
    metrics = json.loads((results / "metrics.json").read_text())
    assert sorted(metrics["trials"]) == TRIALS
    assert metrics["champion"]["trial"] == "unet-adam-mse"
    assert "unet-adam-mse" in metrics["sharpened"]
    curves = pd.read_csv(results / "plots" / "learning_curves.csv")
    assert len(curves) == 4 * 2
    ranking = pd.read_csv(results / "plots" / "ranking.csv")
    assert ranking["method"].tolist()[:2] == ["identity", "gaussian"]


def test_the_metrics_are_those_of_the_stored_patches(reproduced: Project) -> None:
    """The noisy input's PSNR, computed again from the store with the formula alone."""
    test = reproduced.folder / "data" / "prepared" / "test"
    clean = np.load(test / "clean.npy").astype(np.float64)
    noisy = np.load(test / "noisy.npy").astype(np.float64)
    error = ((noisy - clean) ** 2).mean(axis=(1, 2, 3))
    expected = np.mean(10 * np.log10(255**2 / error))
    metrics = json.loads(reproduced.read("results/metrics.json"))
    assert metrics["identity"]["test_psnr"] == pytest.approx(expected, abs=1e-4)


def test_no_photograph_is_on_two_sides(reproduced: Project) -> None:
    sides = [
        set(pd.read_parquet(reproduced.folder / "data" / "prepared" / side / "index.parquet")["source"])
        for side in ("train", "val", "test")
    ]
    assert sides[1:] == [{"coffee"}, {"astronaut", "chelsea"}]
    assert not sides[0] & (sides[1] | sides[2])


def test_a_model_that_does_not_win_is_not_promoted(reproduced: Project, tmp_path: Path) -> None:
    """Two epochs do not beat a Gaussian filter, and the gate says so."""
    registration = json.loads(reproduced.read("results/registration.json"))
    assert registration["decision"] == "refused"
    assert registration["before"] is None
    assert registration["version"] == "1", "the challenger"
    assert any("does not beat baseline gaussian" in reason for reason in registration["refused"])
    done = reproduced.run("degrain", "denoise", "data/raw/photos/coffee.png", str(tmp_path / "x.png"))
    assert done.returncode == 0
    assert "model: best" in done.stderr.splitlines(), "which comes with degrain"


def test_the_best_trial_is_packaged_and_fetched_by_its_name(copy: Project, tmp_path: Path) -> None:
    """It is packaged also where the gate refuses it, and its card says so."""
    packaged = copy.folder / "results" / "champion"
    assert "- not passed, against baseline gaussian" in (packaged / "README.md").read_text()
    assert (packaged / "weights.safetensors").read_bytes() == weights(copy)["unet-adam-mse"]
    for command in (
        ("git", "add", "-A"),
        ("git", "commit", "-qm", "results"),
        ("git", "tag", "-a", "denoiser@v0.1.0", "-m", "a model"),
        ("dvc", "artifacts", "get", ".", "denoiser", "--out", str(tmp_path / "fetched")),
        ("degrain", "denoise", "data/raw/photos/coffee.png", str(tmp_path / "x.png"), "--model", "results/champion"),
    ):
        done = copy.run(*command)
        assert done.returncode == 0, done.stderr
    assert files.tree_digest(tmp_path / "fetched") == files.tree_digest(packaged)


def test_running_again_does_nothing(copy: Project) -> None:
    done = copy.run("dvc", "repro")
    assert done.returncode == 0
    assert stages_run(done.stdout) == []
    assert "up to date" in done.stdout


@pytest.mark.slow
def test_a_change_reruns_only_what_depends_on_it_and_a_winner_becomes_champion(copy: Project) -> None:
    before = weights(copy)
    copy.change(evaluate={"baselines": []})
    done = copy.run("dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stages_run(done.stdout) == ["evaluate", "report", "register"]
    assert weights(copy) == before
    registration = json.loads(copy.read("results/registration.json"))
    assert registration["decision"] == "first", registration
    assert registration["version"] == "2", "the challenger has the same weights, and a card that says otherwise"

    # What is registered is the package that DVC has, in a folder that is called by its digest.
    package = copy.folder / "results" / "champion"
    place = f"*/*/artifacts/model/{files.tree_digest(package)[:16]}"
    (registered,) = (copy.folder / ".degrain" / "mlflow" / "artifacts").glob(place)
    assert files.tree_digest(registered) == files.tree_digest(package)

    # The champion denoises, and a second registration changes nothing.
    done = copy.run("degrain", "denoise", "data/evaluated/examples/photographs/chelsea/noisy.png", "out.png")
    assert done.returncode == 0, done.stderr
    shown = copy.folder / "data/evaluated/examples/photographs/chelsea/denoised.png"
    with Image.open(copy.folder / "out.png") as output, Image.open(shown) as expected:
        assert np.abs(np.asarray(output, int) - np.asarray(expected, int)).max() <= 1
    done = copy.run("dvc", "repro", "-f", "-s", "register")
    assert done.returncode == 0
    again = json.loads(copy.read("results/registration.json"))
    assert (again["decision"], again["before"], again["version"]) == ("same weights", "2", "2")
    assert len((copy.folder / "results" / "promotions.jsonl").read_text().splitlines()) == 1


def test_more_epochs_do_not_prepare_again(copy: Project) -> None:
    copy.change(train={"epochs": 1})
    done = copy.run("dvc", "repro", "--dry")
    planned = stages_run(done.stdout)
    assert [stage for stage in planned if stage.startswith("train@")] == ["train@sinha2018", "train@unet"]
    assert not {"download", "validate", "prepare"} & set(planned)


@pytest.mark.slow
def test_another_optimizer_trains_only_its_own_cells(copy: Project, tiny: dict[str, Any]) -> None:
    added = [*tiny["train"]["optimizers"], {"name": "adam", "label": "slow", "lr": 0.0001}]
    copy.change(train={"optimizers": added, "models": ["unet"]})
    done = copy.run("dvc", "repro", "train")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count("already trained, taken from the ledger") + done.stdout.count("taken from the ledger") == 2
    assert sorted(weights(copy)) == ["unet-adadelta-mse", "unet-adam-mse", "unet-slow-mse"]


@pytest.mark.slow
def test_from_scratch_the_weights_are_the_same_bytes(reproduced: Project, tmp_path: Path, tiny: dict[str, Any]) -> None:
    again = clone(tmp_path / "again", tiny)
    done = again.run("dvc", "repro", "train")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "taken from the ledger" not in done.stdout + done.stderr
    assert sorted(weights(again)) == TRIALS
    assert weights(again) == weights(reproduced)


def test_dvc_shows_metrics_plots_and_experiments(reproduced: Project) -> None:
    done = reproduced.run("dvc", "metrics", "show")
    assert "champion.test_psnr" in done.stdout
    done = reproduced.run("dvc", "plots", "show", "-o", "plots_out")
    assert done.returncode == 0, done.stderr
    page = (reproduced.folder / "plots_out" / "index.html").read_text()
    assert all(trial in page for trial in TRIALS)
    assert "unet-heat_map.svg" in page
    assert reproduced.run("dvc", "exp", "show", "--csv").returncode == 0
    shutil.rmtree(reproduced.folder / "plots_out")


@pytest.mark.slow
def test_an_experiment_composes_the_study_and_shares_the_ledger(copy: Project) -> None:
    """`--temp` runs in a copy of the project that is deleted afterwards; what was trained must survive."""
    command = [
        "dvc",
        "exp",
        "run",
        "--temp",
        "-S",
        "study=tiny",
        "-S",
        "train.models=[unet]",
        "-S",
        "train.losses=[mae]",
    ]
    done = copy.run(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    losses = {
        json.loads(path.read_text())["loss"] for path in (copy.folder / ".degrain" / "trials").glob("*/trial.json")
    }
    assert losses == {"mse", "mae"}
    done = copy.run("dvc", "exp", "show", "--csv")
    assert "[unet]" in done.stdout or "['unet']" in done.stdout


def test_a_misspelt_parameter_stops_the_run_and_loses_nothing(copy: Project) -> None:
    before = weights(copy)
    copy.change(prepare={"strid": 5})
    done = copy.run("dvc", "repro")
    assert done.returncode != 0
    assert "prepare.strid is not a parameter; did you mean 'stride'?" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    params = yaml.safe_load(copy.read("params.yaml"))
    del params["prepare"]["strid"]
    (copy.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    done = copy.run("dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    assert weights(copy) == before


@pytest.mark.slow
def test_a_grid_with_a_diverging_cell_ends_and_reports_it(tmp_path: Path, tiny: dict[str, Any]) -> None:
    wild = {"name": "adam", "label": "wild", "lr": 1e30}
    study = merged(
        tiny,
        {
            "train": {"models": ["unet"], "optimizers": ["adam", wild], "epochs": 1, "patches_per_epoch": 8},
            "evaluate": {"baselines": []},
        },
    )
    project = clone(tmp_path / "project", study)
    done = project.run("dvc", "repro", "report")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "unet-wild-mse diverged: the loss became" in project.read("results/report.html").decode()
    metrics = json.loads(project.read("results/metrics.json"))
    assert list(metrics["trials"]) == ["unet-adam-mse"]
