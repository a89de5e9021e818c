"""Manifest and preparation against decoding alone; peak memory; reading a prepared epoch.

Decoding alone is measured twice: as degrain does it, and as is usual, by zipfile and Pillow in a process for each core.

Each measurement is a process of its own, so that its peak memory is its own. The images are generated: many small JPEG
files in a zip, as in FER-2013, and few large PNG pairs, as in SIDD.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.common import OWN_IMAGES, table
from degrain import parallel
from degrain.ingest.datasets import listing, manifest
from degrain.ingest.formats.containers import Containers
from degrain.machine import compute
from degrain.params.prepare import PrepareParams
from degrain.patches import preparation

SMALL, LARGE = 20_000, 12
LARGE_SIDE = 3000  # 9 million pixels; a SIDD photograph has 12 to 16


def run(repetitions: int = 3) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, write in (("small", _write_small), ("large", _write_large)):
            write(folder / name)
            times: dict[str, list[float]] = {}
            memory: dict[str, float] = {}
            for _ in range(repetitions):
                for what in ("decode", "pillow", "manifest", "prepare"):
                    measured = _measure(what, folder / name)
                    times.setdefault(what, []).append(measured["seconds"])
                    memory[what] = max(memory.get(what, 0), measured["peak_mb"])
            alone, usual = median(times["decode"]), median(times["pillow"])
            for what, seconds in times.items():
                ratios = (f"{median(seconds) / by:.2f}" for by in (alone, usual))
                rows.append((name, what, f"{median(seconds):.2f}", *ratios, f"{memory[what]:.0f}"))
        table(("images", "what", "s, median", "against decode", "against pillow", "peak memory, MB"), rows)
        print()
        _epoch(folder)


def _write_small(folder: Path) -> None:
    folder.mkdir()
    draw = np.random.default_rng(0)
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for i in range(SMALL):
            pixels = np.clip(128 + 40 * np.cumsum(draw.standard_normal((48, 48)), 1) / 7, 0, 255).astype(np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
            archive.writestr(f"{i:05}.jpg", buffer.getvalue())


def _write_large(folder: Path) -> None:
    folder.mkdir()
    draw = np.random.default_rng(0)
    ramp = np.linspace(0, 200, LARGE_SIDE, dtype=np.float32)[:, None, None]
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for i in range(LARGE):
            shape = (LARGE_SIDE, LARGE_SIDE, 3)
            clean = np.broadcast_to(ramp + 3 * i, shape) + draw.integers(0, 3, shape)
            for side, pixels in (("clean", clean), ("noisy", clean + 8 * draw.standard_normal(shape, np.float32))):
                buffer = io.BytesIO()
                Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(buffer, "PNG", compress_level=1)
                archive.writestr(f"{side}/{i:02}.png", buffer.getvalue())


def _measure(what: str, folder: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.data", what, str(folder)], check=True, capture_output=True, text=True
    )
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _listed(containers: Containers) -> pd.DataFrame:
    names = containers.names("images.zip")
    if not names[0].startswith(("clean", "noisy")):
        return listing.table({"path": f"images.zip::{name}", "source": name} for name in names)
    return listing.pair((f"images.zip::{name}", name.startswith("noisy"), {"source": name[6:8]}) for name in names)


def _child(what: str, folder: Path) -> None:
    with Containers(folder) as containers, tempfile.TemporaryDirectory() as temporary:
        listed = _listed(containers)
        if what == "prepare":
            listed, _ = manifest.build(containers, listed)
        started = time.perf_counter()
        if what == "decode":
            locators = pd.concat([listed["path"], listed["noisy"].dropna()]).tolist()
            size, pixels = (1, LARGE_SIDE**2) if len(locators) < 1000 else (64, 48**2)
            groups = [locators[i : i + size] for i in range(0, len(locators), size)]
            for _ in parallel.ordered(
                lambda group: [containers.read(name) is None for name in group], groups, parallel.threads_for(pixels)
            ):
                pass
        elif what == "pillow":
            seconds = _pillow(folder)
        elif what == "manifest":
            manifest.build(containers, listed)
        else:
            preparation.fill(
                Path(temporary), containers, listed, _params(bool(listed["noisy"].notna().all())), OWN_IMAGES, ""
            )
        if what != "pillow":
            seconds = time.perf_counter() - started
    # NOTE: getrusage would give the parent's peak where that was higher.
    (peak,) = (line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    print(json.dumps({"seconds": seconds, "peak_mb": int(peak) / 1000}))


def _pillow(folder: Path) -> float:
    """Seconds to decode everything by Pillow in a process for each core; starting them does not count."""
    with zipfile.ZipFile(folder / "images.zip") as archive:
        names = archive.namelist()
    groups = [names[i :: 8 * compute.threads()] for i in range(8 * compute.threads())]
    with ProcessPoolExecutor(compute.threads(), mp_context=get_context("spawn")) as pool:
        list(pool.map(_open, [folder] * compute.threads(), [names[:1]] * compute.threads()))
        started = time.perf_counter()
        list(pool.map(_open, [folder] * len(groups), groups))
        return time.perf_counter() - started


def _open(folder: Path, names: list[str]) -> None:
    with zipfile.ZipFile(folder / "images.zip") as archive:
        for name in names:
            with Image.open(io.BytesIO(archive.read(name))) as image:
                image.load()


def _params(real: bool) -> PrepareParams:
    noise = {"kind": "real"} if real else {"kind": "gaussian", "sigma": 25}
    size = {"patch_size": 64, "crops": 12} if real else {"patch_size": 48}
    return PrepareParams.model_validate({"split": {"val": 0.1, "test": 0.1}, "noise": noise, "whole_images": 4, **size})


def _epoch(folder: Path) -> None:
    """Shuffled batches out of a mapped array against the same out of memory, both warm."""
    patches = np.random.default_rng(0).integers(0, 256, (20_000, 64, 64, 3), dtype=np.uint8)
    np.save(folder / "clean.npy", patches)
    order = np.random.default_rng(1).permutation(len(patches))
    rows = []
    for name, array in (("in memory", patches), ("mapped", np.load(folder / "clean.npy", mmap_mode="r"))):
        times = []
        for _ in range(5):
            started = time.perf_counter()
            for start in range(0, len(order), 64):
                np.stack([array[i] for i in order[start : start + 64]])
            times.append(time.perf_counter() - started)
        best = median(times[1:])
        rows.append((name, f"{best:.2f}", f"{patches.nbytes / best / 1e9:.1f}"))
    table(("an epoch of 20,000 patches 64x64x3", "s, median", "GB/s"), rows)


if __name__ == "__main__":
    _child(sys.argv[1], Path(sys.argv[2]))
