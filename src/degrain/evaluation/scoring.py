"""Scoring every method on the same held-out patches and photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from degrain.baselines import catalog as baselines
from degrain.evaluation.sharpening import sharpen, sharpened_name
from degrain.inference.denoiser import Denoiser
from degrain.metrics import catalog as metrics
from degrain.patches.store import PatchStore, Photograph, Split
from degrain.pixels import depth, from_unit, to_levels, to_unit

# Parameters of the classical denoisers are chosen on so many validation patches at most, evenly spaced.
TUNING_PATCHES = 512
# Patches are scored so many numbers at a time: what they become on the way takes about ten times their memory.
PART = 20_000_000

COLUMNS = ["method", "kind", "split", "item", "image", "psnr", "ssim"]


@dataclass(frozen=True)
class Method:
    """Something that denoises.

    Attributes:
        name: In tables and files.
        kind: "identity", "baseline", "trial" or "sharpened".
        patches: From noisy (N, H, W, C), uint8, uint16 or float in 8-bit levels, to uint8 (uint16 for uint16).
        photograph: The same for one image (H, W, C).
        settings: What was chosen for it.
    """

    name: str
    kind: str
    patches: Callable[[np.ndarray], np.ndarray]
    photograph: Callable[[np.ndarray], np.ndarray]
    settings: dict[str, Any]


def identity() -> Method:
    """Return the method that leaves the noisy image as it is."""

    def clip(noisy: np.ndarray) -> np.ndarray:
        return from_unit(to_unit(noisy), depth(noisy))

    return Method("identity", "identity", clip, clip, {})


def baseline(name: str, val: Split, sigma: float) -> Method:
    """Return a classical denoiser with its parameters chosen on the validation split.

    Args:
        name: Of `degrain.baselines.catalog`.
        val: The validation split.
        sigma: Its `noise_level`.
    """
    noisy, clean = held_out(val)
    few = np.linspace(0, len(clean) - 1, min(len(clean), TUNING_PATCHES)).astype(int)
    chosen = baselines.choose(name, noisy[few], clean[few], sigma)
    return Method(
        name,
        "baseline",
        lambda images: baselines.apply(name, images, sigma, chosen),
        lambda image: baselines.apply(name, image[None], sigma, chosen)[0],
        chosen,
    )


def model(name: str, denoiser: Denoiser, tile: int, overlap: int) -> Method:
    """Return a trained network as a method."""
    return Method(name, "trial", denoiser.patches, lambda noisy: denoiser.image(noisy, tile, overlap), {})


def sharpened(method: Method) -> Method:
    """Return a method whose outputs are sharpened afterwards."""

    def patches(noisy: np.ndarray) -> np.ndarray:
        return sharpen(method.patches(noisy))

    def photograph(noisy: np.ndarray) -> np.ndarray:
        sharp: np.ndarray = sharpen(method.photograph(noisy)[None])[0]
        return sharp

    return Method(sharpened_name(method.name), "sharpened", patches, photograph, {})


def score(method: Method, store: PatchStore, photographs: Sequence[Photograph]) -> pd.DataFrame:
    """Measure a method.

    Args:
        method: What denoises.
        store: Whose val and test patches are denoised.
        photographs: Whole test images; may be none.

    Returns:
        One row per val patch, test patch and photograph, with the columns of `COLUMNS`: psnr in dB, ssim at most 1
        (not measured on val, where only PSNR ranks).
    """
    frames = []
    for split in ("val", "test"):
        side = store.split(split)
        images = side.index["image"]
        for part, noisy, clean in _parts(side):
            outputs = method.patches(noisy)
            ssim = metrics.ssim(outputs, clean) if split == "test" else np.full(len(clean), np.nan)
            frames.append(_frame(method, split, "patch", images[part].tolist(), metrics.psnr(outputs, clean), ssim))
    for image in photographs:
        output, clean = method.photograph(image.noisy)[None], np.asarray(image.clean)[None]
        frames.append(
            _frame(
                method,
                "test",
                "photograph",
                [image.name],
                metrics.psnr(output, clean),
                metrics.ssim(output, clean),
            )
        )
    return pd.concat(frames, ignore_index=True)


def _parts(side: Split) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield a held-out split in parts that memory can hold several times over: which patches, noisy, clean."""
    noisy, clean = held_out(side)
    step = max(1, PART // np.prod(clean.shape[1:], dtype=int))
    for start in range(0, len(clean), step):
        part = slice(start, start + step)
        yield part, noisy[part], clean[part]


def _frame(
    method: Method, split: str, item: str, images: list[str], psnr: np.ndarray, ssim: np.ndarray
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "method": method.name,
            "kind": method.kind,
            "split": split,
            "item": item,
            "image": images,
            "psnr": psnr,
            "ssim": ssim,
        },
        columns=COLUMNS,
    )


def held_out(side: Split) -> tuple[np.ndarray, np.ndarray]:
    """Return (noisy, clean) of a held-out split.

    Raises:
        ValueError: The split has no fixed noise, as train has none.
    """
    if side.noisy is None:
        raise ValueError("this split has no fixed noise")
    return side.noisy, side.clean


def noise_level(side: Split) -> float:
    """Return the standard deviation of noisy minus clean over a held-out split, in 8-bit levels."""
    sums = np.zeros(3)
    for _, noisy, clean in _parts(side):
        difference = to_levels(noisy) - to_levels(clean)
        sums += difference.size, difference.sum(dtype=np.float64), np.square(difference).sum(dtype=np.float64)
    count, total, squares = sums
    return float(np.sqrt(max(0.0, squares / count - (total / count) ** 2)))
