"""Median filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from degrain.baselines.base import Baseline


def denoise(noisy: np.ndarray, sigma: float, chosen: Mapping[str, Any]) -> np.ndarray:  # noqa: ARG001
    """Denoise one image, see `Baseline.denoise`."""
    size = chosen["size_px"]
    return np.asarray(ndimage.median_filter(noisy, (size, size, 1)))


BASELINE = Baseline(
    name="median",
    title="Median filter",
    source="Tukey 1977",
    candidates={"size_px": (3, 5, 7)},
    denoise=denoise,
)
