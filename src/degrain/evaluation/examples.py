"""The pictures of the report: test patches and whole photographs, before and after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from degrain.depth import from_levels, to_8_bits, to_levels
from degrain.evaluation import scoring
from degrain.formats import reading
from degrain.images.store import PatchStore


def write(
    folder: Path, store: PatchStore, shown: Mapping[str, scoring.Method], champion: scoring.Method, count: int
) -> None:
    """Write examples as PNG files.

    Args:
        folder: Gets patches/<nn>/{clean,noisy,<method>}.png and photographs/<name>/{clean,noisy,denoised}.png.
        store: Where the test patches and the whole test images come from.
        shown: The methods whose patches are shown, by name.
        champion: The method that denoises the photographs.
        count: How many patches: from the more detailed half, evenly spaced by contrast, since flat ones show nothing.
    """
    noisy, clean = scoring.held_out(store.split("test"))
    visible = scoring.identity().patches
    by_contrast = np.argsort([patch.std() for patch in clean], kind="stable")
    chosen = by_contrast[np.linspace(len(clean) // 2, len(clean) - 1, min(count, len(clean))).astype(int)]
    columns = {"clean": clean[chosen], "noisy": visible(noisy[chosen])}
    columns |= {name: method.patches(noisy[chosen]) for name, method in shown.items()}
    for name, patches in columns.items():
        for place, patch in enumerate(patches):
            _save(folder / "patches" / f"{place:02}" / f"{name}.png", patch)
    for photograph in store.photographs():
        place_of = folder / "photographs" / photograph.name
        _save(place_of / "clean.png", photograph.clean)
        _save(place_of / "noisy.png", visible(photograph.noisy[None])[0])
        _save(place_of / "denoised.png", champion.photograph(photograph.noisy))


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    reading.write(path, reading.Picture(_visible(np.asarray(pixels))))


def _visible(pixels: np.ndarray) -> np.ndarray:
    """What a person can look at, as 8-bit gray or RGB: of a Bayer mosaic the mean of its two greens."""
    if pixels.shape[2] == 4:
        planes = to_levels(pixels)
        greens = planes[..., 1:3].mean(axis=2)
        pixels = from_levels(np.dstack([planes[..., 0], greens, planes[..., 3]]), np.dtype(np.uint8))
    return to_8_bits(pixels)
