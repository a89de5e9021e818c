"""What a study left, read as tables; and what the API does without."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import degrain
from degrain.evaluation import gate
from tests.conftest import Project, grainy

# What is installed for the pipeline alone, or for camera raw files.
PIPELINE = ("dvc", "prefect", "mlflow", "great_expectations", "kaggle", "hydra", "sqlalchemy", "rawpy")


def test_a_study_becomes_tables(reproduced: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(reproduced.folder)
    metrics = json.loads(Path("results/metrics.json").read_text())
    ranking = degrain.read_ranking()
    assert ranking["method"][0] == metrics["champion"]["trial"]
    assert list(ranking["kind"].unique()) == ["trial", "baseline", "identity"]
    means = ranking.set_index("method")["test_psnr"]
    assert means["identity"] == pytest.approx(metrics["identity"]["test_psnr"], abs=1e-4)
    scores = degrain.read_scores()
    tests = scores.query("split == 'test' and item == 'patch' and metric == 'psnr'")
    assert tests.groupby("method")["value"].mean()[means.index].to_numpy() == pytest.approx(means.to_numpy())
    ledger = degrain.read_ledger()
    assert set(ranking.query("kind == 'trial'")["method"]) <= set(ledger["name"])
    assert not degrain.read_history(Path("data/trials/unet") / ranking["method"][0]).empty
    found = degrain.compare("unet-adam-mse", "unet-adadelta-mse")
    assert set(found) == {"test_psnr", "photograph_psnr"}
    assert found["test_psnr"].gain == pytest.approx(means["unet-adam-mse"] - means["unet-adadelta-mse"], abs=0.5)
    assert degrain.load("unet-adam-mse")(grainy(0, 16, 16)).shape == (16, 16, 3)
    with pytest.raises(degrain.ModelError, match="did you mean 'unet-adam-mse'"):
        degrain.load("unet-adm-mse")
    with pytest.raises(degrain.ModelError, match="small denoises other images than those of"):
        degrain.compare(
            "small", degrain.load("data/trials/sinha2018/sinha2018-adam-mse"), gray_store(tmp_path / "gray")
        )


def gray_store(folder: Path) -> Path:
    degrain.prepare([grainy(seed, 32, 32, channels=1) for seed in range(3)], folder, patch_size=32)
    return folder


def test_an_interval_is_that_of_the_gate() -> None:
    import pandas as pd

    gains = np.array([0.3, 0.1, 0.4, 0.2, -0.1, 0.3])
    first = pd.Series(30 + gains, index=list("abcdef"))
    found = degrain.Comparison("test_psnr", first, first - gains)
    assert found.interval == (gate.lower_end(found.gains), -gate.lower_end(-found.gains))
    assert (found.won, round(found.gain, 9)) == (5, 0.2)
    assert list(found.table.columns) == ["first", "second", "gain"]
    assert str(found).startswith("the first is better by +0.20 dB, on 5 of 6 sources; 95% interval ")


SCRIPT = f"""
import sys
for name in {PIPELINE}:
    sys.modules[name] = None
import tempfile
import numpy as np
import degrain

photos = [np.full((32, 32, 3), light) for light in (0.2, 0.5, 0.8)]
with tempfile.TemporaryDirectory() as folder:
    store = degrain.prepare(photos, folder + "/store", patch_size=32)
    trained = degrain.train(store, epochs=1, folder=folder + "/ledger")
    trained.save(folder + "/model")
    assert len(degrain.read_ledger(folder + "/ledger")) == 1
    degrain.compare(folder + "/model", "small", store)
noisy = degrain.add_noise(photos[0], "camera")
degrain.score(degrain.denoise_baseline(degrain.denoise(noisy, "small")), photos[0])
"""


def test_nothing_of_the_pipeline_is_needed() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
