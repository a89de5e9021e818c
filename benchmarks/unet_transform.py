"""What the fixed transforms around the U-Net gain: the same network, seed and patches, with and without them."""

from __future__ import annotations

from statistics import mean

import torch

from benchmarks.common import quickstart, table
from degrain.machine import compute
from degrain.networks import unet
from degrain.training import loop
from degrain.training.trial import Trial

# The two transforms; without either, the first convolution is pixel unshuffling: every weight is 0 or 1.
TRANSFORMS = {
    "Haar and opponent color": (unet.HAAR, unet.OPPONENT),
    "pixel unshuffling": (torch.eye(4), torch.eye(3)),
}


def run(seeds: int = 3) -> None:
    device = compute.prepare_torch("cpu", compute.threads())
    rows = []
    with quickstart() as (params, store):
        optimizer, loss = params.train.cells[0]
        for label, (unet.HAAR, unet.OPPONENT) in TRANSFORMS.items():
            results = []
            for seed in range(seeds):
                trial = Trial("unet", optimizer, loss, seed, params.train)
                results.append(loop.train(trial, store, device).history[-1].val_psnr)
            rows.append((label, f"{mean(results):.2f}", ", ".join(f"{value:.2f}" for value in results)))
    print(f"Validation PSNR in dB after the quickstart study's training, {seeds} random seeds.\n")
    table(("in front of the network", "mean", "each seed"), rows)
