"""Block-matching and 3-D filtering, by its authors' package `bm3d`, which is installed apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from degrain.baselines.base import Baseline

# Least side of an image, in pixels: of blocks of 8 pixels the package needs more than one.
LEAST = 16


def denoise(noisy: np.ndarray, sigma: float, chosen: Mapping[str, Any]) -> np.ndarray:
    """Denoise one image, see `Baseline.denoise`: color as CBM3D, each of several other channels by itself."""
    import bm3d

    # With more threads than one it is not the same each time.
    profile = bm3d.BM3DProfile()
    profile.num_threads = 1
    height, width = noisy.shape[:2]
    padding = [(0, max(0, LEAST - side)) for side in (height, width)]
    image = np.pad(noisy, [*padding, (0, 0)], mode="symmetric")
    method = bm3d.bm3d_rgb if noisy.shape[2] == 3 else bm3d.bm3d
    filtered: np.ndarray = method(image, chosen["strength"] * sigma, profile)
    return filtered.reshape(image.shape)[:height, :width]


BASELINE = Baseline(
    name="bm3d",
    title="BM3D",
    source="Dabov, Foi, Katkovnik, Egiazarian, IEEE TIP 16(8), 2007",
    candidates={"strength": (0.8, 1.0, 1.2)},
    denoise=denoise,
    needs="bm3d",
)
