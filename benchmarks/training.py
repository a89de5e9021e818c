"""Training speed of degrain, bare and as a whole, against Keras, plain PyTorch and Lightning on the same pairs.

The peers run in an environment of their own, which `make bench-peers` makes; where there is none, degrain runs alone.
All use all cores, each in its own way; the contenders of one network take turns, so that noise hits all.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import engine, pairs, processes, steps
from benchmarks.common import table
from benchmarks.steps import NETS, Net, Way
from degrain.machine import compute
from degrain.machine.precision import has_bfloat16_units
from degrain.networks import catalog
from degrain.patches.store import PatchStore

ENGINE, BARE = "degrain, whole", "degrain, bare loop"
BF16 = ", bfloat16"
PEERS = {"Keras model.fit": "keras_fit", "plain PyTorch": "pytorch_plain", "Lightning": "lightning_fit"}
EPOCHS = 3  # the first is for warming up
SECONDS = 3  # of the bare loop, and about what the engine takes for an epoch


@dataclass
class Contender:
    """What is measured; each call of `run` is one round: images a second, and peak memory in MB."""

    name: str
    run: Callable[[], tuple[float, float]]
    speeds: list[float] = field(default_factory=list)
    memory: float = 0

    def take_turn(self) -> None:
        speed, memory = self.run()
        self.speeds.append(speed)
        self.memory = max(self.memory, memory)


def run(rounds: int = 3, nets: str = ",".join(NETS), peers: str = ".venv-peers") -> None:
    python = processes.ROOT / peers / "bin" / "python"
    if not python.exists():
        print(f"No peers: there is no environment {peers}; `make bench-peers` makes it.\n")
    chosen = [NETS[name] for name in nets.split(",")]
    bare = {net.name: median(steps.speed(net, steps.all_cores()).images for _ in range(rounds)) for net in chosen}
    _arithmetic(chosen, bare)
    rows: list[tuple[str, ...]] = []
    for net in chosen:
        with tempfile.TemporaryDirectory() as folder:
            rows += _compared(net, _contenders(net, bare[net.name], Path(folder), python), rounds)
    columns = [f"{ENGINE}{kind}, against it" for kind in _kinds()]
    print(f"\n{rounds} rounds; ratios pair by pair: median (min - max).\n")
    table(("network", "what", "images/s, median", *columns, "peak memory, MB"), rows)


def _kinds() -> tuple[str, ...]:
    return ("", BF16) if has_bfloat16_units(torch.device("cpu")) else ("",)


def _arithmetic(nets: Sequence[Net], bare: dict[str, float]) -> None:
    """What a step costs, and which share of the machine's peak the bare loop reaches."""
    peak = peak_flops()
    rows = []
    for net in nets:
        flops = step_flops(net)
        done = flops * bare[net.name]
        cells = (f"{flops / 1e6:.0f}", f"{bare[net.name]:.0f}", f"{done / 1e9:.0f}", f"{done / peak:.0%}")
        rows.append((net.name, f"{net.size}x{net.size}x{net.channels}", net.batch, parameters(net), *cells))
    print(f"Peak of this machine, measured: {peak / 1e9:.0f} GFLOP/s in float32 on all cores.\n")
    head = (
        "network",
        "patch",
        "batch",
        "parameters",
        "MFLOP an image",
        "bare loop, images/s",
        "GFLOP/s",
        "of the peak",
    )
    table(head, rows)


def peak_flops(repetitions: int = 20) -> float:
    """Of a large product of matrices or a large convolution: the faster, since MKL is slow on AMD's processors."""
    compute.prepare_torch("cpu", compute.threads())
    side, channels, pixels = 2048, 256, 32
    left, right = torch.rand(2, side, side)
    convolution = torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    convolution.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.rand(8, channels, pixels, pixels).to(memory_format=torch.channels_last)
    work: dict[Callable[[], object], int] = {
        lambda: left @ right: 2 * side**3,
        lambda: convolution(images): 2 * 9 * images[0, 0].numel() * len(images) * channels**2,
    }
    best = 0.0
    with torch.inference_mode():
        for function, flops in list(work.items()) * repetitions:
            started = time.perf_counter()
            function()
            best = max(best, flops / (time.perf_counter() - started))
    return best


def step_flops(net: Net) -> float:
    """Of forward and backward, for one image."""
    network = catalog.build(net.name, net.channels, net.size)
    with FlopCounterMode(display=False) as counter:
        network(torch.rand(net.batch, net.channels, net.size, net.size)).square().mean().backward()
    return float(counter.get_total_flops()) / net.batch


def parameters(net: Net) -> int:
    return sum(weight.numel() for weight in catalog.build(net.name, net.channels, net.size).parameters())


def _contenders(net: Net, bare: float, folder: Path, python: Path) -> list[Contender]:
    cores = compute.threads()
    patches = int(bare * SECONDS)
    each = patches // cores
    store = pairs.prepare(folder / "store", net, patches, each // 10)
    found = []
    for kind in _kinds():
        settings: dict[str, Any] = {"epochs": EPOCHS, "patches_per_epoch": each, "batch_size": net.batch}
        settings["precision"] = "bfloat16" if kind else "float32"
        found.append(Contender(ENGINE + kind, partial(engine.speed, store.folder, net.name, cores, **settings)))
        way = steps.all_cores(Way(bfloat16=bool(kind)))
        found.append(Contender(BARE + kind, partial(_bare, net, way)))
    if python.exists():
        _check_same(net, store, python)
        for name, script in PEERS.items():
            for workers in (0,) if name.startswith("Keras") else (0, 2):
                label = name if name.startswith("Keras") else f"{name}, {workers} workers"
                found.append(Contender(label, partial(_peer, script, net, store, python, workers)))
    return found


def _bare(net: Net, way: Way) -> tuple[float, float]:
    measured = steps.speed(net, way, SECONDS)
    return measured.images, measured.peak_mb


def _peer(script: str, net: Net, store: PatchStore, python: Path, workers: int = 0) -> tuple[float, float]:
    answer, peak = _ask(script, net, store, python, workers)
    if answer["parameters"] != parameters(net):
        sys.exit(f"{script}: {net.name} has {answer['parameters']} parameters, in degrain {parameters(net)}")
    return answer["images_per_second"], peak


def _check_same(net: Net, store: PatchStore, python: Path) -> None:
    answer, _ = _ask("same_network", net, store, python)
    if not answer["difference"] < 1e-4:
        sys.exit(f"Keras's {net.name} is another network: its output differs by {answer['difference']:.2g}")


def _ask(script: str, net: Net, store: PatchStore, python: Path, workers: int = 0) -> tuple[dict[str, float], float]:
    told = {"net": net.name, **asdict(net), "folder": str(store.folder / "train"), "epochs": EPOCHS, "workers": workers}
    del told["name"]
    command = processes.module(f"peers.{script}", told, python)
    (answer,), peak = processes.measure([command], PYTHONPATH="src", TF_CPP_MIN_LOG_LEVEL="2")
    return answer, peak


def _compared(net: Net, contenders: Sequence[Contender], rounds: int) -> list[tuple[str, ...]]:
    for _ in range(rounds):
        for contender in contenders:
            contender.take_turn()
    engines = [next(c for c in contenders if c.name == ENGINE + kind) for kind in _kinds()]
    rows = []
    for contender in _best_workers(contenders):
        ratios = [spread(engine.speeds, contender.speeds) if contender is not engine else "1" for engine in engines]
        rows.append((net.name, contender.name, f"{median(contender.speeds):.0f}", *ratios, f"{contender.memory:.0f}"))
    return rows


def _best_workers(contenders: Sequence[Contender]) -> list[Contender]:
    """Leave, of contenders that differ in their number of workers alone, the fastest."""
    best: dict[str, Contender] = {}
    for contender in sorted(contenders, key=lambda contender: median(contender.speeds)):
        best[contender.name.removesuffix("0 workers").removesuffix("2 workers")] = contender
    return [contender for contender in contenders if contender in best.values()]


def spread(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Ratios pair by pair: median (min - max)."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return f"{median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})"
