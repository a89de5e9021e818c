"""The way from one image to another through the codes of an autoencoder."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch

from degrain.depth import to_unit
from degrain.evaluation import metrics
from degrain.inference.denoiser import Denoiser, to_tensor
from degrain.models.bernier2021 import ConvAutoencoder

# Where on the way, from 0 to 1, the codes A, B, C and A again stand.
KNOTS = (0, 0.33, 0.66, 1)


def has_code(denoiser: Denoiser) -> bool:
    """Tell whether a network gives a whole image one code that can be decoded alone."""
    return isinstance(denoiser.network, ConvAutoencoder)


@torch.inference_mode()
def frames(denoiser: Denoiser, noisy: np.ndarray, count: int) -> np.ndarray:
    """Decode what lies on straight lines between three codes, A to B to C and back to A.

    Args:
        denoiser: With a code, see `has_code`.
        noisy: Three patches (3, H, W, C), uint8, uint16, or float in 8-bit levels, of the size it was trained on.
        count: How many images, evenly spaced on the way.

    Returns:
        uint8 (count, H, W, C).

    Source: A. Mehrpanah, "Image denoising autoencoders", 2020.
    """
    network = cast(ConvAutoencoder, denoiser.network.eval())
    device = next(network.parameters()).device
    corners = network.encode(to_tensor(to_unit(noisy)).to(device)).cpu().numpy()[[0, 1, 2, 0]]
    way = np.linspace(0, 1, count)
    codes = np.stack([np.interp(way, KNOTS, numbers) for numbers in corners.T], axis=1).astype(np.float32)
    images = network.decode(torch.from_numpy(codes).to(device))
    return metrics.to_depth(images.permute(0, 2, 3, 1).cpu().numpy(), np.dtype(np.uint8))
