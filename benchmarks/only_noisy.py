"""Training without clean images where they are known: the same network, steps and images with and without them."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import OWN_IMAGES, table
from degrain.baselines.catalog import BASELINES
from degrain.evaluation import methods
from degrain.ingest.datasets import bsd, listing, manifest
from degrain.ingest.formats import writing
from degrain.ingest.formats.containers import Containers
from degrain.ingest.formats.picture import Picture
from degrain.machine import compute
from degrain.metrics.psnr import psnr
from degrain.params.data import DataParams
from degrain.params.prepare import PrepareParams
from degrain.params.train import TrainParams
from degrain.patches import preparation
from degrain.patches.store import PatchStore

# From an image, white = 1, to the same with noise, not clipped; and where white is stored, white of the file = 1.
Noise = Callable[[np.ndarray, np.random.Generator], np.ndarray]
NOISES: Mapping[str, tuple[Noise, float]] = {
    "Gaussian, sigma 25": (lambda clean, draw: clean + 25 / 255 * draw.standard_normal(clean.shape), 1.0),
    # As a camera at a microscope: the image is stored with room above white, so that nothing is clipped.
    "Poisson, 20 photons at white": (lambda clean, draw: draw.poisson(20 * clean) / 20, 0.4),
}
# NOTE: images of BSD400 have 180 pixels a side, and held-out ones are halved.
PREPARED = {"bits": 16, "patch_size": 80, "crops": 16, "whole_images": 0, "split": {"val": 0.05, "test": 0.02}}


def run(
    steps: int = 2000,
    images: int = 400,
    tested: int = 68,
    model: str = "unet",
    baselines: str = "all",
    noises: str = "",
) -> None:
    """Print PSNR on whole images of BSD68 against the truth.

    Args:
        steps: Of each training, in batches of 16 patches of 80 pixels.
        images: Of BSD400, evenly spaced.
        tested: Of BSD68, evenly spaced.
        model: Name of the network.
        baselines: Names of the classical denoisers, joined by `+`, which are tuned on clean validation patches.
        noises: How the names of the kinds of noise begin; all if empty.
    """
    folder = Path(os.environ.get("DEGRAIN_MIRROR") or "no-mirror") / "denoising"
    if not (folder / "BSD400.zip").is_file():
        sys.exit("only_noisy needs BSD400.zip and BSD68.zip in the folder denoising of DEGRAIN_MIRROR")
    trained_on, tested_on = _images(folder, "train", images), _images(folder, "test", tested)
    names = list(BASELINES) if baselines == "all" else baselines.split("+")
    print(f"{model}, {steps} steps, {len(trained_on)} images of BSD400, {len(tested_on)} of BSD68\n")
    rows: list[list[str]] = []
    for title, (noise, white) in NOISES.items():
        if not title.startswith(noises):
            continue
        pairs = [_pair(clean, noise, white, 1000 + seed) for seed, clean in enumerate(tested_on)]
        with tempfile.TemporaryDirectory() as work:
            for seed, clean in enumerate(trained_on):
                _write(Path(work), f"{seed:03}", *_pair(clean, noise, white, seed))
            rows += _measured(title, white, Path(work), pairs, steps, model, names)
    table(("noise", "method", "PSNR, dB", "seconds of training"), rows)


def _measured(
    title: str, white: float, folder: Path, pairs: Sequence[tuple[np.ndarray, ...]], steps: int, model: str, names: Any
) -> list[list[str]]:
    def score(denoise: Callable[[np.ndarray], np.ndarray]) -> float:
        # NOTE: PSNR is for a peak at the stored white.
        stored = np.mean([psnr(denoise(noisy)[None], clean[None])[0] for clean, noisy in pairs])
        return float(stored + 20 * np.log10(white))

    stores = {kind: _prepared(folder, kind) for kind in ("real", "unknown")}
    rows = [[title, "noisy input", f"{score(lambda noisy: noisy):.2f}", ""]]
    for name in names:
        method = methods.baseline(BASELINES[name], stores["real"].split("val"), stores["real"].noise)
        rows.append([title, BASELINES[name].title, f"{score(method.photograph):.2f}", ""])
    for kind, words in (("real", "clean targets"), ("unknown", "only noisy images")):
        began = time.perf_counter()
        denoise = _trained(stores[kind], steps, model)
        seconds = time.perf_counter() - began
        rows.append([title, f"{model}, {words}", f"{score(denoise):.2f}", f"{seconds:.0f}"])
    return rows


def _trained(store: PatchStore, steps: int, model: str) -> Callable[[np.ndarray], np.ndarray]:
    from degrain.inference.denoiser import Denoiser
    from degrain.training import loop
    from degrain.training.trial import expand

    params = TrainParams.model_validate(
        {
            "models": [model],
            "optimizers": [{"name": "adam", "lr": 0.002, "betas": [0.9, 0.95]}],
            "losses": ["mse"],
            "epochs": 4,
            "patches_per_epoch": 4 * steps,
            "batch_size": 16,
            "schedule": "cosine",
            "warmup_steps": 20,
            "threads": compute.threads(),
        }
    )
    state = loop.train(expand(params, model)[0], store, compute.prepare_torch("cpu", compute.threads()))
    return Denoiser(state.finish(), model, store.channels, store.patch_size).image


def _prepared(folder: Path, kind: str) -> PatchStore:
    """Prepare the noisy images of a folder, with the clean ones or without."""
    raw, prepared = folder / "raw", folder / kind
    params = PrepareParams.model_validate(PREPARED | {"noise": {"kind": kind}})
    files = sorted(path.relative_to(raw).as_posix() for path in raw.rglob("*.png"))
    rows = [(name, name.startswith("noisy"), {"source": Path(name).stem}) for name in files]
    if kind == "real":
        listed = listing.pair(rows)
    else:
        listed = listing.table({"path": name, **of} for name, noisy, of in rows if noisy)
    prepared.mkdir()
    with Containers(raw) as containers:
        preparation.fill(prepared, containers, manifest.build(containers, listed)[0], params, OWN_IMAGES, "")
    return PatchStore.open(prepared)


def _images(folder: Path, part: str, count: int) -> list[np.ndarray]:
    """Gray images, white = 1, evenly spaced over a part of the data set."""
    listed = bsd.BSD.images(folder, DataParams(dataset="bsd"))
    paths = listed["path"][listed["part"] == part].tolist()
    few = np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int)
    with Containers(folder) as containers:
        return [containers.read(paths[place]).pixels / 255 for place in few]


def _pair(clean: np.ndarray, noise: Noise, white: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A clean image and the same with noise: uint16 (H, W, 1)."""
    both = clean, noise(clean, np.random.default_rng(seed))
    stored = [np.rint(65535 * white * np.clip(pixels, 0, 1 / white)).astype(np.uint16) for pixels in both]
    return stored[0], stored[1]


def _write(folder: Path, name: str, clean: np.ndarray, noisy: np.ndarray) -> None:
    for side, pixels in (("clean", clean), ("noisy", noisy)):
        path = folder / "raw" / side / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        writing.write(path, Picture(pixels))
