"""The depth of pixels: 8 or 16 bits, 8-bit levels (float, white = 255), or units of white (float, white = 1)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

# What a value stands for: the sRGB curve or one that is close to it, or the amount of light itself.
Light = Literal["srgb", "linear"]
# Larger images are refused.
MAX_PIXELS = 200_000_000


def read_only(pixels: np.ndarray) -> np.ndarray:
    """Return a view of an array through which nothing can be written."""
    view = pixels.view()
    view.flags.writeable = False
    return view


def to_8_bits(pixels: np.ndarray) -> np.ndarray:
    """Return uint8 pixels as they are and uint16 pixels rounded to 8 bits."""
    return pixels if pixels.dtype == np.uint8 else np.round(pixels / 257).astype(np.uint8)


def to_16_bits(pixels: np.ndarray) -> np.ndarray:
    """Return uint16 pixels as they are and uint8 pixels at 16 bits; white stays white."""
    return pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16) * np.uint16(257)


def to_levels(pixels: np.ndarray) -> np.ndarray:
    """Return pixels as float32 in 8-bit levels (white = 255): uint8 and float as they are, uint16 divided by 257."""
    levels = pixels.astype(np.float32)
    if pixels.dtype == np.uint16:
        levels /= np.float32(257)
    return levels


def from_levels(levels: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Clip float images in 8-bit levels to [0, 255] and round them to uint8 or uint16."""
    clipped = np.clip(levels, 0, 255)
    if dtype == np.uint16:
        clipped *= np.float32(257)
    rounded: np.ndarray = np.rint(clipped).astype(dtype)
    return rounded


def to_unit(pixels: np.ndarray) -> np.ndarray:
    """Return pixels as float32 with white = 1: uint8, uint16, or float in 8-bit levels."""
    white = 65535 if pixels.dtype == np.uint16 else 255
    return pixels.astype(np.float32) / np.float32(white)


def from_unit(images: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Clip float images with white = 1 to [0, 1] and round them to uint8 or uint16; the shape stays."""
    rounded: np.ndarray = np.rint(np.clip(images, 0, 1) * np.iinfo(dtype).max).astype(dtype)
    return rounded


def depth(noisy: np.ndarray) -> np.dtype[Any]:
    """Return the type that denoised images are rounded to: uint16 for uint16 ones, else uint8."""
    return np.dtype(np.uint16 if noisy.dtype == np.uint16 else np.uint8)
