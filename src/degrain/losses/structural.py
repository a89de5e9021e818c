"""Structural similarity as a differentiable function: SSIM and MS-SSIM, as TensorFlow computes them.

SSIM: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity",
IEEE TIP 13(4), 2004: Gaussian 11x11 window of sigma 1.5, K1 0.01, K2 0.03, data range 1, windows that lie wholly
within the image only. MS-SSIM: Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality
assessment", Asilomar 2003: five scales, each half the size of the last. Smaller windows of the same sigma, with an odd
number of pixels, let smaller images in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

if TYPE_CHECKING:
    from torch import Tensor

WINDOW = 11
SIGMA = 1.5
C1 = 0.01**2
C2 = 0.03**2

# Exponents of the scales, from the full size on (Wang, Simoncelli and Bovik, section 3.2).
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

# Contrasts below are 0, as those below 0 are: the slope of x**0.0448 has no bound near 0.
LEAST_CONTRAST = 1e-8


def _odd(value: int) -> int:
    if value < 3 or value % 2 == 0:
        raise ValueError(f"{value} is no odd number from 3 on")
    return value


# Side of a window, in pixels.
Window = Annotated[int, AfterValidator(_odd)]


def ms_ssim_side(window: int) -> int:
    """Return the least side of an image, in pixels: halving rounds up, and the last scale must still hold a window."""
    return (window - 1) * 16 + 1  # five scales, of which four are halved


def ssim(images: Tensor, clean: Tensor, window: int = WINDOW) -> Tensor:
    """Return the structural similarity of each image.

    Args:
        images: float (N, C, H, W), H and W at least `window`.
        clean: The same shape and type, in [0, 1].
        window: Side of the window, in pixels, odd.

    Returns:
        (N,), the mean over windows and channels; 1 for an image equal to its clean one, less for any other.
    """
    luminance, contrast = _maps(images, clean, window)
    return (luminance * contrast).mean(dim=(1, 2, 3))


def ms_ssim(images: Tensor, clean: Tensor, window: int = WINDOW) -> Tensor:
    """Return the multi-scale structural similarity of each image.

    A channel whose contrast term is not positive at some scale counts 0, and has no gradient.

    Args:
        images: float (N, C, H, W), H and W at least `ms_ssim_side(window)`.
        clean: The same shape and type, in [0, 1].
        window: Side of the window, in pixels, odd.

    Returns:
        (N,), in [0, 1] for images in [0, 1].
    """
    from torch.nn import functional

    product = images.new_ones(images.shape[:2])
    for scale, exponent in enumerate(SCALES, start=1):
        luminance, contrast = _maps(images, clean, window)
        term = contrast if scale < len(SCALES) else luminance * contrast
        product = product * functional.threshold(term.mean(dim=(2, 3)), LEAST_CONTRAST, 0.0) ** exponent
        if scale < len(SCALES):
            images, clean = _halved(images), _halved(clean)
    return product.mean(dim=1)


def _maps(images: Tensor, clean: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """The luminance and the contrast-structure term of each window: two maps (N, C, H - window + 1, likewise)."""
    import torch

    moments = torch.cat([images, clean, images.square() + clean.square(), images * clean], dim=1)
    mean, clean_mean, squares, products = _blurred(moments, window).chunk(4, dim=1)
    of_means = 2 * mean * clean_mean
    of_mean_squares = mean.square() + clean_mean.square()
    luminance = (of_means + C1) / (of_mean_squares + C1)
    contrast = (2 * products - of_means + C2) / (squares - of_mean_squares + C2)
    return luminance, contrast


def _blurred(images: Tensor, window: int) -> Tensor:
    """Each channel's weighted mean over every window: (N, C, H, W) to (N, C, H - window + 1, likewise)."""
    import torch
    from torch.nn import functional

    channels = images.shape[1]
    row = _weights(images, window).expand(channels, 1, 1, window).contiguous()
    # NOTE: a variance is a small difference of these means, for which neither autocast's bfloat16 nor cuDNN's TF32 is
    # exact enough. PyTorch keeps depthwise convolutions of contiguous float32 from cuDNN; on a CPU they are quickest.
    with torch.autocast(images.device.type, enabled=False):
        columns = functional.conv2d(images.contiguous(), row.transpose(2, 3).contiguous(), groups=channels)
        return functional.conv2d(columns, row, groups=channels)


def _weights(like: Tensor, window: int) -> Tensor:
    """The Gaussian window along one axis: (window,), of sum 1."""
    import torch

    offsets = torch.arange(window, dtype=torch.float64, device=like.device) - (window - 1) / 2
    weights = torch.exp(-offsets.square() / (2 * SIGMA**2))
    return (weights / weights.sum()).to(like.dtype)


def _halved(images: Tensor) -> Tensor:
    """Means of 2x2 pixels; of an odd side, the last row or column alone, as if it stood there twice."""
    from torch.nn import functional

    return functional.avg_pool2d(images, 2, ceil_mode=True)
