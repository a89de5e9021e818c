"""Whether the Keras network is the same function: its weights in both, and the largest difference of outputs."""

from __future__ import annotations

import json

import numpy as np
import torch

from benchmarks.peers.keras_networks import NETWORKS
from benchmarks.peers.keras_weights import adopt
from benchmarks.peers.network_outputs import known_weights
from benchmarks.peers.task import Task
from degrain.networks import catalog


def main() -> None:
    task = Task.told()
    model = NETWORKS[task.net](task.channels, task.size)
    weights = known_weights(model)
    images = np.random.default_rng(0).random((4, task.size, task.size, task.channels), np.float32)
    network = catalog.build(task.net, task.channels, task.size).eval()
    adopt(network, weights)
    with torch.inference_mode():
        outputs = network(torch.from_numpy(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    expected = model(images, training=False).numpy()
    difference = np.abs(outputs - expected).max() / np.abs(expected).max()
    print(json.dumps({"difference": float(difference), "spread": float(expected.std())}))


if __name__ == "__main__":
    main()
