"""Bilateral filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from degrain.baselines.base import Baseline


def denoise(noisy: np.ndarray, sigma: float, chosen: Mapping[str, Any]) -> np.ndarray:
    """Denoise one image, see `Baseline.denoise`."""
    # NOTE: OpenCV takes one or three channels; a Bayer mosaic goes through plane by plane.
    planes = [noisy] if noisy.shape[2] in (1, 3) else np.split(noisy, noisy.shape[2], axis=2)
    return np.dstack(
        [
            cv2.bilateralFilter(np.ascontiguousarray(plane), 0, chosen["range"] * sigma, chosen["sigma_px"])
            for plane in planes
        ]
    )


BASELINE = Baseline(
    name="bilateral",
    title="Bilateral filter",
    source="Tomasi and Manduchi, ICCV 1998",
    candidates={"range": (2.0, 3.0, 4.0, 5.0, 6.0), "sigma_px": (1.5, 2.0, 3.0, 4.0)},
    denoise=denoise,
)
