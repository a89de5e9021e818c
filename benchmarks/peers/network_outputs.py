"""What Keras's networks make of known weights and images, for tests/networks/test_networks.py to compare with.

Needs TensorFlow 2.21 with Keras 3, which degrain does not depend on; with an environment that has them:

    python -m benchmarks.peers.network_outputs

It writes tests/networks/keras_outputs.npz: for each network of the catalog its outputs, float32 (1, SIZE, SIZE, 3), and
the shapes of its weights. Weights and images are not in it: `known` and `images` make them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

OUTPUTS = Path(__file__).parents[2] / "tests" / "networks" / "keras_outputs.npz"
SIZE = 16
CHANNELS = 3


def images() -> np.ndarray:
    """Float32 (1, SIZE, SIZE, 3) in [0, 1)."""
    return np.random.default_rng(0).random((1, SIZE, SIZE, CHANNELS), np.float32)


def known(shapes: Sequence[Sequence[Sequence[int]]]) -> list[list[np.ndarray]]:
    """Weights of each layer, float32, with numbers of about one size in all layers.

    Args:
        shapes: Of the weights of each layer, as Keras orders them: kernel and bias, or the scale, shift, mean and
            variance of batch normalisation.
    """
    draw = np.random.default_rng(1)

    def layer(kernel: Sequence[int], *others: Sequence[int]) -> list[np.ndarray]:
        if len(kernel) == 1:
            centers = 1, 0, 0, 1
            return [draw.uniform(center - 0.3, center + 0.3, kernel) for center in centers]
        limit = np.sqrt(6 / np.prod(kernel[:-1]))
        return [draw.uniform(-limit, limit, kernel), *(draw.uniform(-0.1, 0.1, shape) for shape in others)]

    return [[weight.astype(np.float32) for weight in layer(*shape)] for shape in shapes]


def known_weights(model: keras.Model) -> list[list[np.ndarray]]:
    """Give a model the known weights, and return them."""
    takers = [layer for layer in model.layers if layer.trainable_weights]
    weights = known(shapes_of(model))
    for layer, values in zip(takers, weights, strict=True):
        layer.set_weights(values)
    return weights


def shapes_of(model: keras.Model) -> list[list[list[int]]]:
    """Shapes of the weights of each layer that has any to train."""
    takers = [layer for layer in model.layers if layer.trainable_weights]
    return [[list(weight.shape) for weight in layer.get_weights()] for layer in takers]


def main() -> None:
    import keras
    import tensorflow as tf

    from benchmarks.peers.keras_networks import NETWORKS

    found = {"made_by": np.array(f"tensorflow {tf.__version__}, keras {keras.__version__}")}
    for name, build in NETWORKS.items():
        model = build(CHANNELS, SIZE)
        known_weights(model)
        found[f"{name} shapes"] = np.array(json.dumps(shapes_of(model)))
        found[name] = model(images(), training=False).numpy()
    np.savez_compressed(OUTPUTS, **found)
    sys.stdout.write(f"{OUTPUTS}\n")


if __name__ == "__main__":
    main()
