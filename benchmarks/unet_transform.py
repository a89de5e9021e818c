"""What the fixed transforms around the U-Net gain: the same network, seed and patches, with and without them."""

from __future__ import annotations

from statistics import mean

import torch

from benchmarks.common import quickstart, table
from degrain.machine import compute
from degrain.networks import catalog
from degrain.training import loop
from degrain.training.trial import Trial


def plain_kernel(channels: int) -> torch.Tensor:
    """Pixel unshuffling as the same 2x2 convolution: every weight is 0 or 1."""
    return torch.eye(4 * channels).reshape(4 * channels, channels, 2, 2)


def run(seeds: int = 3) -> None:
    device = compute.prepare_torch("cpu", compute.threads())
    original = catalog._unet

    def without(channels: int, size: int) -> torch.nn.Module:
        network = original(channels, size)
        network.get_buffer("transform").copy_(plain_kernel(channels))
        return network

    rows = []
    with quickstart() as (params, store):
        for label, build in (("Haar and opponent color", original), ("pixel unshuffling", without)):
            unet_spec = catalog.MODELS["unet"]
            catalog.MODELS["unet"] = catalog.ModelSpec(
                unet_spec.title, unet_spec.source, unet_spec.multiple, unet_spec.fixed_size, unet_spec.bounded, build
            )
            results = []
            for seed in range(seeds):
                history: list[loop.Epoch] = []
                trial = Trial("unet", params.train.optimizers[0], "mse", seed, params.train)
                loop.train(trial, store, device, history.append)
                results.append(history[-1].val_psnr)
            catalog.MODELS["unet"] = unet_spec
            rows.append((label, f"{mean(results):.2f}", ", ".join(f"{value:.2f}" for value in results)))
    print(f"Validation PSNR in dB after the quickstart study's training, {seeds} random seeds.\n")
    table(("in front of the network", "mean", "each seed"), rows)
