"""The pictures of the report: test patches and whole photographs, before and after, and the way between codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from degrain.evaluation import held_out, interpolation, methods
from degrain.evaluation.measurement import Measurement
from degrain.evaluation.methods import Method
from degrain.inference.denoiser import Denoiser
from degrain.inference.visible import to_srgb
from degrain.ingest.formats import writing
from degrain.ingest.formats.picture import Picture
from degrain.patches.store import PatchStore
from degrain.pixels import Light, from_levels, to_8_bits, to_levels

# Between two frames of an animation, in milliseconds.
FRAME_TIME = 50


def patches(store: PatchStore, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose test patches that are shown: noisy and clean, each (count, size, size, channels)."""
    noisy, clean = held_out.pairs(store.split("test"))
    chosen = _detailed(clean, count)
    return noisy[chosen], clean[chosen]


def write(folder: Path, store: PatchStore, measured: Measurement, clean: np.ndarray) -> None:
    """Write examples as PNG files.

    Args:
        folder: Gets patches/<nn>/{clean,noisy,<method>}.png and photographs/<name>/{clean,noisy,denoised}.png.
        store: Where the test patches and the whole test images come from.
        measured: Has what each method makes of the patches, and the champion, which denoises the photographs.
        clean: What these patches were before, see `patches`.
    """
    visible = methods.identity().patches
    light = store.record.light
    columns = {"clean": clean, "noisy": measured.pictured["identity"], **measured.pictured}
    for name, outputs in columns.items():
        for place, patch in enumerate(outputs):
            _save(folder / "patches" / f"{place:02}" / f"{name}.png", patch, light)
    for photograph in store.photographs():
        place_of = folder / "photographs" / photograph.name
        _save(place_of / "clean.png", photograph.clean, light)
        _save(place_of / "noisy.png", visible(photograph.noisy[None])[0], light)
        _save(place_of / "denoised.png", measured.champion.photograph(photograph.noisy), light)


def write_side_by_side(folder: Path, store: PatchStore, compared: Sequence[Method], count: int = 8) -> None:
    """Write each whole test image, or some test patches where there is none: noisy, what methods make of it, clean.

    Args:
        folder: Gets a PNG file for each.
        store: Where they come from.
        compared: The methods, from left to right.
        count: How many patches.
    """
    visible = methods.identity().patches
    light = store.record.light
    photographs = store.photographs()
    for photograph in photographs:
        outputs = [method.photograph(photograph.noisy) for method in compared]
        noisy = visible(photograph.noisy[None])[0]
        _save(folder / f"{photograph.name}.png", np.concatenate([noisy, *outputs, photograph.clean], axis=1), light)
    if not photographs:
        noisy, clean = patches(store, count)
        columns = [visible(noisy), *(method.patches(noisy) for method in compared), clean]
        for place, row in enumerate(zip(*columns, strict=True)):
            _save(folder / f"patch-{place:02}.png", np.concatenate(row, axis=1), light)


def write_animations(folder: Path, store: PatchStore, denoisers: Mapping[str, Denoiser], count: int) -> None:
    """Write the way between the codes of three test patches as an endless animation.

    Args:
        folder: Gets <name>.gif for each network that has a code of whole images.
        store: Where the test patches come from.
        denoisers: By name.
        count: How many frames; 0 is no animation.
    """
    coded = {name: denoiser for name, denoiser in denoisers.items() if interpolation.coder(denoiser.network)}
    noisy, clean = held_out.pairs(store.split("test"))
    if not coded or not count or len(clean) < 3:
        return
    chosen = _detailed(clean, 3)
    folder.mkdir(parents=True)
    for name, denoiser in coded.items():
        frames = interpolation.frames(denoiser, noisy[chosen], count)
        first, *others = (Image.fromarray(_visible(frame, store.record.light).squeeze()) for frame in frames)
        first.save(folder / f"{name}.gif", save_all=True, append_images=others, duration=FRAME_TIME, loop=0)


def _detailed(clean: np.ndarray, count: int) -> np.ndarray:
    """Choose patches from the more detailed half, evenly spaced by contrast, since flat ones show nothing.

    Where that half has too few, the next ones are taken.
    """
    by_contrast = np.argsort([patch.std() for patch in clean], kind="stable")
    count = min(count, len(clean))
    first = min(len(clean) // 2, len(clean) - count)
    chosen: np.ndarray = by_contrast[np.linspace(first, len(clean) - 1, count).astype(int)]
    return chosen


def _save(path: Path, pixels: np.ndarray, light: Light) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    writing.write(path, Picture(_visible(np.asarray(pixels), light)))


def _visible(pixels: np.ndarray, light: Light) -> np.ndarray:
    """What a person can look at, as 8-bit gray or RGB: light by sRGB's curve, of a mosaic the mean of its greens."""
    if pixels.shape[2] == 4:
        planes = to_levels(pixels)
        greens = planes[..., 1:3].mean(axis=2)
        pixels = from_levels(np.dstack([planes[..., 0], greens, planes[..., 3]]), pixels.dtype)
    return to_srgb(pixels) if light == "linear" else to_8_bits(pixels)
