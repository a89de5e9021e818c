"""Noise of camera sensors, with the noise-level functions that were measured for SIDD.

Source: Abdelhamed, Lin, Brown, "A high-quality denoising dataset for smartphone cameras", CVPR 2018, section 4, and its
noise_level_functions.csv; Foi, Trimeche, Katkovnik, Egiazarian, TIP 2008 (the Poissonian-Gaussian model).
"""

from __future__ import annotations

import numpy as np

from degrain.params.noise import ShotReadNoise
from degrain.randomness import Draws

# Phone and ISO -> beta1 and beta2 of R, G and B, white = 1: variance = beta1 * light + beta2.
SIDD: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "S6-100": ((4.79e-4,), (0.0,)),
    "S6-800": ((3.70e-3,), (0.0,)),
    "N6-100": ((4.73e-4,), (2.8e-6,)),
    "G4-100": ((7.39e-4,), (0.0,)),
    "IP-100": ((7.02e-4, 6.62e-4, 7.09e-4), (3.3e-6,)),
    "GP-800": ((1.76e-3,), (1.2e-5,)),
    "GP-6400": ((1.41e-2,), (7.2e-4,)),
    "GP-10000": ((2.19e-2,), (1.75e-3,)),
}


def betas(params: ShotReadNoise) -> tuple[np.ndarray, np.ndarray]:
    """Return beta1 and beta2, float64 of shape (1,) or (3,)."""
    if params.camera is not None:
        beta1, beta2 = SIDD[params.camera]
        return np.array(beta1), np.array(beta2)
    return np.atleast_1d(params.beta1 or 0.0), np.atleast_1d(params.beta2 or 0.0)


def expose(light: np.ndarray, beta1: np.ndarray, beta2: np.ndarray, draws: Draws) -> np.ndarray:
    """Draw what a sensor reads.

    Args:
        light: float32 (N, height, width, channels), linear, white = 1, not negative.
        beta1: Variance per unit of light; 1/beta1 is the number of electrons at white. Of shape (1,) or (channels,).
        beta2: Variance in the dark, likewise.
        draws: One generator for each patch.

    Returns:
        float32 of the same shape, unbounded: mean light, variance beta1 * light + beta2, third central moment
        beta1**2 * light.
    """
    lit = np.flatnonzero(np.broadcast_to(beta1, light.shape[-1:]) > 0)
    per_light = np.where(beta1 > 0, beta1, 1.0)
    shot = light / per_light
    read = np.empty(light.shape)
    for electrons, dark, draw in zip(shot, read, draws, strict=True):
        for channel in lit:
            electrons[..., channel] = draw.poisson(electrons[..., channel])
        draw.standard_normal(out=dark)
    shot *= per_light
    read *= np.sqrt(beta2)
    shot += read
    return shot.astype(np.float32)


def to_linear(values: np.ndarray) -> np.ndarray:
    """Undo the sRGB curve (IEC 61966-2-1): float32 in [0, 1] to linear light."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)


def from_linear(light: np.ndarray) -> np.ndarray:
    """Apply the sRGB curve; below black its linear part goes on, so that noise there keeps its sign."""
    curved = 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, curved).astype(np.float32)
