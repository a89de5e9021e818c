"""Peak memory of a small and of a large grid: it must not grow with the number of trials."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks import engine, pairs
from benchmarks.common import table
from benchmarks.steps import NETS


def run(nets: str = "sinha2018", patches: int = 640) -> None:
    rows = []
    for name in nets.split(","):
        with tempfile.TemporaryDirectory() as folder:
            store = pairs.prepare(Path(folder) / "store", NETS[name], patches, patches // 10)
            for trials in (4, 12):
                _, peak = engine.speed(store.folder, name, trials, epochs=2, batch_size=NETS[name].batch)
                rows.append((name, trials, f"{peak:.0f}"))
    print("Of all processes; pages that they share are counted in each.\n")
    table(("network", "trials", "peak memory, MB"), rows)
