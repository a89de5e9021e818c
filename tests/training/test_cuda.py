"""The same engine where there is a GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from degrain.errors import Stopped
from degrain.machine import compute
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.training import loop
from degrain.training.checkpoints import Checkpoints
from degrain.training.state import State
from degrain.training.trial import Trial, expand
from degrain.trials import grid
from degrain.trials.ledger import Ledger

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture
def device() -> torch.device:
    return compute.prepare_torch("cuda", 1)


@pytest.fixture
def make_trials(make_params: Callable[..., Params]) -> Callable[..., list[Trial]]:
    short = {"epochs": 2, "patches_per_epoch": 12, "batch_size": 4, "models": ["unet"], "device": "cuda"}
    return lambda **change: expand(make_params(train=short | change).train, "unet")


def bits(state: State) -> dict[str, bytes]:
    return {name: value.cpu().numpy().tobytes() for name, value in state.finish().state_dict().items()}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "muon"])
def test_a_stopped_trial_goes_on_with_the_same_bits(
    store: PatchStore,
    make_trials: Callable[..., list[Trial]],
    device: torch.device,
    tmp_path: Path,
    optimizer: str,
    precision: str,
) -> None:
    (trial,) = make_trials(optimizers=[optimizer], precision=precision, ema=0.9)
    whole = bits(loop.train(trial, store, device))
    assert bits(loop.train(trial, store, device)) == whole
    answers = iter([False, False, False, True])
    with pytest.raises(Stopped):
        loop.train(trial, store, device, checkpoints=Checkpoints(tmp_path, "key", 1e9), stopping=answers.__next__)
    assert bits(loop.train(trial, store, device, checkpoints=Checkpoints(tmp_path, "key", 1e9))) == whole


def test_the_grid_trains_on_the_gpu(
    store: PatchStore, make_trials: Callable[..., list[Trial]], device: torch.device, tmp_path: Path
) -> None:
    recorded = grid.run(
        make_trials(optimizers=["adam", "sgd"]), store, device, Ledger(tmp_path / "ledger"), tmp_path / "out"
    )
    assert [(trial.state, trial.place.device) for trial in recorded] == [("done", "cuda")] * 2
