"""Darker patches: exact in linear light, the same however they are made, and refused where they make no sense."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from degrain.errors import ParamsError
from degrain.noise import srgb
from degrain.patches.store import PatchStore
from degrain.training.batches import Batches
from degrain.training.device_batches import DeviceBatches
from degrain.training.exposure import Exposure
from tests.conftest import Whole
from tests.training.test_batches import (
    UNEVEN,
    Stores,
    Trials,
    make_store,
    make_trial,
    pixels,
    same,
    with_real_noise,
)

__all__ = ["make_store", "make_trial"]

DARKER: dict[str, Any] = UNEVEN | {"exposure": [0.05, 0.5]}
depths = pytest.mark.parametrize("bits", [8, 16])


@depths
def test_each_patch_keeps_its_share_of_light(bits: int, make_store: Stores, make_trial: Trials) -> None:
    store = make_store(bits=bits)
    _, bright = pixels(Batches(make_trial(**UNEVEN), store).epoch(1))
    _, dark = pixels(Batches(make_trial(**DARKER), store).epoch(1))
    exposure = Exposure.draw((0.05, 0.5), store, 0, 1, 11)
    assert exposure is not None
    shares = exposure.shares[:, None, None, None]
    assert exposure.shares.min() >= 0.05
    assert exposure.shares.max() <= 0.5
    assert len(set(exposure.shares.tolist())) == 11
    expected = srgb.from_linear(shares * srgb.to_linear(bright))
    assert np.abs(dark - expected).max() <= 0.5001 / (2**bits - 1)


def test_shares_are_spread_evenly_in_their_logarithm(make_store: Stores) -> None:
    exposure = Exposure.draw((0.01, 1.0), make_store(), 0, 0, 20_000)
    assert exposure is not None
    assert np.histogram(np.log10(exposure.shares), 4, (-2, 0))[0] == pytest.approx([5000] * 4, rel=0.05)


def test_the_noise_of_a_dark_patch_is_that_of_its_light(make_store: Stores, make_trial: Trials) -> None:
    store = make_store(noise=Whole(kind="shot_read", beta1=0.01, beta2=0.0, clip=False))
    noisy, dark = pixels(Batches(make_trial(patches_per_epoch=60, exposure=[0.1, 0.1]), store).epoch(0))
    light = srgb.to_linear(dark)
    added = srgb.to_linear(np.clip(noisy, 0, 1)) - light
    lit = (light > 0.02) & (light < 0.08)
    assert (added[lit] ** 2 / light[lit]).mean() == pytest.approx(0.01, rel=0.1)


@depths
def test_darker_patches_do_not_depend_on_how_they_are_made(bits: int, make_store: Stores, make_trial: Trials) -> None:
    trial, store = make_trial(**DARKER), make_store(bits=bits)
    whole = list(Batches(trial, store).epoch(1))
    assert same(whole[1:], Batches(trial, store).epoch(1, start=1))
    assert same(whole, Batches(make_trial(**DARKER | {"batch_size": 3}), store).epoch(1))
    ranks = [list(Batches(trial, store, rank=rank, world=2).epoch(1)) for rank in range(2)]
    assert same(whole, [pair for shares in zip(*ranks, strict=True) for pair in shares])
    device = DeviceBatches(trial, store, torch.device("cpu"))
    for start in range(3):
        assert np.array_equal(pixels(whole[start:])[1], pixels(device.epoch(1, start))[1])


def test_a_share_of_one_changes_nothing(make_store: Stores, make_trial: Trials) -> None:
    store = make_store()
    plain = Batches(make_trial(**UNEVEN), store).epoch(0)
    assert same(plain, Batches(make_trial(**UNEVEN, exposure=[1, 1]), store).epoch(0))


@pytest.mark.parametrize(
    "of", [lambda make: make(copies=2), lambda make: with_real_noise(make())], ids=["copies", "real noise"]
)
def test_what_has_fixed_noise_does_not_become_darker(
    of: Callable[[Stores], PatchStore], make_store: Stores, make_trial: Trials
) -> None:
    with pytest.raises(ParamsError, match="only patches with fresh noise can become darker"):
        next(Batches(make_trial(**DARKER), of(make_store)).epoch(0))


def test_linear_light_does_not_become_darker(make_store: Stores, make_trial: Trials) -> None:
    store = make_store()
    linear = dataclasses.replace(store, record=store.record.model_copy(update={"light": "linear"}))
    with pytest.raises(ParamsError, match="only sRGB images can become darker"):
        next(Batches(make_trial(**DARKER), linear).epoch(0))


def test_the_least_share_comes_first(make_trial: Trials) -> None:
    with pytest.raises(ValidationError, match=r"the least share of light, 0\.5, exceeds the most, 0\.1"):
        make_trial(exposure=[0.5, 0.1])
