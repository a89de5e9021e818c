"""The paths that Keras's optimizers take, for tests/optimizers/test_optimizers.py to compare with.

Needs TensorFlow 2.21 with Keras 3, which degrain does not depend on; with an environment that has them:

    python -m benchmarks.peers.optimizer_paths

It writes tests/optimizers/optimizer_paths.json: for each optimizer and set of options all weights after some of the
steps, in float64. Gradients and learning rates are not in it: `gradients` and `shares` make them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

PATHS = Path(__file__).parents[2] / "tests" / "optimizers" / "optimizer_paths.json"
STEPS = 40
KEPT = [0, 1, 2, 9, 10, 11, 24, 39]

# Optimizer of degrain -> class of Keras, and the options it is run with; {} has Keras's defaults. The large epsilon
# shows where it stands in the formula.
BETAS = [0.8, 0.95]
CASES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "adadelta": ("Adadelta", [{}, {"lr": 1.0, "rho": 0.9, "eps": 1e-4}]),
    "adagrad": ("Adagrad", [{}, {"lr": 0.01, "eps": 1e-2}]),
    "adam": ("Adam", [{}, {"lr": 0.01, "betas": BETAS, "eps": 1e-4}]),
    "adamax": ("Adamax", [{}, {"lr": 0.01, "betas": BETAS, "eps": 1e-4}]),
    "adamw": ("AdamW", [{}, {"lr": 0.01, "betas": BETAS, "eps": 1e-4, "weight_decay": 0.1}]),
    "nadam": ("Nadam", [{}, {"lr": 0.01, "betas": BETAS, "eps": 1e-4}]),
    "rmsprop": ("RMSprop", [{}, {"momentum": 0.9}, {"lr": 0.01, "rho": 0.8, "eps": 1e-4}]),
    "sgd": ("SGD", [{}, {"momentum": 0.9}, {"lr": 0.1, "momentum": 0.8, "nesterov": True}]),
}
ARGUMENTS = {"lr": "learning_rate", "eps": "epsilon"}


def start() -> np.ndarray:
    """The weights before the first step, float64 (6,)."""
    return np.array([1.0, -0.5, 0.25, -0.125, 0.5, 1.0])


def gradients() -> np.ndarray:
    """The gradients of each step, float64 (STEPS, 6).

    Large; small; about 1e-5 of one sign; as small as epsilon; large, then almost none; none, then some.
    """
    draw = np.random.default_rng(1).normal(size=(STEPS, 6))
    step = np.arange(STEPS)[:, None]
    scale = np.where(step < STEPS // 4, [1, 1e-3, 3e-6, 1e-7, 1, 0], [1, 1e-3, 3e-6, 1e-7, 1e-6, 0.01])
    gradient: np.ndarray = scale * draw + [0, 0, 1e-5, 0, 0, 0]
    return gradient


def shares() -> np.ndarray:
    """The learning rate of each step as a share of the set one, float64 (STEPS,): it falls from 1 to 0.1."""
    rates: np.ndarray = 0.55 + 0.45 * np.cos(np.pi * np.arange(STEPS) / (STEPS - 1))
    return rates


def walk(kind: str, options: dict[str, Any]) -> list[list[float]]:
    """The weights after the steps that are kept."""
    import keras

    arguments = {ARGUMENTS.get(name, name): value for name, value in options.items()}
    if "betas" in arguments:
        arguments["beta_1"], arguments["beta_2"] = arguments.pop("betas")
    optimizer = getattr(keras.optimizers, kind)(**arguments)
    rate = float(optimizer.learning_rate)
    weights = keras.Variable(start())
    optimizer.build([weights])
    path = []
    for gradient, share in zip(gradients(), shares(), strict=True):
        optimizer.learning_rate = rate * share
        optimizer.apply([keras.ops.convert_to_tensor(gradient)])
        path.append([float(value) for value in weights.numpy()])
    return [path[step] for step in KEPT]


def main() -> None:
    import keras
    import tensorflow as tf

    keras.config.set_floatx("float64")
    found = [
        {"name": name, "options": options, "path": walk(kind, options)}
        for name, (kind, variants) in CASES.items()
        for options in variants
    ]
    made_by = {"tensorflow": tf.__version__, "keras": keras.__version__}
    PATHS.write_text(json.dumps({"made_by": made_by, "cases": found}) + "\n")
    sys.stdout.write(f"{PATHS}\n")


if __name__ == "__main__":
    main()
