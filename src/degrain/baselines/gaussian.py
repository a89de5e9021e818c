"""Gaussian filter: the linear low pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from degrain.baselines.base import Baseline


def denoise(noisy: np.ndarray, sigma: float, chosen: Mapping[str, Any]) -> np.ndarray:  # noqa: ARG001
    """Denoise one image, see `Baseline.denoise`."""
    width = chosen["sigma_px"]
    return np.asarray(ndimage.gaussian_filter(noisy, (width, width, 0)))


BASELINE = Baseline(
    name="gaussian",
    title="Gaussian filter",
    source="linear",
    candidates={"sigma_px": (0.6, 0.8, 1.0, 1.2, 1.5, 2.0)},
    denoise=denoise,
)
