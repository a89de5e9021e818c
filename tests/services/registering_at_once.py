"""A process that registers a trial in each of many rounds, at the same moment as another one: ME PSNR ROUNDS FOLDER."""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import torch
from safetensors.torch import save_file

from degrain import files
from degrain.artifacts.scores import Conditions, Measured, Scores
from degrain.artifacts.trial import TRIAL, WEIGHTS
from degrain.evaluation import gate
from degrain.evaluation.results import Results
from degrain.networks import catalog
from degrain.registry import registering, tags
from tests.artifacts import records
from tests.registry import grids

MODEL = "machinecurve2019"


def table(method: str, psnr: float) -> pd.DataFrame:
    """Scores of a patch of each of two sources."""
    rows = {"method": method, "split": "test", "item": "patch", "unit": ["a", "b"], "metric": "psnr", "value": psnr}
    return pd.DataFrame(rows)


def main(me: int, psnr: float, rounds: int, folder: Path) -> None:
    name = f"{MODEL}-adam-mse"
    trials = folder / f"trials{me}"
    home = trials / MODEL / name
    home.mkdir(parents=True)
    torch.manual_seed(me)
    save_file(catalog.build(MODEL, 3, 32).state_dict(), home / WEIGHTS)
    trial = records.trial(model=MODEL, name=name, key=f"key{me}", sha256={WEIGHTS: files.sha256(home / WEIGHTS)})
    trial.write(home / TRIAL)
    records.package(home)
    ranked = records.ranking(records.cell(model=MODEL, psnr=psnr))
    (folder / "figures").mkdir(exist_ok=True)
    grid = grids.grid(trial, records.scores(psnr), ranked, folder / "figures", folder / "pictures")
    measured = Scores(
        schema_version=Scores.VERSION,
        data_sha256="d" * 64,
        table_sha256="t" * 64,
        conditions=Conditions(machine="", versions={}),
        methods={name: Measured(model=MODEL, trial_key=trial.key, protocol="p" * 64)},
    )
    left = Results(pd.concat([table(name, psnr), table("identity", 20.0)]), measured, ranked)
    # The champion's scores are what was registered, so that nothing has to be denoised.
    registering._rival = lambda holder, *_: gate.Rival("", table("", tags.scores(holder)["test_psnr"]), 0.0)
    for number in range(rounds):
        (folder / f"here-{number}-{me}").touch()
        until = time.monotonic() + 60
        while not (folder / f"here-{number}-{1 - me}").exists():
            assert time.monotonic() < until, "the other one has ended"
            time.sleep(0.001)
        params: Any = SimpleNamespace(register_=SimpleNamespace(name=f"round-{number}", gate=GATE))
        made = registering.register(grid, params, SimpleNamespace(sha256="d" * 64), home, left, folder / f"{me}.jsonl")  # type: ignore[arg-type]
        sys.stdout.write(f"{number} {made.decision} {made.version}\n")


GATE = SimpleNamespace(min_gain=0.0, min_sources=6)

if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
