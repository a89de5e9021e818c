"""Networks that Keras's outputs do not cover, computed a second time in NumPy, from their papers' formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor, nn

Reference = Callable[[nn.Module, np.ndarray], np.ndarray]


def convolved(features: np.ndarray, layer: nn.Module) -> np.ndarray:
    """A 3x3 convolution over zero padding; features are (C, H, W)."""
    windows = sliding_window_view(np.pad(features, ((0, 0), (1, 1), (1, 1))), (3, 3), axis=(1, 2))
    return np.einsum("chwij,ocij->ohw", windows, array(layer.weight), optimize=True) + shift(layer)


def array(values: object) -> np.ndarray:
    assert isinstance(values, Tensor)
    return values.detach().numpy()


def shift(layer: nn.Module) -> np.ndarray | float:
    return 0.0 if layer.bias is None else array(layer.bias)[:, None, None]


def relu(features: np.ndarray) -> np.ndarray:
    return np.maximum(features, 0)


def normalized(features: np.ndarray, layer: nn.Module) -> np.ndarray:
    """Batch normalization by running statistics."""
    mean, variance, scale = (array(getattr(layer, name)) for name in ("running_mean", "running_var", "weight"))
    return (features - mean[:, None, None]) * (scale / np.sqrt(variance + 1e-4))[:, None, None] + shift(layer)


def blocks_of(image: np.ndarray) -> np.ndarray:
    """The pixels of each 2x2 block as channels: (C, H, W) becomes (C, 2, 2, H / 2, W / 2)."""
    channels, height, width = image.shape
    return image.reshape(channels, height // 2, 2, width // 2, 2).transpose(0, 2, 4, 1, 3)


def image_of(blocks: np.ndarray) -> np.ndarray:
    """The reverse of `blocks_of`."""
    channels, _, _, height, width = blocks.shape
    return blocks.transpose(0, 3, 1, 4, 2).reshape(channels, 2 * height, 2 * width)


def with_weights(network: nn.Module) -> Iterator[nn.Module]:
    """Its layers, in the order in which they are declared."""
    return (layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d | nn.ConvTranspose2d))


def dncnn(network: nn.Module, image: np.ndarray) -> np.ndarray:
    """Convolution and ReLU, then convolution, batch normalization and ReLU, then a convolution that gives the noise."""
    first, *between, last = with_weights(network)
    features = relu(convolved(image, first))
    for convolution, norm in zip(between[::2], between[1::2], strict=True):
        features = relu(normalized(convolved(features, convolution), norm))
    return image - convolved(features, last)


def ffdnet(network: nn.Module, image: np.ndarray) -> np.ndarray:
    """Five convolutions with ReLU for the noise level; the rest at half the resolution, the last without ReLU."""
    *layers, last = with_weights(network)
    level = image
    for layer in layers[:5]:
        level = relu(convolved(level, layer))
    level = blocks_of(level).mean(axis=(1, 2))
    blocks = blocks_of(image)
    features = np.concatenate([blocks.reshape(-1, *level.shape[1:]), level])
    for layer in layers[5:]:
        features = relu(convolved(features, layer))
    return image_of(convolved(features, last).reshape(blocks.shape))


def resunet(network: nn.Module, image: np.ndarray) -> np.ndarray:
    """An encoder and a decoder over orthonormal coefficients, each scale's features added to those of its decoder."""
    transform = array(network.get_buffer("transform"))
    children = dict(network.named_children())
    features = convolved(np.einsum("ocij,cijhw->ohw", transform, blocks_of(image - 0.5)), children["head"])
    half = staged(features, children["encode_half"])
    quarter = staged(halved(half, children["to_quarter"]), children["encode_quarter"])
    eighth = staged(halved(quarter, children["to_eighth"]), children["middle"])
    quarter = staged(doubled(eighth, children["from_eighth"]) + quarter, children["decode_quarter"])
    half = staged(doubled(quarter, children["from_quarter"]) + half, children["decode_half"])
    noise = image_of(np.einsum("ocij,ohw->cijhw", transform, convolved(half, children["tail"])))
    return image + (noise - means(noise) if network.keeps_mean else noise)


def means(image: np.ndarray) -> np.ndarray:
    """Of squares of 8 pixels, weighted by a Gaussian of 12 pixels around each pixel, as far as 36 pixels away."""
    channels, height, width = image.shape
    squares = image.reshape(channels, height // 8, 8, width // 8, 8).mean(axis=(2, 4))
    found = np.empty_like(image)
    for y, x in np.ndindex(height, width):
        down, across = (np.abs(8 * np.arange(side // 8) + 3.5 - at) for side, at in ((height, y), (width, x)))
        weights = np.outer(*(np.where(away <= 36, np.exp(-(away**2) / 288), 0) for away in (down, across)))
        found[:, y, x] = (squares * weights).sum(axis=(1, 2)) / weights.sum()
    return found


def staged(features: np.ndarray, blocks: nn.Module) -> np.ndarray:
    for block in blocks.children():
        first, second = block.children()
        features = features + convolved(relu(convolved(features, first)), second)
    return features


def halved(features: np.ndarray, layer: nn.Module) -> np.ndarray:
    return np.einsum("ocij,cijhw->ohw", array(layer.weight), blocks_of(features)) + shift(layer)


def doubled(features: np.ndarray, layer: nn.Module) -> np.ndarray:
    return image_of(np.einsum("coij,chw->oijhw", array(layer.weight), features)) + shift(layer)


REFERENCES: dict[str, Reference] = {
    "dncnn": dncnn,
    "dncnn-20": dncnn,
    "ffdnet": ffdnet,
    "resunet-small": resunet,
    "resunet-medium": resunet,
    "resunet-large": resunet,
    "resunet-small-mean": resunet,
    "resunet-medium-mean": resunet,
}
