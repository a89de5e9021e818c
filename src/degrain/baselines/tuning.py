"""Running a classical denoiser over images, and the choice of its parameters."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import numpy as np

from degrain import catalogs
from degrain.baselines.base import Baseline
from degrain.machine import compute
from degrain.metrics.psnr import psnr
from degrain.pixels import depth, from_unit, to_unit

# Least standard deviation of the noise, in 8-bit levels, which changes no 16-bit level: some filters divide by it.
FAINTEST = 1e-3


def apply(baseline: Baseline, noisy: np.ndarray, sigma: float, chosen: Mapping[str, Any]) -> np.ndarray:
    """Denoise images with a classical denoiser, all cores at once.

    Args:
        baseline: Which.
        noisy: (N, H, W, C) uint8, uint16, or float in 8-bit levels.
        sigma: Standard deviation of the noise, in 8-bit levels; 0 is taken for `FAINTEST`.
        chosen: A value for each of its parameters.

    Returns:
        uint8, or uint16 for uint16 input (N, H, W, C), by the metric protocol.

    Raises:
        ParamsError: It fails, see `denoised`.
    """

    def one(image: np.ndarray) -> np.ndarray:
        return from_unit(denoised(baseline, to_unit(image), max(sigma, FAINTEST) / 255, chosen), depth(noisy))

    with ThreadPoolExecutor(compute.threads()) as pool:
        return np.stack(list(pool.map(one, noisy)))


def denoised(baseline: Baseline, noisy: np.ndarray, sigma: float, chosen: Mapping[str, Any]) -> np.ndarray:
    """Denoise one image with a classical denoiser.

    Args:
        baseline: Which.
        noisy: float32 (H, W, C) in [0, 1].
        sigma: Standard deviation of the noise, in the same units.
        chosen: A value for each of its parameters.

    Returns:
        The same shape, in the same units, not clipped.

    Raises:
        ParamsError: It fails, returns another shape or a pixel that is no finite number; the message begins with its
            file.
    """
    file = catalogs.file_of_function(baseline.denoise)
    name = f"{baseline.name} with {', '.join(f'{key}={value}' for key, value in chosen.items())}"
    with catalogs.blaming(file, name):
        pixels = np.asarray(baseline.denoise(noisy, sigma, MappingProxyType(dict(chosen))))
        # NOTE: some drop the channel axis of gray images.
        if noisy.shape[2] == 1 and pixels.ndim == 2:
            pixels = pixels[..., None]
        catalogs.require_shape(file, name, pixels.shape, noisy.shape)
        catalogs.require_finite(file, name, pixels)
    return pixels


def choose(baseline: Baseline, noisy: np.ndarray, clean: np.ndarray, sigma: float) -> dict[str, Any]:
    """Choose a baseline's parameters: those with the best mean PSNR.

    Args:
        baseline: Which.
        noisy: Validation patches (N, H, W, C), uint8, uint16 or float in 8-bit levels.
        clean: uint8 or uint16, the same shape.
        sigma: Standard deviation of the noise, in 8-bit levels.

    Returns:
        A value for each parameter.
    """
    candidates = baseline.candidates
    settings = [dict(zip(candidates, values, strict=True)) for values in itertools.product(*candidates.values())]
    return max(settings, key=lambda chosen: float(psnr(apply(baseline, noisy, sigma, chosen), clean).mean()))
