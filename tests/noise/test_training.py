"""Every kind of noise that params accept is trained on, from images to a step of the optimizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from degrain.declaration import kind_of
from degrain.machine import compute
from degrain.noise.catalog import KINDS
from degrain.params.study import Params
from degrain.training import loop
from degrain.training.trial import expand
from tests.conftest import Whole, grainy, manifest_of, prepare, save
from tests.noise.test_noise import ALL


@pytest.mark.parametrize("noise", ALL, ids=lambda noise: noise["kind"])
def test_a_network_is_trained_a_step(tmp_path: Path, make_params: Callable[..., Params], noise: dict[str, Any]) -> None:
    for i, name in enumerate("abc"):
        for side in ("clean", "noisy"):
            save(tmp_path / "raw" / side / f"{name}.png", grainy(i, 64, 64))
    table = manifest_of(tmp_path / "raw")
    table["source"] = table["path"].map(lambda path: Path(path).stem)
    clean = table[table["path"].str.startswith("clean")].reset_index(drop=True)
    partners = table[table["path"].str.startswith("noisy")].reset_index(drop=True)
    if next(kind for kind in KINDS if kind_of(kind) == ("kind", noise["kind"])).paired:
        clean["noisy"], clean["noisy_sha256"] = partners["path"], partners["sha256"]
    split = {"val": ["b"], "test": ["c"]}
    params = make_params(
        prepare={"patch_size": 32, "stride": 32, "split": split, "min_std": 0.0, "noise": Whole(**noise)},
        train={"models": ["unet"], "optimizers": ["adam"], "losses": ["mse"], "epochs": 1, "patches_per_epoch": 2},
    )
    store = prepare(tmp_path / "prepared", tmp_path / "raw", clean, params)
    state = loop.train(expand(params.train, "unet")[0], store, compute.prepare_torch("cpu", 1))
    assert np.isfinite(state.history[0].val_loss)
    assert all(torch.isfinite(weight).all() for weight in state.network.parameters())
