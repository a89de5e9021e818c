"""The examples run, on small generated images, and print what their README says."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

import degrain
from degrain.networks import catalog
from tests.conftest import ROOT, grainy, picture, save

EXAMPLES = ROOT / "examples"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs an example as `python examples/NAME ...` would, and returns what it prints."""

    def run(name: str, *arguments: str | Path) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    monkeypatch.setattr(catalog, "MODELS", dict(catalog.MODELS))
    return run


def photos(folder: Path, count: int, noisy: bool = False, side: int = 64) -> Path:
    for seed in range(count):
        save(folder / f"{seed}.png", grainy(seed, side, side) if noisy else picture(seed, side, side))
    return folder


def test_a_folder_is_denoised(tmp_path: Path, run) -> None:
    told = run("denoise_folder.py", photos(tmp_path / "in", 2, noisy=True), tmp_path / "out", "--model", "small")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.png", "1.png"]
    assert len(re.findall(r"^\d\.png: \d+\.\d levels of noise removed$", told, re.MULTILINE)) == 2


def test_a_denoiser_learns_from_noisy_images_alone(tmp_path: Path, run) -> None:
    asked = ["--patch-size", "32", "--epochs", "1", "--keep", tmp_path / "model"]
    told = run("only_noisy.py", photos(tmp_path / "in", 4, noisy=True, side=96), tmp_path / "out", *asked)
    assert len(list((tmp_path / "out").iterdir())) == 4
    assert re.search(r"epoch 1: validation PSNR \d+\.\d\d dB", told)
    assert degrain.load(tmp_path / "model").channels == 3


def test_a_network_of_ones_own_is_trained_compared_and_loaded(tmp_path: Path, run) -> None:
    told = run("own_network.py", photos(tmp_path, 4), "--patch-size", "32", "--epochs", "1")
    assert re.search(r"shallow: \d+ weights, \d+\.\d\d dB\nunet: \d+ weights", told)
    assert "too few for an interval" in told
    assert "ImageDenoiser(shallow, channels=3, srgb)" in told


def test_two_models_are_compared_with_an_interval(tmp_path: Path, run) -> None:
    told = run("compare_models.py", "best", "small", photos(tmp_path, 8), "--noise", "camera")
    assert re.search(r"the first is better by .* on \d of 6 sources; 95% interval .* to ", told)


def test_a_ledger_becomes_tables(tmp_path: Path, run) -> None:
    images = [picture(seed, 32, 32) for seed in range(3)]
    store = degrain.prepare(images, tmp_path / "store", patch_size=32)
    degrain.train(store, "unet", epochs=2, folder=tmp_path / "ledger")
    told = run("read_ledger.py", tmp_path / "ledger", "--csv", tmp_path / "curves.csv")
    assert "1 trials, 1 done" in told
    assert "unet-adam-mse" in told
    assert len((tmp_path / "curves.csv").read_text().splitlines()) == 3
    assert run("read_ledger.py", tmp_path / "nowhere").startswith("0 trials, 0 done")


def test_help_works_as_its_docstring_says() -> None:
    done = subprocess.run(
        [sys.executable, "examples/denoise_folder.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "python examples/denoise_folder.py photos/ denoised/" in done.stdout
    for path in EXAMPLES.glob("*.py"):
        assert f"python examples/{path.name} " in path.read_text()


NOTEBOOK = json.loads((EXAMPLES / "look.ipynb").read_text())
CODE = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_is_committed_without_output() -> None:
    assert CODE
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in CODE)


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
def test_the_notebook_runs_from_top_to_bottom(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mpl.use("agg")
    monkeypatch.setenv("LOOK_SIDE", "96")
    monkeypatch.setenv("LOOK_EPOCHS", "1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    names: dict[str, object] = {"__name__": "__main__"}
    for cell in CODE:
        exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    made = names["made"]
    assert isinstance(made, dict)
    scores = {name: degrain.score(image, names["clean"]) for name, image in made.items()}
    assert max(scores, key=scores.get) == "best"
    assert np.asarray(names["own"]).shape == (96, 96, 3)
    assert "the first is better by" in capsys.readouterr().out


def test_the_readme_lists_every_example() -> None:
    listed = re.findall(r"^\| \[(.+?)\]\((.+?)\) \|", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    there = sorted(path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".ipynb"))
    assert sorted(name for name, _ in listed) == there
    assert all(name == link for name, link in listed)
