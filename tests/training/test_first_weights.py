"""Trials that begin with the weights of a model that ships: the very weights, in the key, and of nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from degrain import files
from degrain.artifacts.trial import TRIAL, WEIGHTS, Place
from degrain.errors import ModelError, ParamsError
from degrain.networks import catalog as networks
from degrain.params.study import Params
from degrain.shipped import catalog
from degrain.studies import check
from degrain.training import first_weights, loop
from tests.artifacts import records
from tests.training.test_batches import Stores, Trials, make_store, make_trial

__all__ = ["make_store", "make_trial"]

CPU = torch.device("cpu")


@pytest.fixture
def ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], dict[str, torch.Tensor]]:
    """Let a U-Net of some random weights ship as `tried`, instead of what does."""
    monkeypatch.setattr(catalog, "FOLDER", tmp_path / "shipped")

    def shipped(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        network = networks.spec("unet").build(3, 32)
        weights = {name: torch.rand_like(value) / 100 for name, value in network.state_dict().items()}
        folder = tmp_path / "shipped" / "tried"
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(exist_ok=True)
        records.model(folder, "")
        save_file(weights, folder / WEIGHTS)
        records.rewrite(folder / TRIAL, sha256={WEIGHTS: files.sha256(folder / WEIGHTS)})
        return weights

    return shipped


Ship = Callable[[int], dict[str, torch.Tensor]]


def test_a_trial_begins_with_them(ship: Ship, make_store: Stores, make_trial: Trials) -> None:
    weights, store = ship(0), make_store()
    state = loop.begin(make_trial(start="tried", ema=0.9), 3, 32, CPU)
    assert state.averaged is not None
    for network in (state.network, state.averaged.module):
        begun = network.state_dict()
        assert begun.keys() == weights.keys()
        assert all(torch.equal(begun[name], value) for name, value in weights.items())
    trained = loop.train(make_trial(start="tried", epochs=1), store, CPU).network.state_dict()
    assert not all(torch.equal(trained[name], value) for name, value in weights.items())


def test_their_bits_are_part_of_the_key_and_are_recorded(ship: Ship, make_store: Stores, make_trial: Trials) -> None:
    store, place = make_store(), Place(device="cpu")
    plain, started = make_trial(), make_trial(start="tried")
    keys = {plain.key(store, place)}
    for seed in range(2):
        ship(seed)
        keys.add(started.key(store, place))
        settings = started.settings(store)
        assert settings.training["start"] == "tried"
        assert settings.training["start_sha256"] == first_weights.record("tried").weights_sha256
    assert len(keys) == 3
    assert "start" not in plain.settings(store).training


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train": {"start": "tired"}}, "train.start: no model 'tired' comes with degrain; did you mean 'tried'?"),
        ({"train": {"models": ["resunet-small"]}}, "tried is for the network unet, and this study for resunet-small"),
        ({"prepare": {"color": "gray"}}, "tried is for images of so many channels: 3, and this study for 1"),
    ],
)
def test_they_are_refused_for_other_networks_and_images(
    ship: Ship, make_params: Callable[..., Params], change: dict[str, Any], words: str
) -> None:
    ship(0)
    params = make_params(**{"train": {"models": ["unet"]}})
    train = {"models": ["unet"], "start": "tried"} | change.pop("train", {})
    with pytest.raises(ParamsError) as caught:
        check.check(make_params(**change, train=train))
    assert words in str(caught.value)
    check.check(params)


def test_what_is_known_only_from_the_store_is_refused_then(ship: Ship, make_store: Stores, make_trial: Trials) -> None:
    ship(0)
    with pytest.raises(ParamsError, match="images of so many channels: 3, and this study for 1"):
        loop.train(make_trial(start="tried"), make_store(color="gray"), CPU)


def test_damaged_weights_are_refused(ship: Ship, tmp_path: Path, make_trial: Trials) -> None:
    ship(0)
    path = tmp_path / "shipped" / "tried" / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelError, match="damaged"):
        loop.begin(make_trial(start="tried"), 3, 32, CPU)
