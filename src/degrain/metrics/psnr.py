"""Peak signal-to-noise ratio."""

from __future__ import annotations

import numpy as np

from degrain.metrics.base import Metric

# PSNR of a perfect image, in dB: a mean over images, some of them perfect, must stay finite.
BEST = 100.0


def psnr(images: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Return the peak signal-to-noise ratio of each image.

    Args:
        images: uint8 or uint16 (N, H, W, C).
        clean: The same type and shape.

    Returns:
        float64 (N,), in dB: 10 log10(range**2 / MSE), at most `BEST`, which an image equal to its clean one gets.
    """
    difference = images.astype(np.float32) - clean.astype(np.float32)
    error = np.mean(np.square(difference), axis=(1, 2, 3), dtype=np.float64)
    power = float(np.iinfo(clean.dtype).max) ** 2
    return np.asarray(10 * np.log10(power / np.maximum(error, power / 10 ** (BEST / 10))))


METRIC = Metric(
    name="psnr",
    title="PSNR",
    unit="dB",
    digits=2,
    higher_is_better=True,
    smallest=1,
    source="mean squared error against data range 255, or 65535 for 16 bits",
    measure=psnr,
)
