"""A grid of two trials of seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from degrain.params.study import Params
from degrain.training.trial import Trial, expand

CPU = torch.device("cpu")
SHORT: dict[str, Any] = {
    "epochs": 2,
    "patches_per_epoch": 12,
    "batch_size": 4,
    "models": ["unet"],
    "precision": "float32",
    "optimizers": ["adam", {"name": "adadelta", "preset": "keras"}],
}


@pytest.fixture
def make_trials(make_params: Callable[..., Params]) -> Callable[..., list[Trial]]:
    """The grid of the U-Net, with changes: make_trials(epochs=3)."""
    return lambda **change: expand(make_params(train=SHORT | change).train, "unet")


@pytest.fixture
def trials(make_trials: Callable[..., list[Trial]]) -> list[Trial]:
    """Two trials: Adam and Adadelta."""
    return make_trials()


def weights(folder: Path) -> dict[str, bytes]:
    """The weights of each trial that was laid out."""
    return {path.parent.name: path.read_bytes() for path in sorted(folder.rglob("weights.safetensors"))}
