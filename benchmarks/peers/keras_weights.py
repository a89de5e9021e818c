"""Weights of Keras's layers in degrain's networks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from degrain.networks.keras_layers import HalfTurned, Unflatten


@torch.no_grad()
def adopt(network: nn.Module, weights: Sequence[Sequence[np.ndarray]]) -> None:
    """Give a network of the catalog the weights of the same network in Keras.

    Args:
        network: With the same layers in the same order.
        weights: Of each layer that has any, what its `get_weights` returns.
    """
    takers = [module for module in network.modules() if [*module.parameters(recurse=False)]]
    for module, (first, bias, *statistics) in zip(takers, weights, strict=True):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            kernel = first[::-1, ::-1] if isinstance(network, HalfTurned) else first
            _fill(module.weight, kernel.transpose(3, 2, 0, 1))
            _fill(module.bias, bias)
        elif isinstance(module, nn.BatchNorm2d):
            for taken, given in zip((module.running_mean, module.running_var), statistics, strict=True):
                _fill(taken, given)
            _fill(module.weight, first)
            _fill(module.bias, bias)
        else:
            inputs, outputs = (_order(network, count) for count in first.shape)
            _fill(module.weight, first[inputs][:, outputs].T)
            _fill(module.bias, bias[outputs])


def _order(network: nn.Module, count: int) -> np.ndarray:
    """Where a dense layer finds its numbers: a turned image has its pixels in reverse order."""
    places = np.arange(count)
    for layer in network.modules():
        if isinstance(network, HalfTurned) and isinstance(layer, Unflatten) and np.prod(layer.shape) == count:
            return places.reshape(layer.shape)[::-1, ::-1].ravel()
    return places


def _fill(taken: torch.Tensor | None, given: np.ndarray) -> None:
    assert taken is not None
    assert taken.shape == given.shape
    taken.copy_(torch.from_numpy(np.ascontiguousarray(given)))
