"""Total variation, by Chambolle's projection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from degrain.baselines.base import Baseline


def denoise(noisy: np.ndarray, sigma: float, chosen: Mapping[str, Any]) -> np.ndarray:
    """Denoise one image, see `Baseline.denoise`."""
    from skimage.restoration import denoise_tv_chambolle

    return np.asarray(denoise_tv_chambolle(noisy, weight=chosen["strength"] * sigma, channel_axis=-1))


BASELINE = Baseline(
    name="tv",
    title="Total variation",
    source="Chambolle 2004; Rudin, Osher, Fatemi 1992",
    candidates={"strength": (0.6, 0.8, 1.0, 1.25)},
    denoise=denoise,
)
