"""The way from one image to another through the codes of an autoencoder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from degrain.inference.denoiser import Denoiser, to_tensor
from degrain.networks import keras_layers
from degrain.networks.bernier2021 import ConvAutoencoder
from degrain.pixels import from_unit, to_unit

# Where on the way, from 0 to 1, the codes A, B, C and A again stand.
KNOTS = (0, 0.33, 0.66, 1)

Coder = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]


def coder(network: nn.Module) -> Coder | None:
    """Cut a network at its code: the few numbers that a whole image becomes, and that can be decoded alone.

    Returns:
        What encodes (N, C, H, W) to (N, numbers), and what decodes it back. None for a network whose code is a map of
        the image, or around whose code connections lead.
    """
    if isinstance(network, ConvAutoencoder):
        return network.encode, network.decode
    if isinstance(network, nn.Sequential) and isinstance(network[0], keras_layers.Flatten):
        widths = {place: layer.out_features for place, layer in enumerate(network) if isinstance(layer, nn.Linear)}
        behind_activation = min(widths, key=widths.__getitem__) + 2
        return network[:behind_activation], network[behind_activation:]
    return None


@torch.inference_mode()
def frames(denoiser: Denoiser, noisy: np.ndarray, count: int) -> np.ndarray:
    """Decode what lies on straight lines between three codes, A to B to C and back to A.

    Args:
        denoiser: Of a network that has a `coder`.
        noisy: Three patches (3, H, W, C), uint8, uint16, or float in 8-bit levels, of the size it was trained on.
        count: How many images, evenly spaced on the way.

    Returns:
        uint8 (count, H, W, C).

    Raises:
        ValueError: The network has no code of whole images.

    Source: A. Mehrpanah, "Image denoising autoencoders", 2020.
    """
    network = denoiser.network.eval()
    halves = coder(network)
    if halves is None:
        raise ValueError(f"{denoiser.model} has no code of whole images")
    encode, decode = halves
    device = next(network.parameters()).device
    corners = encode(to_tensor(to_unit(noisy)).to(device)).cpu().numpy()[[0, 1, 2, 0]]
    way = np.linspace(0, 1, count)
    codes = np.stack([np.interp(way, KNOTS, numbers) for numbers in corners.T], axis=1).astype(np.float32)
    images = decode(torch.from_numpy(codes).to(device))
    return from_unit(images.permute(0, 2, 3, 1).cpu().numpy(), np.dtype(np.uint8))
