"""The one metric protocol: clamp to [0, 1], round to 8 bits, data range 255, per image, then averaged.

SSIM is the one of Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment", TIP 2004, as scikit-image computes it:
Gaussian 11x11 window of sigma 1.5, population covariance, mean over the channels.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from degrain import environment


def to_8_bits(images: np.ndarray) -> np.ndarray:
    """Clamp float images to [0, 1] and round them to uint8 levels; the shape stays."""
    levels: np.ndarray = np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)
    return levels


def psnr(images: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Return the peak signal-to-noise ratio of each image.

    Args:
        images: uint8 (N, H, W, C).
        clean: uint8, the same shape.

    Returns:
        float64 (N,), in dB: 10 log10(255**2 / MSE); infinite where an image equals its clean one.
    """
    difference = images.astype(np.float32) - clean.astype(np.float32)
    error = np.mean(np.square(difference), axis=(1, 2, 3), dtype=np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(255.0**2 / error))


def ssim(images: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Return the structural similarity of each image.

    Args:
        images: uint8 (N, H, W, C), H and W at least 11.
        clean: uint8, the same shape.

    Returns:
        float64 (N,), at most 1.
    """
    from skimage.metrics import structural_similarity

    def one(pair: tuple[np.ndarray, np.ndarray]) -> float:
        return float(
            structural_similarity(
                *pair,
                data_range=255,
                channel_axis=-1,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
        )

    with ThreadPoolExecutor(environment.threads()) as pool:
        return np.array(list(pool.map(one, zip(images, clean, strict=True))))
