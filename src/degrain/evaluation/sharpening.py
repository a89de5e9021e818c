"""Sharpening of denoised images, a step that some reports put behind the network."""

from __future__ import annotations

import cv2
import numpy as np

KERNEL = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], np.float32)


def sharpen(images: np.ndarray) -> np.ndarray:
    """Add to each pixel how much it differs from its four neighbours.

    Args:
        images: uint8 or uint16 (N, H, W, C).

    Returns:
        The same type and shape, clipped; beyond the border images are mirrored at their last pixel.

    Source: N. Bernier and A. Lucio, "Image denoising using autoencoders", Concordia COMP 478, 2021.
    """
    sharpened = [cv2.filter2D(image, -1, KERNEL, borderType=cv2.BORDER_REFLECT_101) for image in images]
    return np.stack(sharpened).reshape(images.shape)


def sharpened_name(method: str) -> str:
    """Return the name of a method with sharpened outputs; no trial has it, since labels cannot hold a `+`."""
    return f"{method}+sharpened"
