"""Filling the patch store: split by source, cut, and make the held-out part noisy once and for all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd

from degrain import files
from degrain.errors import DataError
from degrain.images import patches, reading, splits, store
from degrain.noise import kinds
from degrain.params import PrepareParams
from degrain.randomness import generator


def fill(
    folder: Path,
    raw: Path,
    manifest: pd.DataFrame,
    params: PrepareParams,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, int]:
    """Write a store.

    Args:
        folder: An empty folder.
        raw: The downloaded data set.
        manifest: One row per image that may be used: path, source, channels.
        params: Patch size, stride, split and noise.
        progress: Called after each image.

    Returns:
        The number of patches of each split.

    Raises:
        DataError: A split has no patch, or the images have different numbers of channels.
        ParamsError: The split names a source that is not there.
    """
    channels = sorted(set(manifest["channels"]))
    if len(channels) != 1:
        raise DataError(f"all images of a study must have the same number of channels, not {channels}")
    sides = splits.assign(list(manifest["source"]), params.split, params.seed)
    counts = {}
    for split in splits.SPLITS:
        rows = manifest[[sides[source] == split for source in manifest["source"]]]
        counts[split] = _fill_split(folder, split, raw, rows, int(channels[0]), params, progress)
        if not counts[split]:
            raise DataError(
                f"the {split} split has no patch of {params.patch_size} pixels: its images are smaller, "
                "or prepare.min_std is too high"
            )
    files.write_json(
        folder / store.STORE,
        {
            "patch_size": params.patch_size,
            "channels": int(channels[0]),
            "noise": params.noise.model_dump(),
            "seed": params.seed,
            "counts": counts,
            "sources": {split: sorted(s for s, side in sides.items() if side == split) for split in splits.SPLITS},
            "sha256": store.content_digest(folder),
        },
    )
    return counts


def _fill_split(
    folder: Path,
    split: str,
    raw: Path,
    rows: pd.DataFrame,
    channels: int,
    params: PrepareParams,
    progress: Callable[[], None],
) -> int:
    held_out = split != "train"
    target = folder / split
    target.mkdir()
    shape = (params.patch_size, params.patch_size, channels)
    index = []
    with ExitStack() as stack:
        clean = stack.enter_context(store.PatchWriter(target / "clean.npy", shape, np.dtype(np.uint8)))
        if held_out:
            dtype = kinds.noisy_dtype(params.noise)
            noisy = stack.enter_context(store.PatchWriter(target / "noisy.npy", shape, dtype))
        for path, source in zip(rows["path"], rows["source"], strict=True):
            pixels = patches.to_8_bits(reading.read(raw / path).pixels)
            for top, left in patches.grid(pixels.shape[:2], params.patch_size, params.stride):
                patch = pixels[top : top + params.patch_size, left : left + params.patch_size]
                if not held_out and patch.std() < params.min_std:
                    continue
                if held_out:
                    draw = generator(params.seed, f"{split} noise", clean.rows)
                    noisy.append(kinds.add(params.noise, patch, draw))
                clean.append(patch)
                index.append((path, source, top, left))
            if split == "test":
                _keep_whole(folder / "photographs" / Path(path).stem, path, pixels, params)
            progress()
    pd.DataFrame(index, columns=["image", "source", "top", "left"]).to_parquet(target / "index.parquet", index=False)
    return len(index)


def _keep_whole(folder: Path, path: str, pixels: np.ndarray, params: PrepareParams) -> None:
    folder.mkdir(parents=True)
    np.save(folder / "clean.npy", pixels)
    np.save(
        folder / "noisy.npy",
        kinds.add(params.noise, pixels, generator(params.seed, f"photograph noise {path}")),
    )
