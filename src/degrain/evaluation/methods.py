"""What denoises: networks, classical denoisers, and the noisy input itself, behind one interface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from degrain.artifacts.trial import TrialRecord
from degrain.baselines import tuning
from degrain.baselines.base import Baseline
from degrain.evaluation.held_out import noise_level, pairs
from degrain.evaluation.sharpening import sharpen, sharpened_name
from degrain.inference.denoiser import Denoiser
from degrain.noise.base import Noise
from degrain.patches.store import Split
from degrain.pixels import depth, from_unit, to_unit

# Parameters of the classical denoisers are chosen on so many validation patches at most, evenly spaced.
TUNING_PATCHES = 512


@dataclass(frozen=True)
class Method:
    """Something that denoises.

    Attributes:
        name: In tables and files.
        kind: "identity", "baseline", "trial" or "sharpened".
        patches: From noisy (N, H, W, C), uint8, uint16 or float in 8-bit levels, to uint8 (uint16 for uint16).
        photograph: The same for one image (H, W, C).
        settings: What was chosen for it.
        trial: What is recorded of the network's training, in the very folder that its weights come from; None where
            there is no network.
    """

    name: str
    kind: str
    patches: Callable[[np.ndarray], np.ndarray]
    photograph: Callable[[np.ndarray], np.ndarray]
    settings: dict[str, Any]
    trial: TrialRecord | None = None


def identity() -> Method:
    """Return the method that leaves the noisy image as it is."""

    def clip(noisy: np.ndarray) -> np.ndarray:
        return from_unit(to_unit(noisy), depth(noisy))

    return Method("identity", "identity", clip, clip, {})


def baseline(declared: Baseline, val: Split, noise: Noise) -> Method:
    """Return a classical denoiser with its parameters chosen on the validation split."""
    sigma = noise_level(val, noise)
    noisy, clean = pairs(val)
    few = np.linspace(0, len(clean) - 1, min(len(clean), TUNING_PATCHES)).astype(int)
    chosen = tuning.choose(declared, noisy[few], clean[few], sigma)
    return Method(
        declared.name,
        "baseline",
        lambda images: tuning.apply(declared, images, sigma, chosen),
        lambda image: tuning.apply(declared, image[None], sigma, chosen)[0],
        chosen,
    )


def network(name: str, denoiser: Denoiser, tile: int, overlap: int) -> Method:
    """Return a trained network as a method."""
    return Method(
        name, "trial", denoiser.patches, lambda noisy: denoiser.image(noisy, tile, overlap), {}, denoiser.trial
    )


def sharpened(method: Method) -> Method:
    """Return a method whose outputs are sharpened afterwards."""

    def patches(noisy: np.ndarray) -> np.ndarray:
        return sharpen(method.patches(noisy))

    def photograph(noisy: np.ndarray) -> np.ndarray:
        sharp: np.ndarray = sharpen(method.photograph(noisy)[None])[0]
        return sharp

    return Method(sharpened_name(method.name), "sharpened", patches, photograph, {}, method.trial)
