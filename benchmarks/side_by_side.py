"""Training speed: one trial on all cores against as many trials as cores, one thread each."""

from __future__ import annotations

import multiprocessing
import time
from statistics import median

import torch

from benchmarks.common import table
from degrain import environment
from degrain.models import catalog


def speed(model: str, threads: int, batch: int, seconds: float = 2.0) -> float:
    """Images a second of training with Adam at 64x64x3, forward, backward and step."""
    environment.prepare_torch("cpu", threads)
    network = catalog.build(model, 3, 64).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    images = torch.rand(batch, 3, 64, 64).to(memory_format=torch.channels_last)

    def step() -> None:
        loss = (network(images) - images).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    for _ in range(3):
        step()
    started, steps = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        step()
        steps += 1
    return batch * steps / (time.perf_counter() - started)


def run(repetitions: int = 3, batch: int = 2) -> None:
    cores = environment.threads()
    rows = []
    with multiprocessing.get_context("forkserver").Pool(cores) as pool:
        for model in catalog.MODELS:
            one, many = [], []
            for _ in range(repetitions):
                one.append(pool.apply(speed, (model, cores, batch)))
                many.append(sum(pool.starmap(speed, [(model, 1, batch)] * cores, chunksize=1)))
            ratios = [b / a for a, b in zip(one, many, strict=True)]
            spread = f"{median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})"
            rows.append((model, f"{median(one):.0f}", f"{median(many):.0f}", spread))
    head = ("model", f"one trial, {cores} threads", f"{cores} trials, 1 thread each", "ratio, pair by pair")
    print(f"Images a second in all, batch {batch}, {repetitions} pairs.\n")
    table(head, rows)
