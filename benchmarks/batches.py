"""What it costs to make a training patch: augmentation and noise, drawn fresh, against reading it alone."""

from __future__ import annotations

import time
from statistics import median

from benchmarks.common import quickstart, table
from degrain.training.batches import Batches
from degrain.training.trial import Trial


def run(repetitions: int = 5) -> None:
    with quickstart() as (params, store):
        rows = []
        for augment in ("none", "dihedral"):
            settings = params.train.model_copy(update={"augment": augment, "batch_size": 16, "patches_per_epoch": 512})
            batches = Batches(Trial("unet", settings.optimizers[0], "mse", 0, settings), store)
            times = []
            for epoch in range(repetitions):
                started = time.perf_counter()
                for _ in batches.epoch(epoch):
                    pass
                times.append((time.perf_counter() - started) / 512 * 1e6)
            rows.append((augment, f"{median(times):.0f}", f"{min(times):.0f} - {max(times):.0f}"))
    table(("augmentation", "us a patch, median", "min - max"), rows)
