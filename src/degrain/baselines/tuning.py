"""Running a classical denoiser over images, and the choice of its parameters."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from degrain import catalogs
from degrain.baselines.base import Baseline
from degrain.errors import ParamsError
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
        ParamsError: A pixel is no finite number.
    """
    denoise = baseline.denoise

    def one(image: np.ndarray) -> np.ndarray:
        denoised = denoise(to_unit(image), max(sigma, FAINTEST) / 255, chosen)
        if not np.isfinite(denoised).all():
            file = catalogs.file_of_function(denoise)
            raise ParamsError(f"{file}: {baseline.name} makes pixels that are no finite numbers")
        # NOTE: some of them drop the channel axis of gray images.
        return from_unit(denoised.reshape(image.shape), depth(noisy))

    with ThreadPoolExecutor(compute.threads()) as pool:
        return np.stack(list(pool.map(one, noisy)))


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
