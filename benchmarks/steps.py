"""The arithmetic of training alone: optimizer steps on one batch that stays in memory."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import torch

from benchmarks import processes
from degrain.machine import compute
from degrain.networks import catalog


@dataclass(frozen=True)
class Net:
    """A network, and the patches that its paper, or near enough, trains it on."""

    name: str
    size: int
    channels: int
    batch: int


NETS = {
    net.name: net
    for net in (
        Net("venkataraman2022", 28, 1, 128),
        Net("sinha2018", 64, 3, 20),
        Net("bernier2021", 48, 1, 32),
        Net("unet", 64, 3, 20),
    )
}


@dataclass(frozen=True)
class Way:
    """How steps are computed; by default, as degrain does it in float32.

    Attributes:
        threads: Of each process.
        keep_memory: Whether glibc is told to keep freed memory.
        fill: Whether fresh memory is filled with NaN, as PyTorch does in deterministic mode; None leaves it alone.
        fused: Whether Adam is PyTorch's fused one, or the one that it takes by default on the CPU.
    """

    threads: int = 1
    processes: int = 1
    channels_last: bool = True
    keep_memory: bool = True
    deterministic: bool = True
    fill: bool | None = None
    compiled: bool = False
    fused: bool = True
    bfloat16: bool = False


@dataclass(frozen=True)
class Speed:
    """What was measured.

    Attributes:
        images: A second, of all processes.
        images_per_cpu: A second of computing time: with one thread the same, and surer on a busy machine.
        first_step: Seconds until the first step was done.
        peak_mb: Peak memory of all processes.
    """

    images: float
    images_per_cpu: float
    first_step: float
    peak_mb: float


def speed(net: Net, way: Way, seconds: float = 3.0) -> Speed:
    """Measure in fresh processes."""
    told = processes.module("steps", {"net": asdict(net), "way": asdict(way), "seconds": seconds})
    answers, peak = processes.measure([told] * way.processes, together=True, TORCHINDUCTOR_FORCE_DISABLE_CACHES="1")
    images, images_per_cpu = (sum(answer[name] for answer in answers) for name in ("images", "images_per_cpu"))
    return Speed(images, images_per_cpu / way.processes, answers[0]["first_step"], peak)


def stepper(net: Net, way: Way) -> Callable[[], None]:
    """Return what computes one step: Adam, MSE."""
    form = torch.channels_last if way.channels_last else torch.contiguous_format
    network = catalog.build(net.name, net.channels, net.size).to(memory_format=form)  # type: ignore[call-overload]
    forward = torch.compile(network) if way.compiled else network
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=way.fused)
    clean = torch.rand(net.batch, net.channels, net.size, net.size).to(memory_format=form)
    noisy = clean + 0.1 * torch.randn_like(clean)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=way.bfloat16):
            output = forward(noisy)
        loss = (output.float() - clean).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def prepare(way: Way) -> None:
    """Set PyTorch up as degrain does, but for what the way says."""
    if not way.keep_memory:
        compute.keep_freed_memory = lambda: None
    compute.prepare_torch("cpu", way.threads)
    if not way.deterministic:
        torch.use_deterministic_algorithms(False)
    if way.fill is not None:
        torch.utils.deterministic.fill_uninitialized_memory = way.fill  # type: ignore[attr-defined]


def all_cores(way: Way = Way()) -> Way:
    """The same on every core, one process with one thread on each."""
    return replace(way, processes=compute.threads())


def main() -> None:
    told = json.loads(sys.argv[1])
    net, way = Net(**told["net"]), Way(**told["way"])
    prepare(way)
    step = stepper(net, way)
    started = time.perf_counter()
    step()
    first_step = time.perf_counter() - started
    for _ in range(3):
        step()
    print(processes.READY, flush=True)
    sys.stdin.readline()
    started, computing, images = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - started < told["seconds"]:
        step()
        images += net.batch
    passed, computed = time.perf_counter() - started, time.process_time() - computing
    answer = {"images": images / passed, "images_per_cpu": images / computed, "first_step": first_step}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
