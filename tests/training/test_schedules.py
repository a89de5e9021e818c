"""Schedules in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from degrain.params.train import TrainParams
from degrain.training import schedules


def shares(steps: int = 100, steps_per_epoch: int = 10, **options: Any) -> np.ndarray:
    params = TrainParams(models=["unet"], optimizers=["adam"], losses=["mse"], **options)
    return np.array([schedules.share(params, step, steps, steps_per_epoch) for step in range(steps)])


def test_constant_is_one() -> None:
    assert (shares(schedule="constant") == 1).all()


def test_step_falls_after_every_so_many_epochs() -> None:
    found = shares(schedule="step", step_epochs=4, step_factor=0.1)
    np.testing.assert_allclose(found, [1] * 40 + [0.1] * 40 + [0.01] * 20, rtol=1e-12)


def test_step_falls_after_the_epochs_of_a_list() -> None:
    found = shares(schedule="step", step_epochs=[6, 9], step_factor=0.1)
    np.testing.assert_allclose(found, [1] * 60 + [0.1] * 30 + [0.01] * 10, rtol=1e-12)


def test_cosine_falls_from_one_to_almost_zero() -> None:
    found = shares(schedule="cosine")
    np.testing.assert_allclose(found, np.cos(np.pi / 200 * np.arange(100)) ** 2, rtol=1e-9)
    assert found[0] == 1
    assert found[50] == pytest.approx(0.5)
    assert 0 < found[-1] < 0.001


@pytest.mark.parametrize("schedule", ["constant", "step", "cosine"])
def test_warm_up_multiplies_by_a_linear_rise(schedule: str) -> None:
    factors = shares(schedule=schedule, warmup_steps=9) / shares(schedule=schedule)
    np.testing.assert_allclose(factors, np.minimum(1, np.arange(1, 101) / 10), rtol=1e-12)


def test_without_warm_up_the_first_step_has_the_whole_rate() -> None:
    assert shares(schedule="cosine", warmup_steps=0)[0] == 1
