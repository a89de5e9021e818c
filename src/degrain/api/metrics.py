"""Metrics by name."""

from __future__ import annotations

import numpy as np

from degrain.api import images
from degrain.api.images import ImageT
from degrain.errors import DataError, ParamsError, nearest
from degrain.metrics.base import Metric
from degrain.metrics.catalog import METRICS


def list_metrics() -> list[str]:
    """List the metrics.

    Examples:
        >>> import degrain
        >>> "psnr" in degrain.list_metrics()
        True
    """
    return sorted(METRICS)


def score(image: ImageT, clean: ImageT, metric: str = "psnr") -> float | np.ndarray:
    """Measure how close images come to the clean ones, by the protocol of every score of degrain.

    Both are rounded to the depth of the clean one: 8 bits (data range 255), or 16 (data range 65535) where that is
    uint16 or float. PSNR is that of all channels together, 100 dB for equal images; SSIM has a Gaussian 11x11 window of
    sigma 1.5 and is the mean over the channels.

    Args:
        image: What is measured: NumPy array (H, W), (H, W, C) or (N, H, W, C), or torch tensor (H, W), (C, H, W) or
            (N, C, H, W); uint8, uint16, or float with black 0 and white 1.
        clean: The truth, of the same shape.
        metric: Of `list_metrics`.

    Returns:
        The score in the metric's unit (dB for PSNR); of a batch float64 (N,), one for each image.

    Raises:
        DataError: They are no such images, of different shapes, or too small for the metric.
        ParamsError: There is no such metric; the message has the nearest name.

    Source:
        Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment", TIP 2004 (SSIM).

    Examples:
        >>> import numpy as np
        >>> import degrain
        >>> clean = np.full((16, 16), 100, np.uint8)
        >>> round(degrain.score(clean + np.uint8(16), clean), 2)
        24.05
        >>> degrain.score(clean, clean, "ssim")
        1.0
    """
    measured = _metric(metric)
    one, other = images.of(image), images.of(clean, "clean image")
    images.require_same_shape(one, other)
    height, width = one.pixels.shape[1:3]
    if min(height, width) < measured.smallest:
        raise DataError(f"{metric} needs at least {measured.smallest} pixels a side, not {width}x{height}")
    depth = np.dtype(np.uint8 if other.pixels.dtype == np.uint8 else np.uint16)
    values = measured.values(one.integers(depth), other.integers(depth))
    return values if one.is_batch else float(values[0])


def _metric(name: str) -> Metric:
    if name not in METRICS:
        raise ParamsError(f"metric {name!r}: there is none{nearest(name, METRICS)}")
    return METRICS[name]
