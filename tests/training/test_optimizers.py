"""Losses, optimizers and schedules against the formulas, written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from degrain.params import OptimizerParams
from degrain.training import losses, optimizers


def test_losses_are_means_over_everything() -> None:
    draw = np.random.default_rng(0)
    output, clean = draw.random((2, 4, 3, 5, 6), dtype=np.float32)
    pair = torch.from_numpy(output), torch.from_numpy(clean)
    assert losses.get("mse")(*pair).item() == pytest.approx(np.mean((output - clean) ** 2), rel=1e-6)
    assert losses.get("mae")(*pair).item() == pytest.approx(np.mean(np.abs(output - clean)), rel=1e-6)


def descend(params: OptimizerParams, steps: int) -> list[float]:
    """Minimise (x - 3)^2 from 0."""
    x = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = optimizers.build(params, [x])
    path = []
    for _ in range(steps):
        optimizer.zero_grad()
        ((x - 3) ** 2).sum().backward()
        optimizer.step()
        path.append(x.item())
    return path


def test_adam_is_kingmas_with_kerass_defaults() -> None:
    x, m, v, expected = 0.0, 0.0, 0.0, []
    for t in range(1, 31):
        g = 2 * (x - 3)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        x -= 0.001 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-7)
        expected.append(x)
    assert descend(OptimizerParams(name="adam"), 30) == pytest.approx(expected, rel=1e-9)


def test_adadelta_is_zeilers_with_kerass_defaults() -> None:
    x, squares, updates, expected = 0.0, 0.0, 0.0, []
    for _ in range(30):
        g = 2 * (x - 3)
        squares = 0.95 * squares + 0.05 * g * g
        step = np.sqrt(updates + 1e-7) / np.sqrt(squares + 1e-7) * g
        updates = 0.95 * updates + 0.05 * step * step
        x -= 1.0 * step
        expected.append(x)
    assert descend(OptimizerParams(name="adadelta"), 30) == pytest.approx(expected, rel=1e-9)


def test_options_of_the_study_replace_defaults() -> None:
    chosen = optimizers.settings(OptimizerParams(name="adam", lr=0.01, betas=(0.8, 0.9)))
    assert chosen == {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-7}


def test_the_cosine_falls_from_one_to_almost_zero_after_a_linear_rise() -> None:
    shares = [optimizers.rate("cosine", step, 100, 9) for step in range(100)]
    assert shares[0] == pytest.approx(0.1)
    assert max(shares) == shares[9] == pytest.approx(0.5 * (1 + np.cos(0.09 * np.pi)))
    assert shares[50] == pytest.approx(0.5)
    assert 0 < shares[-1] < 0.001
    assert [optimizers.rate("constant", step, 100, 0) for step in (0, 50, 99)] == [1, 1, 1]
