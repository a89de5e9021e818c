"""Wavelet shrinkage with BayesShrink thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from degrain.baselines.base import Baseline


def denoise(noisy: np.ndarray, sigma: float, chosen: Mapping[str, Any]) -> np.ndarray:
    """Denoise one image, see `Baseline.denoise`."""
    from skimage.restoration import denoise_wavelet

    return np.asarray(
        denoise_wavelet(
            noisy,
            sigma=chosen["strength"] * sigma,
            method="BayesShrink",
            mode="soft",
            convert2ycbcr=noisy.shape[2] == 3,
            rescale_sigma=True,
            channel_axis=-1,
        )
    )


BASELINE = Baseline(
    name="wavelet",
    title="Wavelet, BayesShrink",
    source="Chang, Yu, Vetterli, TIP 2000",
    candidates={"strength": (0.5, 0.75, 1.0, 1.25)},
    denoise=denoise,
)
