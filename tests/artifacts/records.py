"""Records as stages leave them, to be changed by tests."""

from __future__ import annotations

from typing import Any

from degrain.artifacts.trial import HISTORY, WEIGHTS, TrialRecord

TRIAL: dict[str, Any] = {
    "schema_version": TrialRecord.VERSION,
    "name": "unet-adam-mse",
    "model": "unet",
    "optimizer": "adam",
    "optimizer_settings": {"name": "adam", "lr": 0.1, "betas": [0.9, 0.999]},
    "loss": "mse",
    "loss_settings": {"name": "mse"},
    "seed": 0,
    "training": {"epochs": 3, "batch_size": 4},
    "channels": 3,
    "patch_size": 32,
    "noise": {"kind": "gaussian", "sigma": 25.0},
    "data_sha256": "d" * 64,
    "key": "key",
    "place": {"device": "cpu", "precision": "float32", "world": 1, "machine": "AVX2"},
    "versions": {"torch": "1.2"},
    "state": "done",
    "reason": "",
    "failures": [],
    "parameters": 7,
    "epochs_done": 3,
    "epoch": 3,
    "train_loss": 0.3,
    "val_loss": 0.2,
    "val_psnr": 20.0,
    "parts": 1,
    "seconds": 1.5,
    "peak_memory_mb": 100.0,
    "ended": 0.0,
    "sha256": {WEIGHTS: "w" * 64, HISTORY: "h" * 64},
}


def trial(**change: Any) -> TrialRecord:
    """What train leaves of a trial, with changes."""
    return TrialRecord.model_validate(TRIAL | change)
