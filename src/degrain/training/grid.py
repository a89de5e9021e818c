"""Running all trials of one model: what the ledger has is reused, one bad cell never takes the others with it."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from degrain import console, files
from degrain.errors import Diverged
from degrain.images.store import PatchStore
from degrain.training import loop
from degrain.training.ledger import Ledger
from degrain.training.trial import Trial

log = logging.getLogger(__name__)


def run(trials: Sequence[Trial], store: PatchStore, device: torch.device, ledger: Ledger, target: Path) -> None:
    """Train what the ledger does not hold yet, then lay all trials out for the next stage.

    Args:
        trials: The trials of one model.
        store: What to train on.
        device: Where to compute.
        ledger: Where ended trials are remembered.
        target: Folder with one folder per trial: trial.json, history.csv and, unless it diverged, the weights.

    Raises:
        OutputError: The ledger or the target cannot be written.
    """
    entries = {}
    with console.bars() as bars:
        grid = bars.add_task("trials", total=len(trials), note="")
        for trial in trials:
            key = trial.key(store)
            entry = ledger.find(key)
            if entry is None:
                entry = _train(trial, key, store, device, ledger, bars)
            else:
                log.info("%-28s already trained, taken from the ledger", trial.name)
            entries[trial.name] = entry
            bars.advance(grid)
    with files.new_folder(target) as partial:
        for name, entry in entries.items():
            shutil.copytree(entry, partial / name)


def _train(trial: Trial, key: str, store: PatchStore, device: torch.device, ledger: Ledger, bars: Any) -> Path:
    history: list[loop.Epoch] = []
    bar = bars.add_task(trial.name, total=trial.params.epochs, note="")

    def after_epoch(epoch: loop.Epoch) -> None:
        history.append(epoch)
        note = f"loss {epoch.train_loss:.5f}  PSNR {epoch.val_psnr:.2f} dB  {epoch.images_per_second:.0f} images/s"
        bars.update(bar, advance=1, note=note)

    started = time.perf_counter()
    state, reason, network = "done", "", None
    try:
        network = loop.train(trial, store, device, after_epoch)
    except Diverged as error:
        state, reason = "diverged", str(error)
    finally:
        bars.remove_task(bar)
    described = trial.describe(store) | {
        "state": state,
        "reason": reason,
        "parameters": sum(weight.numel() for weight in network.parameters()) if network else None,
        "train_loss": history[-1].train_loss if history else None,
        "val_loss": history[-1].val_loss if history else None,
        "val_psnr": history[-1].val_psnr if history else None,
        "seconds": round(time.perf_counter() - started, 2),
        "device": device.type,
        "torch": torch.__version__,
    }
    if network is None:
        log.warning("%-28s diverged: %s", trial.name, reason)
    else:
        log.info(
            "%-28s val PSNR %.2f dB, %s %.5f, %.1f s",
            trial.name,
            described["val_psnr"],
            trial.loss,
            described["val_loss"],
            described["seconds"],
        )
    return ledger.record(key, described, history, network)
