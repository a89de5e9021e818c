"""What pays, each alone: other ways to compute the same training step, and threads against processes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from statistics import median

import torch

from benchmarks import steps
from benchmarks.common import table
from benchmarks.steps import NETS, Net, Speed, Way
from benchmarks.training import spread
from degrain.machine import compute
from degrain.machine.precision import has_bfloat16_units

BASE = "as degrain does it in float32"
WAYS: Mapping[str, Way] = {
    BASE: Way(),
    "freed memory given back": Way(keep_memory=False),
    "contiguous": Way(channels_last=False),
    "contiguous, freed memory given back": Way(channels_last=False, keep_memory=False),
    "fresh memory filled with NaN": Way(fill=True),
    "algorithms that need not be deterministic": Way(deterministic=False),
    "PyTorch's default Adam": Way(fused=False),
    "bfloat16": Way(bfloat16=True),
    "torch.compile": Way(compiled=True),
}


def run(rounds: int = 3, nets: str = ",".join(NETS)) -> None:
    chosen = [NETS[name] for name in nets.split(",")]
    missing = _missing()
    ways = {name: way for name, way in WAYS.items() if name not in missing}
    measured = [_rounds(net, ways, rounds) for net in chosen]
    print(f"Images a second of computing time, one thread; {rounds} rounds; ratios to the first line pair by pair.\n")
    head = ("steps", *(f"{net.name}, batch {net.batch}" for net in chosen))
    rows = [(name, *(missing.get(name) or _cell(name, of) for of in measured)) for name in WAYS]
    table(head, [*rows, ("oneDNN Graph", *["serves inference only"] * len(chosen))])
    print()
    _threads(chosen, rounds)


def _missing() -> dict[str, str]:
    """Ways that this machine does not have, and why."""
    missing = {}
    if not has_bfloat16_units(torch.device("cpu")):
        missing["bfloat16"] = "no bf16 units"
    if not shutil.which("c++"):
        missing["torch.compile"] = "no C++ compiler"
    return missing


def _rounds(net: Net, ways: Mapping[str, Way], rounds: int) -> dict[str, list[Speed]]:
    found: dict[str, list[Speed]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(steps.speed(net, way))
    return found


def _cell(name: str, measured: Mapping[str, list[Speed]]) -> str:
    speeds, base = ([speed.images_per_cpu for speed in measured[way]] for way in (name, BASE))
    cell = f"{median(speeds):.0f}" + (f": {spread(speeds, base)}" if name != BASE else "")
    first = median(speed.first_step for speed in measured[name])
    return cell + (f", first step {first:.0f} s" if WAYS[name].compiled else "")


def _threads(nets: list[Net], rounds: int) -> None:
    """One process with a thread on each core against as many processes of one thread."""
    cores = compute.threads()
    rows = []
    for net in nets:
        measured = _rounds(net, {"one": Way(threads=cores), "many": Way(processes=cores)}, rounds)
        one, many = ([speed.images for speed in measured[name]] for name in ("one", "many"))
        rows.append((net.name, f"{median(one):.0f}", f"{median(many):.0f}", spread(many, one)))
    print("Images a second in all.\n")
    head = ("network", f"1 process, {cores} threads", f"{cores} processes, 1 thread each", "ratio, pair by pair")
    table(head, rows)
