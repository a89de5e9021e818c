"""Images as callers have them, in the layout that degrain works on, and the way back.

An image is

- a NumPy array (H, W), (H, W, C) or a batch (N, H, W, C), or a torch tensor (H, W), (C, H, W) or (N, C, H, W);
- gray (C = 1), RGB (C = 3), or the packed Bayer mosaic R, G1, G2, B of a camera raw file (C = 4);
- uint8 or uint16, white being 255 or 65535, or float in units of white: black 0, white 1. Noise may reach beyond.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from degrain.errors import DataError
from degrain.pixels import from_levels, from_unit, to_8_bits, to_16_bits

if TYPE_CHECKING:
    from torch import Tensor

ImageT = TypeVar("ImageT", np.ndarray, "Tensor")

CHANNELS = (1, 3, 4)
# Noise of 50 of 255 levels ends within these; what lies beyond is of another scale than [0, 1].
LOWEST, HIGHEST = -1.0, 2.0


@dataclass(frozen=True)
class Given(Generic[ImageT]):
    """Images of a caller.

    Attributes:
        image: As they came.
        pixels: (N, H, W, C) uint8, uint16, or, for any float, float32 in 8-bit levels (white = 255).
    """

    image: ImageT
    pixels: np.ndarray

    @property
    def channels(self) -> int:
        """1, 3 or 4."""
        return int(self.pixels.shape[3])

    @property
    def is_float(self) -> bool:
        """Whether they are float images."""
        return self.pixels.dtype == np.float32

    @property
    def is_batch(self) -> bool:
        """Whether there may be several."""
        return self.image.ndim == 4

    def rounded(self, unit: np.ndarray) -> np.ndarray:
        """Clip pixels in units of white to [0, 1], and round them to the type of integer images."""
        if self.is_float:
            clipped: np.ndarray = np.clip(unit, 0, 1)
            return clipped
        return from_unit(unit, self.pixels.dtype)

    def integers(self, dtype: np.dtype[Any]) -> np.ndarray:
        """Return the pixels at a depth, uint8 or uint16, clipped and rounded."""
        if self.is_float:
            return from_levels(self.pixels, dtype)
        return to_8_bits(self.pixels) if dtype == np.uint8 else to_16_bits(self.pixels)

    def like(self, made: np.ndarray) -> ImageT:
        """Return what was made of the images in the caller's shape, type, and device.

        Args:
            made: (N, H, W, C), of the type of `pixels`; float32 in units of white for float images.
        """
        if isinstance(self.image, np.ndarray):
            return made.reshape(self.image.shape).astype(self.image.dtype, copy=False)
        import torch

        if self.image.ndim > 2:
            made = np.ascontiguousarray(np.moveaxis(made, -1, -3))
        tensor = torch.from_numpy(made).reshape(self.image.shape)
        return tensor.to(self.image.device, self.image.dtype)


def of(image: ImageT, what: str = "image") -> Given[ImageT]:
    """Take images in, see the module.

    Args:
        image: Of any of the kinds above.
        what: What messages call it.

    Raises:
        DataError: It is none: another shape, type or range of values, or nothing at all.
    """
    pixels = _pixels(image, what)
    if pixels.size == 0:
        raise DataError(f"{what} has the shape {tuple(image.shape)}: there is no pixel in it")
    if pixels.dtype in (np.uint8, np.uint16):
        return Given(image, pixels)
    if not np.issubdtype(pixels.dtype, np.floating):
        raise DataError(
            f"{what} is {pixels.dtype}: images are uint8 (white = 255), uint16 (white = 65535) or float in [0, 1]"
        )
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite([low, high]).all():
        raise DataError(f"{what} holds NaN or infinity")
    if low < LOWEST or high > HIGHEST:
        raise DataError(
            f"{what} is float and reaches from {low:.4g} to {high:.4g}: float images have black at 0 and white at 1; "
            "divide it by its white"
        )
    return Given(image, pixels.astype(np.float32) * np.float32(255))


def _pixels(image: Any, what: str) -> np.ndarray:
    """Return the values as (N, H, W, C), whatever they mean."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(image, torch.Tensor):
        array, layout = _of_tensor(image), "(C, H, W) or (N, C, H, W) of a tensor"
        if array.ndim > 2:
            array = np.moveaxis(array, -3, -1)
    elif isinstance(image, np.ndarray):
        array, layout = image, "(H, W, C) or (N, H, W, C)"
    else:
        kind = type(image)
        raise DataError(
            f"{what} is a {kind.__module__}.{kind.__qualname__}: give a NumPy array, such as numpy.asarray(image), or "
            "a torch tensor"
        )
    if array.ndim == 2:
        return array[None, :, :, None]
    if array.ndim not in (3, 4) or array.shape[-1] not in CHANNELS:
        raise DataError(
            f"{what} has the shape {tuple(image.shape)}: images are (H, W), {layout}, with 1, 3 or 4 channels"
        )
    return array if array.ndim == 4 else array[None]


def _of_tensor(tensor: Tensor) -> np.ndarray:
    import torch

    values = tensor.detach().cpu()
    if values.dtype == torch.bfloat16:  # NumPy has none
        values = values.float()
    array: np.ndarray = values.numpy()
    return array


def require_same_shape(image: Given[Any], clean: Given[Any]) -> None:
    """Refuse two images that cannot show the same.

    Raises:
        DataError: Their shapes differ.
    """
    if image.pixels.shape != clean.pixels.shape:
        raise DataError(
            f"the images have the shapes {tuple(image.image.shape)} and {tuple(clean.image.shape)}; they must be equal"
        )
