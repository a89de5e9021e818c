"""Whether the Keras network is the same function: degrain's weights in both, and the largest difference of outputs."""

from __future__ import annotations

import json

import keras
import numpy as np
import torch
from torch import nn

from benchmarks.peers.keras_networks import NETWORKS
from benchmarks.peers.task import Task
from degrain.models import catalog
from degrain.models.keras_layers import HalfTurned


def transplant(network: nn.Module, model: keras.Model) -> None:
    """Give a Keras model the weights of a PyTorch network with the same layers in the same order."""
    takers = [layer for layer in model.layers if layer.trainable_weights]
    givers = [module for module in network.modules() if [*module.parameters(recurse=False)]]
    turned = isinstance(network, HalfTurned)
    shape = None  # of the features in front of a dense layer, (H, W, C)
    for layer, module in zip(takers, givers, strict=True):
        weight, bias = (value.detach().numpy() for value in (module.weight, module.bias))
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            kernel = weight.transpose(2, 3, 1, 0)
            layer.set_weights([kernel[::-1, ::-1] if turned else kernel, bias])
        elif isinstance(module, nn.BatchNorm2d):
            layer.set_weights([weight, bias, module.running_mean.numpy(), module.running_var.numpy()])
            shape = layer.output.shape[1:]
        else:
            # NOTE: a turned image has its pixels in reverse order.
            order = np.arange(np.prod(shape)).reshape(shape)[::-1, ::-1].ravel()
            if len(bias) == len(order):
                weight, bias = weight[order], bias[order]
            else:
                weight = weight[:, order]
            layer.set_weights([weight.T, bias])


def main() -> None:
    task = Task.told()
    network = catalog.build(task.net, task.channels, task.size).eval()
    with torch.no_grad():
        for weight in network.parameters():
            # NOTE: a layer that is zero would hide those before it.
            weight.add_(0.05 * torch.randn_like(weight))
    model = NETWORKS[task.net](task.channels, task.size)
    transplant(network, model)
    images = np.random.default_rng(0).random((4, task.size, task.size, task.channels), np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    difference = np.abs(model(images).numpy() - expected).max() / np.abs(expected).max()
    print(json.dumps({"difference": float(difference), "spread": float(expected.std())}))


if __name__ == "__main__":
    main()
