"""Structural similarity, as scikit-image computes it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from degrain.machine import compute
from degrain.metrics.base import Metric

# Side of the window, in pixels; no image may be smaller.
WINDOW = 11


def ssim(images: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Return the structural similarity of each image: Gaussian 11x11 window of sigma 1.5, mean over the channels.

    Args:
        images: uint8 or uint16 (N, H, W, C), H and W at least 11.
        clean: The same type and shape.

    Returns:
        float64 (N,), at most 1.
    """
    from skimage.metrics import structural_similarity

    def one(pair: tuple[np.ndarray, np.ndarray]) -> float:
        return float(
            structural_similarity(
                *pair,
                data_range=int(np.iinfo(clean.dtype).max),
                channel_axis=-1,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
        )

    with ThreadPoolExecutor(compute.threads()) as pool:
        return np.array(list(pool.map(one, zip(images, clean, strict=True))))


METRIC = Metric(
    name="ssim",
    title="SSIM",
    unit="",
    digits=3,
    higher_is_better=True,
    smallest=WINDOW,
    source='Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment", TIP 2004; population covariance',
    measure=ssim,
)
