"""Trials that are killed at random moments, again and again, end with the bits of those that were left alone."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from degrain.artifacts.history import PACE
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.training.trial import Trial, expand
from degrain.trials import processes, work
from degrain.trials.ledger import Ledger

CPU = torch.device("cpu")
KILLS = 8  # of each optimizer; nearly a hundred in all
OPTIMIZERS: list[dict[str, Any]] = [
    *({"name": name} for name in ("adadelta", "adagrad", "adam", "adamax", "adamw", "muon", "nadam", "rmsprop")),
    {"name": "sgd", "momentum": 0.9},
    {"name": "rmsprop", "preset": "tf.keras", "label": "rmsprop-tf.keras"},
]


def start(trial: Trial, store: PatchStore, ledger: Ledger) -> processes._Worker:
    """Train in a process of its own, as a grid does."""
    job = work.Job(trial, "key", store, CPU, ledger)
    return processes._start(work.train, "trial", {"trial": (job,)})


def left(ledger: Ledger) -> tuple[bytes, str, dict[str, Any]]:
    """Weights, history and record of the trial, without what differs from run to run."""
    entry = ledger.folder / "key"
    history = pd.read_csv(entry / "history.csv", dtype=str).drop(columns=list(PACE))
    recorded = json.loads((entry / "trial.json").read_text())
    for name in ("seconds", "began", "peak_memory_mb", "ended", "checksum", "sha256"):
        del recorded[name]
    return (entry / "weights.safetensors").read_bytes(), history.to_csv(), recorded


def listen(worker: processes._Worker, seconds: float) -> bool:
    """Listen to a worker for so long; tell whether it has ended by itself."""
    deadline = time.monotonic() + seconds
    while (rest := deadline - time.monotonic()) > 0:
        if worker.news.poll(rest) and not worker.listen(lambda *_: None):
            assert worker.problem is None, worker.problem
            return True
    return False


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda settings: settings.get("label", settings["name"]))
def test_trials_that_are_killed_at_random_end_with_the_same_bits(
    store: PatchStore, make_params: Callable[..., Params], tmp_path: Path, optimizer: dict[str, Any]
) -> None:
    settings = {
        "models": ["unet"],
        "epochs": 6,
        "patches_per_epoch": 36,
        "batch_size": 4,
        "optimizers": [optimizer],
        "ema": 0.9,
        "keep": "best",
        "precision": "float32",
        "checkpoint_seconds": 0,
    }
    (trial,) = expand(make_params(train=settings).train, "unet")
    processes.prepare()
    alone = Ledger(tmp_path / "alone")
    began = time.monotonic()
    assert listen(start(trial, store, alone), 120)
    whole_time = time.monotonic() - began
    expected = left(alone)

    seed = int(os.environ.get("DEGRAIN_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    draw = random.Random(seed)
    kills = trials = 0
    while kills < KILLS:
        ledger = Ledger(tmp_path / f"killed-{trials}")
        trials += 1
        while not listen(worker := start(trial, store, ledger), draw.uniform(0.05, 0.8) * whole_time):
            worker.process.kill()
            worker.process.join()
            kills += 1
        assert left(ledger) == expected, f"again with DEGRAIN_KILL_SEED={seed}"
        assert not list(ledger.folder.glob("*.unfinished"))
