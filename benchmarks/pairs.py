"""A prepared store of real pairs: generated photographs and the same with noise, cut into patches."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import OWN_IMAGES
from benchmarks.steps import Net
from degrain.ingest.datasets import listing, manifest
from degrain.ingest.formats.containers import Containers
from degrain.params.prepare import PrepareParams
from degrain.patches import preparation
from degrain.patches.store import PatchStore

PER_SIDE = 8
PER_IMAGE = PER_SIDE**2


def prepare(folder: Path, net: Net, train: int, val: int) -> PatchStore:
    """Prepare so many training and validation patches, rounded up to whole images, in a new folder."""
    sides = {"train": -(-train // PER_IMAGE), "val": -(-val // PER_IMAGE), "test": 1}
    names = {side: [f"{side}{i:03}" for i in range(images)] for side, images in sides.items()}
    params = PrepareParams.model_validate(
        {
            "patch_size": net.size,
            "stride": net.size,
            "whole_images": 0,
            "split": {"val": names["val"], "test": names["test"]},
            "noise": {"kind": "real"},
        }
    )
    folder.mkdir()
    with tempfile.TemporaryDirectory() as raw:
        every = [name for side in names.values() for name in side]
        for seed, name in enumerate(every):
            _write_pair(Path(raw), name, net, seed)
        rows = [(f"{name}-{side}.png", side == "noisy", {"source": name}) for name in every for side in SIDES]
        with Containers(Path(raw)) as containers:
            preparation.fill(
                folder, containers, manifest.build(containers, listing.pair(rows))[0], params, OWN_IMAGES, ""
            )
    return PatchStore.open(folder)


SIDES = ("clean", "noisy")


def _write_pair(folder: Path, name: str, net: Net, seed: int) -> None:
    draw = np.random.default_rng(seed)
    side = net.size * PER_SIDE
    y, x = np.mgrid[0:side, 0:side, 0:1][:2] / 32
    waves = sum(np.sin(draw.uniform(0.1, 3) * x + draw.uniform(0.1, 3) * y + draw.uniform(0, 6)) for _ in range(4))
    clean = 128 + 25 * waves + 10 * draw.standard_normal(net.channels)
    for which, pixels in zip(SIDES, (clean, clean + 25 * draw.standard_normal(clean.shape)), strict=True):
        image = np.clip(pixels, 0, 255).astype(np.uint8)
        Image.fromarray(image[..., 0] if net.channels == 1 else image).save(folder / f"{name}-{which}.png")
