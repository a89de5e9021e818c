"""The metrics that evaluate measures, by name.

All follow one protocol: outputs are clamped to [0, 1] and rounded to the depth of the clean images, measured per image,
then averaged. That depth is 8 bits, data range 255; 16 bits, data range 65535, for studies of camera raw data
(prepare.bits: 16).
"""

from __future__ import annotations

from degrain import catalogs
from degrain.metrics import psnr, ssim
from degrain.metrics.base import Metric

METRICS: dict[str, Metric] = catalogs.of_modules(Metric, "METRIC", (psnr, ssim))
