"""One network trained by two processes together learns what one process does with the same batches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.numpy import load_file

from degrain.artifacts.history import PACE
from degrain.errors import ParamsError
from degrain.networks import catalog
from degrain.patches.store import PatchStore
from degrain.training.distributed import Group
from tests.conftest import merged

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "degrain"]


@pytest.fixture
def study(tmp_path: Path, store: PatchStore, tiny: dict[str, Any]) -> Callable[..., Path]:
    """A folder with a prepared store and a study: study("name", batch_size=4)."""

    def make(name: str, **train: Any) -> Path:
        folder = tmp_path / name
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "prepared").symlink_to(store.folder)
        settings = {
            "models": ["unet"],
            "optimizers": ["adam"],
            "epochs": 2,
            "patches_per_epoch": 11,
            "batch_size": 3,
            "precision": "float32",
        }
        prepared = json.loads((store.folder / "store.json").read_text())["params"]
        change = {"prepare": prepared, "train": settings | train}
        (folder / "params.yaml").write_text(yaml.safe_dump(merged(tiny, change)))
        return folder

    return make


def train(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, "train", "--model", "unet"],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one(study: Callable[..., Path]) -> None:
    # Batches of three, with a last one of two, cannot be shared evenly.
    options = {"accumulate": 1, "ema": 0.9, "keep": "best", "clip_norm": 0.05}
    alone, together = study("alone", **options), study("together", **options)
    for folder, command in ((alone, [sys.executable, "-m", "degrain"]), (together, TORCHRUN)):
        done = train(folder, command)
        assert done.returncode == 0, done.stderr
    one, two = (folder / "data" / "trials" / "unet" / "unet-adam-mse" for folder in (alone, together))
    curves = [pd.read_csv(folder / "history.csv").drop(columns=list(PACE)) for folder in (one, two)]
    assert len(curves[0]) == 2
    np.testing.assert_allclose(curves[0].to_numpy(), curves[1].to_numpy(), rtol=1e-4)
    weights = [load_file(folder / "weights.safetensors") for folder in (one, two)]
    for name, value in weights[0].items():
        np.testing.assert_allclose(value, weights[1][name], rtol=0, atol=1e-4)
    keys = [json.loads((folder / "trial.json").read_text())["key"] for folder in (one, two)]
    assert keys[0] != keys[1]
    again = train(together, TORCHRUN)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("already trained") == 1


def test_batch_normalisation_is_refused() -> None:
    with pytest.raises(ParamsError, match="batch normalisation cannot be trained by several processes"):
        Group(0, 2).wrap(catalog.build("bernier2021", 1, 28))


@pytest.mark.parametrize(("patches", "batch", "world"), [(9, 4, 2), (3, 8, 4), (8, 1, 2)])
def test_batches_too_small_for_all_ranks_are_refused(patches: int, batch: int, world: int) -> None:
    with pytest.raises(ParamsError, match="fewer than"):
        Group(0, world).check_shares(patches, batch)
    Group(0, world).check_shares(4 * world, 2 * world)
