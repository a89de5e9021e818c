"""Non-local means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from degrain.baselines.base import Baseline


def denoise(noisy: np.ndarray, sigma: float, chosen: Mapping[str, Any]) -> np.ndarray:
    """Denoise one image, see `Baseline.denoise`."""
    from skimage.restoration import denoise_nl_means

    return np.asarray(
        denoise_nl_means(
            noisy,
            patch_size=chosen["patch_px"],
            patch_distance=7,
            h=chosen["strength"] * sigma,
            sigma=sigma,
            fast_mode=True,
            channel_axis=-1,
        )
    )


BASELINE = Baseline(
    name="nlm",
    title="Non-local means",
    source="Buades, Coll, Morel, CVPR 2005",
    candidates={"strength": (0.4, 0.6, 0.8), "patch_px": (3, 5, 7)},
    denoise=denoise,
)
