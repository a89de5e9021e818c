"""The one metric protocol: clamp to [0, 1], round to the depth of the clean images, per image, then averaged.

That depth is 8 bits, data range 255; 16 bits, data range 65535, for studies of camera raw data (prepare.bits: 16).

SSIM is the one of Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment", TIP 2004, as scikit-image computes it:
Gaussian 11x11 window of sigma 1.5, population covariance, mean over the channels.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from degrain.machine import compute

# PSNR of a perfect image, in dB: a mean over images, some of them perfect, must stay finite.
BEST = 100.0
# Side of SSIM's window, in pixels; no image may be smaller.
SSIM_SIDE = 11


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


def ssim(images: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Return the structural similarity of each image.

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
