"""What bfloat16 changes when images are denoised: PSNR of test patches, and the speed on a photograph."""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median

import cv2
import numpy as np
import skimage.data
import torch

from benchmarks import common
from degrain.inference.denoiser import Denoiser
from degrain.machine import compute
from degrain.metrics.psnr import psnr
from degrain.patches.store import PatchStore
from degrain.training import loop
from degrain.training.trial import Trial, expand

SIDE = 2048


def run(nets: str = "sinha2018,bernier2021,unet", device: str = "cpu", rounds: int = 5, epochs: int = 0) -> None:
    on = compute.prepare_torch(device, compute.threads())
    photograph = cv2.resize(skimage.data.astronaut(), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    rows = []
    with common.quickstart() as (params, store):
        for name in nets.split(","):
            one = {"models": [name], "optimizers": params.train.optimizers[:1], "losses": params.train.losses[:1]}
            one |= {"epochs": epochs or params.train.epochs, "precision": "float32"}
            (trial,) = expand(params.train.model_copy(update=one), name)
            exact = _trained(trial, store, on)
            coarse = replace(exact, precision="bfloat16")
            seconds: tuple[list[float], list[float]] = ([], [])
            for _ in range(rounds):
                for denoiser, times in zip((exact, coarse), seconds, strict=True):
                    times.append(_seconds(denoiser, photograph))
            ratios = [a / b for a, b in zip(*seconds, strict=True)]
            a, b = (_psnr(denoiser, store) for denoiser in (exact, coarse))
            worst = np.abs(exact.image(photograph).astype(int) - coarse.image(photograph)).max()
            times_as_fast = f"{median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})"
            rows.append(
                (name, f"{a:.3f}", f"{b:.3f}", f"{b - a:+.4f}", worst, f"{median(seconds[0]):.2f}", times_as_fast)
            )
    print(f"On {on}, {compute.threads()} threads; speed: {SIDE}x{SIDE} pixels, {rounds} rounds, in turns.\n")
    head = ("network", "float32, dB", "bfloat16, dB", "difference", "largest, levels", "float32, s", "times as fast")
    common.table(head, rows)


def _trained(trial: Trial, store: PatchStore, device: torch.device) -> Denoiser:
    network = loop.train(trial, store, device).finish().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Denoiser(network, trial.model, store.channels, store.patch_size)


def _psnr(denoiser: Denoiser, store: PatchStore) -> float:
    held_out = store.split("test")
    assert held_out.noisy is not None
    return float(psnr(denoiser.patches(held_out.noisy), held_out.clean).mean())


def _seconds(denoiser: Denoiser, photograph: np.ndarray) -> float:
    denoiser.image(photograph[:512, :512])
    start = time.perf_counter()
    denoiser.image(photograph)
    return time.perf_counter() - start
