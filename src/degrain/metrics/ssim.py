"""Structural similarity, the same bits as of scikit-image.

Its `structural_similarity` takes one channel of one image at a time, which costs more than the arithmetic where images
are patches; here all channels of an image go through each filter at once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from degrain.machine import compute
from degrain.metrics.base import Metric

# Standard deviation of the Gaussian window and where it ends, in pixels; no image may be smaller than the window.
SIGMA, RADIUS = 1.5, 5
WINDOW = 2 * RADIUS + 1
# Of the paper: what keeps the ratios finite, as shares of white.
K1, K2 = 0.01, 0.03


def ssim(images: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Return the structural similarity of each image: Gaussian 11x11 window of sigma 1.5, mean over the channels.

    Args:
        images: uint8 or uint16 (N, H, W, C), H and W at least 11.
        clean: The same type and shape.

    Returns:
        float64 (N,), at most 1.
    """
    with ThreadPoolExecutor(compute.threads()) as pool:
        return np.array(list(pool.map(_ssim, images, clean)))


def _ssim(image: np.ndarray, clean: np.ndarray) -> float:
    white = float(np.iinfo(clean.dtype).max)
    x, y = (np.ascontiguousarray(np.moveaxis(one, -1, 0), dtype=np.float64) for one in (image, clean))
    mean_x, mean_y = _windowed(x), _windowed(y)
    variances = _windowed(x * x) - mean_x * mean_x + (_windowed(y * y) - mean_y * mean_y)
    covariance = _windowed(x * y) - mean_x * mean_y
    luminance = 2 * mean_x * mean_y + (K1 * white) ** 2, mean_x**2 + mean_y**2 + (K1 * white) ** 2
    structure = 2 * covariance + (K2 * white) ** 2, variances + (K2 * white) ** 2
    similar = luminance[0] * structure[0] / (luminance[1] * structure[1])
    return float(np.mean([channel[RADIUS:-RADIUS, RADIUS:-RADIUS].mean() for channel in similar]))


def _windowed(planes: np.ndarray) -> np.ndarray:
    """Return the mean within the window around each pixel of some planes, (C, H, W)."""
    from scipy.ndimage import gaussian_filter

    windowed: np.ndarray = gaussian_filter(planes, SIGMA, radius=RADIUS, axes=(1, 2))
    return windowed


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
