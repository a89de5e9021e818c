"""What Keras and TensorFlow compute for the training losses, for tests/losses/test_losses.py to compare with.

Needs TensorFlow 2.21 with Keras 3, which degrain does not depend on; with an environment that has them:

    python -m benchmarks.peers.loss_values

It writes tests/losses/loss_values.json: for each loss and pair of images the value, and of its gradient with
respect to the output the sum of all absolute values and a few elements. The images are not in it: `pair` makes them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

VALUES = Path(__file__).parents[2] / "tests" / "losses" / "loss_values.json"

# (N, H, W, C) by name. On "wild" ones the output leaves [0, 1] and some clean pixels are black or white.
PIXELS = {"tame": (3, 7, 5, 3), "wild": (2, 9, 6, 1)}
IMAGES = {"one window": (2, 11, 11, 1), "photo": (2, 64, 48, 3), "noise": (2, 20, 20, 3)}
SMALL = {"small": (2, 97, 101, 3)}  # for windows of 7 pixels
LARGE = {"least": (1, 161, 161, 1), "odd": (1, 163, 166, 3), "large": (2, 176, 176, 3)}


def pair(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The output and the clean images of one name: both float32 (N, H, W, C)."""
    shape = (PIXELS | IMAGES | SMALL | LARGE)[name]
    draw = np.random.default_rng(sum(shape))
    if name == "tame":
        return draw.random(shape, np.float32), 0.05 + np.float32(0.9) * draw.random(shape, np.float32)
    if name == "wild":
        output, clean = 3 * draw.random(shape, np.float32) - 1, draw.random(shape, np.float32)
        return output, np.where(draw.random(shape, np.float32) < 0.2, np.rint(clean), clean)
    if name == "noise":
        return draw.random(shape, np.float32), draw.random(shape, np.float32)
    count, height, width, channels = shape
    y, x, waves = np.arange(height)[:, None, None], np.arange(width)[:, None], np.arange(1, channels + 1)
    photo = 0.5 + 0.3 * np.sin(0.11 * waves * x + 0.07 * y) + 0.2 * np.sin(0.9 * y + 0.05 * waves * x)
    clean = np.stack([photo, 1 - photo[::-1]][:count]).astype(np.float32)
    return clean + np.float32(0.2) * (draw.random(shape, np.float32) - np.float32(0.5)), clean


def sample(gradient: np.ndarray) -> list[float]:
    """A few elements of a gradient, evenly spread."""
    flat = gradient.ravel()
    return [float(value) for value in flat[np.linspace(0, flat.size - 1, 12).astype(int)]]


def cases() -> list[tuple[str, dict[str, Any], str, Callable[[Any, Any], Any]]]:
    """(loss, options, pair, function of (clean, output) to a value)."""
    import keras
    import tensorflow as tf

    plain = [
        ("mse", {}, keras.losses.MeanSquaredError()),
        ("mae", {}, keras.losses.MeanAbsoluteError()),
        ("bce", {}, keras.losses.BinaryCrossentropy()),
        ("logcosh", {}, keras.losses.LogCosh()),
        ("mape", {}, keras.losses.MeanAbsolutePercentageError()),
        ("huber", {}, keras.losses.Huber()),
        ("huber", {"delta": 0.2}, keras.losses.Huber(delta=0.2)),
        ("psnr", {}, lambda clean, output: -tf.reduce_mean(tf.image.psnr(output, clean, 1.0))),
    ]

    def similarity(compute: Callable[..., Any], window: int) -> Callable[[Any, Any], Any]:
        return lambda clean, output: 1 - tf.reduce_mean(compute(output, clean, 1.0, filter_size=window))

    structural = [
        ("ssim", {}, IMAGES | LARGE, similarity(tf.image.ssim, 11)),
        ("ms-ssim", {}, LARGE, similarity(tf.image.ssim_multiscale, 11)),
        ("ssim", {"window": 7}, IMAGES, similarity(tf.image.ssim, 7)),
        ("ms-ssim", {"window": 7}, SMALL, similarity(tf.image.ssim_multiscale, 7)),
    ]
    return [
        *((loss, options, name, function) for loss, options, function in plain for name in PIXELS),
        *((loss, options, name, function) for loss, options, names, function in structural for name in names),
    ]


def main() -> None:
    import keras
    import tensorflow as tf

    found = []
    for loss, options, name, function in cases():
        output, clean = (tf.constant(images) for images in pair(name))
        with tf.GradientTape() as tape:
            tape.watch(output)
            value = function(clean, output)
        gradient = tape.gradient(value, output).numpy()
        total = float(np.abs(gradient).sum(dtype=np.float64))
        found.append(
            {"loss": loss, "options": options, "pair": name, "value": float(value)}
            | {"gradient_sum": total, "gradient": sample(gradient)}
        )
    made_by = {"tensorflow": tf.__version__, "keras": keras.__version__}
    VALUES.write_text(json.dumps({"made_by": made_by, "cases": found}, indent=1) + "\n")
    sys.stdout.write(f"{VALUES}\n")


if __name__ == "__main__":
    main()
