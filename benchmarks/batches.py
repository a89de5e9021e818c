"""What it costs to make a training patch, against drawing its random numbers alone; one thread."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from benchmarks.common import OWN_IMAGES, table
from degrain.ingest.datasets import listing, manifest
from degrain.ingest.formats.containers import Containers
from degrain.machine import compute
from degrain.noise.base import Noise
from degrain.noise.gaussian import GaussianNoise
from degrain.noise.shot_read import ShotReadNoise
from degrain.params.study import Params, load_params
from degrain.patches import preparation
from degrain.patches.store import PatchStore
from degrain.training.batches import Batches
from degrain.training.trial import expand

PATCHES = ((28, 1), (48, 1), (64, 3))
BATCH = 32
# The sensor's noise level, such that its numbers can be drawn alone: 71 electrons at white, and read noise.
BETA = 1.41e-2
NOISES: dict[str, Noise] = {
    "gaussian": GaussianNoise(sigma=25.0),
    "shot_read": ShotReadNoise(kind="shot_read", beta1=BETA, beta2=7.2e-4),
}


def run(repetitions: int = 9, count: int = 256) -> None:
    compute.prepare_torch("cpu", 1)
    params = load_params(Path(__file__).parent.parent / "params.yaml")
    rows = []
    for size, channels in PATCHES:
        with tempfile.TemporaryDirectory() as folder:
            store = prepared(Path(folder), params, size, channels)
            for noise in NOISES:
                for augment in ("none", "dihedral"):
                    times = measured(params, store, noise, augment, repetitions, count)
                    rows.append((f"{size}x{size}x{channels}", noise, augment, *times))
    table(("patch", "noise", "augmentation", "us a patch, median (min - max)", "its numbers alone", "ratio"), rows)


def measured(
    params: Params, store: PatchStore, noise: str, augment: str, repetitions: int, count: int
) -> tuple[str, str, str]:
    change = {"augment": augment, "batch_size": BATCH, "patches_per_epoch": count}
    settings = params.train.model_copy(update=change)
    prepared_with = store.record.params.model_copy(update={"noise": NOISES[noise]})
    noisy = replace(store, record=store.record.model_copy(update={"params": prepared_with}))
    batches = Batches(expand(settings, settings.models[0])[0], noisy)
    alone = numbers(noise, store.split("train").clean[:BATCH])
    pairs = []
    for epoch in range(repetitions):
        made = seconds(lambda epoch=epoch: [None for _ in batches.epoch(epoch)]) / count  # type: ignore[misc]
        pairs.append((made * 1e6, seconds(alone) / BATCH * 1e6))
    times = [made for made, _ in pairs]
    span = f"{median(times):.1f} ({min(times):.1f} - {max(times):.1f})"
    return span, f"{median(floor for _, floor in pairs):.1f}", f"{median(made / floor for made, floor in pairs):.2f}"


def numbers(noise: str, clean: np.ndarray) -> Callable[[], object]:
    """Draw as many random numbers as the noise of a batch takes, and do nothing with them."""
    draw = np.random.Generator(np.random.Philox(0))
    if noise == "gaussian":
        return lambda: draw.standard_normal(clean.shape, np.float32)
    electrons = (clean / 255) ** 2.2 / BETA
    return lambda: (draw.poisson(electrons), draw.standard_normal(clean.shape))


def seconds(work: Callable[[], object]) -> float:
    """CPU time, which a machine that has other work to do changes less than the time of day."""
    started = time.process_time()
    work()
    return time.process_time() - started


def prepared(folder: Path, params: Params, size: int, channels: int) -> PatchStore:
    """256 patches of a smooth image to train on."""
    waves = np.mgrid[0 : 16 * size, 0 : 16 * size].sum(0)[..., None] / np.arange(20, 20 + channels)
    pixels = (127.5 + 100 * np.sin(waves)).astype(np.uint8)
    (folder / "raw").mkdir()
    for turn, name in enumerate(("train", "val", "test")):
        image = Image.fromarray(np.rot90(pixels, turn).squeeze())
        image.save(folder / "raw" / f"{name}.png")
    split = params.prepare.split.model_copy(update={"by": "source", "val": ["val"], "test": ["test"]})
    change = {"patch_size": size, "stride": size, "crops": 0, "min_std": 0.0, "split": split, "color": "keep"}
    settings = params.prepare.model_copy(update=change)
    (folder / "prepared").mkdir()
    with Containers(folder / "raw") as containers:
        rows = ({"path": f"{name}.png", "source": name} for name in ("train", "val", "test"))
        images, _ = manifest.build(containers, listing.table(rows))
        preparation.fill(folder / "prepared", containers, images, settings, OWN_IMAGES, "0" * 64)
    return PatchStore.open(folder / "prepared")
