"""What the models that ship do to real photographs that they never saw, beside classical denoisers; and their speed.

The pairs come from DEGRAIN_MIRROR: SIDD's phones at native pixels and shrunk. Classical denoisers are told the noise of
each picture, and get the parameters that are best for each set of pictures; the models are told nothing.
"""

from __future__ import annotations

import io
import itertools
import os
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks import common
from degrain.baselines import tuning
from degrain.baselines.catalog import BASELINES
from degrain.inference.denoiser import Denoiser
from degrain.ingest.datasets.free_photographs import ARCHIVE, FREE_PHOTOGRAPHS
from degrain.machine import compute
from degrain.machine.precision import for_inference
from degrain.metrics.psnr import psnr
from degrain.patches import splits
from degrain.shipped import catalog
from degrain.studies import gallery

Pairs = list[tuple[np.ndarray, np.ndarray]]
# Least and most PSNR of SIDD's shrunk photographs in each row.
NOISY, MIDDLING, GOOD = (0, 28), (28, 34), (34, 60)
# Of each set of pictures so many tune a classical denoiser.
TUNED = 12


def run(
    models: str = "", classics: str = "tv,nlm,bilateral", precision: str = "float32", keep_texture: str = "yes"
) -> None:
    on = compute.prepare_torch("cpu", compute.threads())
    names = models.split(",") if models else catalog.names()
    denoisers = {name: replace(load(name, precision, on), keeps_texture=keep_texture == "yes") for name in names}
    mirror = Path(os.environ["DEGRAIN_MIRROR"])
    sets = {"phones, native pixels": _native(mirror)} | _shrunk(mirror)
    rows = []
    for title, pairs in sets.items():
        before = [_psnr(noisy, clean) for noisy, clean in pairs]
        networks = {name: denoiser.image for name, denoiser in denoisers.items()}
        for name, method in (networks | _classics(filter(None, classics.split(",")), pairs)).items():
            gains = [_psnr(method(noisy), clean) - one for (noisy, clean), one in zip(pairs, before, strict=True)]
            rows.append(
                (title, len(pairs), f"{median(before):.1f}", name, f"{median(gains):+.2f}", f"{min(gains):+.2f}")
            )
    common.table(("pictures", "how many", "noisy, dB", "method", "gain, median dB", "least"), rows)
    print("\nClean photographs that the models have not seen, and speed on 2048x2048 pixels:\n")
    clean = _clean(mirror)
    measured = []
    for name, denoiser in denoisers.items():
        made = [(denoiser.image(image), image) for image in clean]
        shift = max(np.abs(one.mean((0, 1)) - other.mean((0, 1))).max() for one, other in made)
        ratios = [_psnr(one, other) for one, other in made]
        size = (catalog.folder(name) or Path(name)) / "weights.safetensors"
        measured.append(
            (
                name,
                len(clean),
                f"{median(ratios):.1f}",
                f"{min(ratios):.1f}",
                f"{shift:.2f}",
                f"{common.megapixels_a_second(denoiser, 2048):.2f}",
                f"{size.stat().st_size / 1e6:.2f}",
            )
        )
    common.table(
        ("model", "clean", "PSNR, median", "least", "color shift, levels", "megapixels a second", "weights, MB"),
        measured,
    )


def load(name: str, precision: str, on: torch.device) -> Denoiser:
    """Load a model that ships, by its name, or one in a folder."""
    chosen = for_inference(precision, on)
    if name in catalog.names():
        return Denoiser.ready(name, on, chosen)
    return Denoiser.load(Path(name), on, chosen)


def _classics(names: Iterable[str], pairs: Pairs) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """The classical denoisers, each with the parameters of the best median gain over the first pairs."""
    sigmas = {noisy.tobytes(): float(np.sqrt(((noisy - clean.astype(float)) ** 2).mean())) for noisy, clean in pairs}

    def method(name: str) -> Callable[[np.ndarray], np.ndarray]:
        declared = BASELINES[name]

        def with_(chosen: dict[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
            return lambda noisy: tuning.apply(declared, noisy[None], sigmas[noisy.tobytes()], chosen)[0]

        settings: list[dict[str, Any]] = [
            dict(zip(declared.candidates, values, strict=True))
            for values in itertools.product(*declared.candidates.values())
        ]
        return with_(
            max(settings, key=lambda chosen: median(_psnr(with_(chosen)(one), other) for one, other in pairs[:TUNED]))
        )

    return {name: method(name) for name in names}


def _native(mirror: Path) -> Pairs:
    with zipfile.ZipFile(mirror / "sidd" / "sidd-native-crops.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("native/gt/") and name.endswith(".png"))
        return [(_read(archive, name.replace("/gt/", "/noisy/")), _read(archive, name)) for name in names]


def _shrunk(mirror: Path) -> dict[str, Pairs]:
    with zipfile.ZipFile(mirror / "sidd" / "SIDD_Small_sRGB_Only.zip") as archive:
        names = sorted(name for name in archive.namelist() if "GT_SRGB" in name)
        pairs = [(_read(archive, name.replace("GT_SRGB", "NOISY_SRGB")), _read(archive, name)) for name in names]
    return {
        f"phones, shrunk, {least} to {most} dB": found
        for least, most in (NOISY, MIDDLING, GOOD)
        if (found := [pair for pair in pairs if least <= _psnr(*pair) < most])
    }


def _clean(mirror: Path) -> list[np.ndarray]:
    """The free photographs that the study of the models keeps for its test."""
    params = gallery.changed([], catalog.DEFAULT)
    manifest = FREE_PHOTOGRAPHS.images(mirror, params.data)
    tested = manifest["path"][splits.assign(manifest, params.prepare.split, params.prepare.seed).of == "test"]
    with zipfile.ZipFile(mirror / "denoising" / ARCHIVE) as archive:
        return [_read(archive, f"photographs/{name}") for name in tested]


def _read(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB"))


def _psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(psnr(one[None], other[None])[0])
