"""degrain as a whole: a grid of trials on a prepared store, with validation, checkpoints and ledger."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks import processes
from degrain.machine import compute
from degrain.params.train import TrainParams
from degrain.patches.store import PatchStore


def train(store: PatchStore, params: TrainParams) -> float:
    """Train a grid; return the images a second of its trials from each one's first epoch's end to its last's.

    In between lie training, validation and checkpoints; the trials' sum is that of the machine only if all run at the
    same time.
    """
    from degrain.artifacts.history import Epoch
    from degrain.training.trial import expand
    from degrain.trials import grid
    from degrain.trials.board import Board
    from degrain.trials.ledger import Ledger

    ends: dict[str, list[float]] = {}
    show = Board.show

    def noting(board: Board, name: str, event: Any) -> None:
        if isinstance(event, Epoch):
            ends.setdefault(name, []).append(time.perf_counter())
        show(board, name, event)

    device = compute.prepare_torch("cpu", 1)
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(Board, "show", noting):
        ledger, target = Ledger(Path(folder) / "ledger"), Path(folder) / "trials"
        grid.run(expand(params, params.models[0]), store, device, ledger, target)
    patches = params.patches_per_epoch or store.counts["train"]
    return sum(patches * (len(of) - 1) / (of[-1] - of[0]) for of in ends.values())


def speed(store: Path, model: str, trials: int, **settings: Any) -> tuple[float, float]:
    """Images a second, and peak memory in MB, of a grid of so many seeds in a process of its own.

    Args:
        store: Its folder.
        model: Name of the network.
        trials: How many.
        settings: Further ones of the section `train`.
    """
    params = {
        "models": [model],
        "optimizers": ["adam"],
        "losses": ["mse"],
        "seeds": list(range(trials)),
        "augment": "none",
        "device": "cpu",
        **settings,
    }
    (answer,), peak = processes.measure([processes.module("engine", {"store": str(store), "train": params})])
    return answer["images_per_second"], peak


def main() -> None:
    told = json.loads(sys.argv[1])
    images_per_second = train(PatchStore.open(Path(told["store"])), TrainParams.model_validate(told["train"]))
    print(json.dumps({"images_per_second": images_per_second}))


if __name__ == "__main__":
    main()
