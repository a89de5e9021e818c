"""What bfloat16 costs in quality: validation PSNR after the quickstart study's training, in it and in float32."""

from __future__ import annotations

from statistics import mean

import torch

from benchmarks import common
from benchmarks.common import table
from degrain.machine import compute
from degrain.params.train import TrainParams
from degrain.patches.store import PatchStore
from degrain.training import loop
from degrain.training.trial import expand


def run(seeds: int = 6, nets: str = "sinha2018,bernier2021,unet") -> None:
    device = compute.prepare_torch("cpu", 1)
    rows = []
    with common.quickstart() as (params, store):
        for name in nets.split(","):
            settings = params.train.model_copy(update={"models": [name], "seeds": list(range(seeds))})
            exact, fast = (_ratios(settings, name, store, device, kind) for kind in ("float32", "bfloat16"))
            cells = (", ".join(f"{a - b:+.2f}" for a, b in zip(fast, exact, strict=True)),)
            rows.append((name, f"{mean(exact):.2f}", f"{mean(fast):.2f}", f"{mean(fast) - mean(exact):+.3f}", *cells))
    table(("network", "float32, dB", "bfloat16, dB", "difference", "seed by seed"), rows)


def _ratios(params: TrainParams, name: str, store: PatchStore, device: torch.device, kind: str) -> list[float]:
    one = {"precision": kind, "optimizers": params.optimizers[:1], "losses": params.losses[:1]}
    return [
        loop.train(trial, store, device).history[-1].val_psnr for trial in expand(params.model_copy(update=one), name)
    ]
