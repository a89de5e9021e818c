"""What it costs to make a training patch, against its random numbers alone and against a training step; one thread."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from benchmarks import steps
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

BATCH = 32
# What trains on the patches, in bfloat16.
NETS = (
    steps.Net("venkataraman2022", 28, 1, BATCH),
    steps.Net("bernier2021", 48, 1, BATCH),
    steps.Net("resunet-small", 64, 3, BATCH),
)
NOISES: dict[str, Noise] = {
    "gaussian": GaussianNoise(sigma=25.0),
    "shot_read": ShotReadNoise(kind="shot_read", camera="GP-6400"),
    "shot_read, not clipped": ShotReadNoise(kind="shot_read", camera="GP-6400", clip=False),
}


def run(repetitions: int = 9, count: int = 256) -> None:
    compute.prepare_torch("cpu", 1)
    params = load_params(Path(__file__).parent.parent / "params.yaml")
    rows = []
    for net in NETS:
        with tempfile.TemporaryDirectory() as folder:
            store = prepared(Path(folder), params, net.size, net.channels)
            step = 1e6 / steps.speed(net, steps.Way(bfloat16=True)).images_per_cpu
            for noise in NOISES:
                for augment in ("none", "dihedral"):
                    made, *alone = measured(params, store, noise, augment, repetitions, count)
                    spans = span(made), *alone, f"{step:.0f}", f"{median(made) / step:.2f}"
                    rows.append((f"{net.size}x{net.size}x{net.channels}", noise, augment, *spans))
    of_step = ("a training step", "ratio")
    table(
        ("patch", "noise", "augmentation", "us a patch, median (min - max)", "its numbers alone", "ratio", *of_step),
        rows,
    )


def measured(
    params: Params, store: PatchStore, noise: str, augment: str, repetitions: int, count: int
) -> tuple[list[float], str, str]:
    """Return the microseconds a patch of each repetition, and texts: those of the numbers alone, and the ratio."""
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
    return times, f"{median(floor for _, floor in pairs):.1f}", f"{median(made / floor for made, floor in pairs):.2f}"


def span(times: list[float]) -> str:
    return f"{median(times):.1f} ({min(times):.1f} - {max(times):.1f})"


def numbers(noise: str, clean: np.ndarray) -> Callable[[], object]:
    """Draw as many random numbers as the noise of a batch takes, and do nothing with them."""
    draw = np.random.Generator(np.random.Philox(0))
    if noise == "gaussian":
        return lambda: draw.standard_normal(clean.shape, np.float32)
    if noise == "shot_read":
        return lambda: draw.integers(1 << 32, size=clean.shape, dtype=np.uint32)
    return lambda: (
        draw.integers(1 << 32, size=clean.shape, dtype=np.uint32),
        draw.random(clean.shape, np.float32),
        draw.standard_normal(clean.shape, np.float32),
    )


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
