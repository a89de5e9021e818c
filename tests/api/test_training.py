"""Patch stores of arrays and folders, and training one trial in the present process."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import degrain
from degrain.artifacts.history import Epoch
from degrain.networks import catalog
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.training import loop
from degrain.training.trial import expand
from tests.conftest import grainy, picture, save

QUICK: dict[str, Any] = {"epochs": 2, "batch_size": 2, "patches_per_epoch": 4, "threads": 1}


def weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([one.detach().flatten() for one in network.state_dict().values()])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_a_store_of_arrays_holds_their_pixels(tmp_path: Path, dtype: type) -> None:
    white = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    images = [(picture(seed, 32, 64) / 255 * white).astype(dtype) for seed in range(3)]
    split = {"val": ["image-001"], "test": ["image-002"]}
    bits = 8 if dtype is np.uint8 else 16
    store = degrain.prepare(images, tmp_path / "store", patch_size=32, bits=bits, **split)
    clean = store.split("train").clean
    assert clean.shape == (2, 32, 32, 3)
    scale = np.iinfo(clean.dtype).max
    assert np.allclose(np.concatenate(list(clean), axis=1) / scale, images[0] / white, atol=1e-4)
    assert store.noise.kind == "gaussian"
    assert degrain.open_store(tmp_path / "store").sha256 == store.sha256


def test_a_store_of_pairs_holds_both(tmp_path: Path) -> None:
    clean, noisy = ([make(seed, 32, 32) for seed in range(3)] for make in (picture, grainy))
    split = {"val": ["image-001"], "test": ["image-002"]}
    of_arrays = degrain.prepare(clean, tmp_path / "one", noisy=noisy, patch_size=32, **split)
    train = of_arrays.split("train")
    assert train.noisy is not None
    assert np.array_equal(train.clean[0], clean[0])
    assert np.array_equal(train.noisy[0], noisy[0])
    for number in range(3):
        save(tmp_path / "pairs" / "clean" / f"image-00{number}.png", clean[number])
        save(tmp_path / "pairs" / "noisy" / f"image-00{number}.png", noisy[number])
    assert degrain.prepare(tmp_path / "pairs", tmp_path / "two", "real", patch_size=32, **split).sha256 == (
        of_arrays.sha256
    )


def test_a_store_takes_the_place_of_another_one_and_of_nothing_else(tmp_path: Path) -> None:
    images = [picture(seed, 32, 32) for seed in range(3)]
    first = degrain.prepare(images, tmp_path / "store", patch_size=32)
    second = degrain.prepare(images, tmp_path / "store", {"kind": "gaussian", "sigma": 5}, patch_size=32)
    assert first.sha256 != second.sha256
    save(tmp_path / "photos" / "mine.png", images[0])
    with pytest.raises(degrain.OutputError, match="photos holds something else than a patch store"):
        degrain.prepare(images, tmp_path / "photos", patch_size=32)
    assert (tmp_path / "photos" / "mine.png").is_file()


def test_a_trial_gets_the_weights_of_the_training_loop(store: PatchStore, make_params: Callable[..., Params]) -> None:
    params = make_params(
        prepare=store.record.params.model_dump(include={"patch_size", "stride", "split", "min_std"}),
        train={**QUICK, "models": ["unet"], "optimizers": ["adam"], "device": "cpu"},
    )
    state = loop.train(expand(params.train, "unet")[0], store, torch.device("cpu"))
    from_study = degrain.train_from_study("unet-adam-mse", params, store)
    assert torch.equal(weights(from_study.denoiser.network), weights(state.network))
    epochs: list[Epoch] = []
    defaults = params.train.model_dump(exclude={"models", "optimizers", "losses", "pairs", "seeds", "device"})
    by_call = degrain.train(store.folder, "unet", device="cpu", on_epoch=epochs.append, **defaults)
    assert torch.equal(weights(by_call.denoiser.network), weights(state.network))
    with pytest.raises(degrain.DataError, match=r"prepared with another .*prepare\.patch_size"):
        degrain.train_from_study("unet-adam-mse", make_params(prepare={"patch_size": 48}), store.folder)
    assert [one.val_psnr for one in epochs] == list(by_call.history["val_psnr"])
    assert by_call.record.val_psnr == epochs[-1].val_psnr
    assert repr(by_call) == f"TrainedTrial(unet-adam-mse, 2 epochs, val_psnr={epochs[-1].val_psnr:.2f} dB)"


def test_training_leaves_pytorch_as_it_was(store: PatchStore) -> None:
    def settings() -> tuple[Any, ...]:
        told = torch.get_num_threads(), torch.get_deterministic_debug_mode(), torch.backends.cudnn.benchmark
        return torch.get_rng_state().tolist(), torch.utils.deterministic.fill_uninitialized_memory, *told

    before = settings()
    degrain.train(store, **QUICK)
    assert settings() == before


def test_a_ledger_takes_what_is_trained_already(store: PatchStore, tmp_path: Path) -> None:
    trained = [degrain.train(store, folder=tmp_path / "ledger", **QUICK) for _ in range(2)]
    assert trained[0].record == trained[1].record
    table = degrain.read_ledger(tmp_path / "ledger")
    assert table[["name", "state", "epochs_done"]].to_numpy().tolist() == [["unet-adam-mse", "done", 2]]
    told = degrain.read_history(tmp_path / "ledger" / table["folder"][0])
    assert told.equals(trained[0].history)


def test_a_trial_that_is_saved_is_loaded(store: PatchStore, tmp_path: Path) -> None:
    trained = degrain.train(store, **QUICK)
    trained.save(tmp_path / "model")
    trained.save(tmp_path / "model")
    loaded = degrain.load(tmp_path / "model", device="cpu")
    assert loaded.trial == trained.record
    noisy = grainy(0, 40, 50)
    assert np.array_equal(loaded(noisy), trained.denoiser(noisy))
    assert degrain.read_history(tmp_path / "model").equals(trained.history)
    (tmp_path / "mine").mkdir()
    with pytest.raises(degrain.OutputError, match="mine is there already and holds no trial"):
        trained.save(tmp_path / "mine")


def test_a_trial_that_diverges_is_an_error(store: PatchStore) -> None:
    with pytest.raises(degrain.TrainingError, match="unet-adam-mse diverged: "):
        degrain.train(store, optimizer={"name": "adam", "lr": 1e30}, **QUICK)


MINE = """
import degrain
from torch import nn

@degrain.register_network("mine", radius={radius})
def mine(channels, size):
    return nn.Conv2d(channels, channels, {width}, padding="same")
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    """Runs a file that declares a network."""
    monkeypatch.setattr(catalog, "MODELS", dict(catalog.MODELS))

    def declare(text: str = MINE, **change: int) -> ModuleType:
        path = tmp_path / "mine.py"
        path.write_text(text.format(**{"radius": 1, "width": 3, **change}))
        spec = importlib.util.spec_from_file_location("mine", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield declare
    sys.modules.pop("mine", None)


def test_a_network_of_ones_own_belongs_to_its_file(
    mine: Callable[..., ModuleType], store: PatchStore, tmp_path: Path
) -> None:
    mine()
    assert "mine" in degrain.list_networks()
    trained = degrain.train(store, "mine", folder=tmp_path / "ledger", **QUICK)
    trained.save(tmp_path / "model")
    mine()  # the same file once more
    degrain.load(tmp_path / "model")
    assert degrain.train(store, "mine", folder=tmp_path / "ledger", **QUICK).record == trained.record
    mine(MINE + "\n# changed\n")
    with pytest.raises(degrain.ModelError, match="other code of mine"):
        degrain.load(tmp_path / "model")
    assert degrain.train(store, "mine", folder=tmp_path / "ledger", **QUICK).record.key != trained.record.key


def test_a_network_that_reaches_farther_than_it_says_is_refused(
    mine: Callable[..., ModuleType], store: PatchStore
) -> None:
    mine(width=5)
    with pytest.raises(degrain.ParamsError, match=r"mine\.py: mine declares radius=1, and its outputs depend on"):
        degrain.train(store, "mine", **QUICK)


def test_a_declaration_that_cannot_be_is_refused() -> None:
    with pytest.raises(degrain.ParamsError, match="a network of degrain is called 'unet' already"):
        degrain.register_network("unet", radius=1)
    with pytest.raises(degrain.ParamsError, match="half needs a receptive radius"):
        degrain.register_network("half")(lambda channels, size: torch.nn.Identity())
    with pytest.raises(degrain.ParamsError, match="cannot be called with 2 arguments"):
        degrain.register_network("half", radius=1)(lambda channels: torch.nn.Identity())
    assert "half" not in degrain.list_networks()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda s: degrain.train(s, "unett"), degrain.ModelError, "did you mean 'unet'?"),
        (lambda s: degrain.train(s, epoch=2), degrain.ParamsError, "train.epoch is not a parameter.*'epochs'"),
        (lambda s: degrain.train(s, loss="mes"), degrain.ParamsError, "train.losses.0.name is 'mes'.*'mse'"),
        (lambda s: degrain.train(s, optimizer="adamm"), degrain.ParamsError, "'adamm': there is none.*'adam'"),
        (lambda s: degrain.train(s, models=["unet"]), degrain.ParamsError, "models: one trial is trained"),
        (lambda s: degrain.train(s, loss="bce"), degrain.ParamsError, "bce with unet"),
        (lambda s: degrain.train(s, device="gpu"), degrain.ParamsError, "device is 'gpu'"),
        (lambda s: degrain.train(s.folder / "train"), degrain.DataError, "store.json is missing"),
        (lambda s: degrain.prepare([], s.folder / "x"), degrain.DataError, "holds no image"),
        (lambda s: degrain.prepare("nowhere", s.folder / "x"), degrain.DataError, "nowhere is no folder"),
        (lambda s: degrain.prepare([np.zeros((2, 2, 8, 8, 3))], s.folder / "x"), degrain.DataError, "image-000 has"),
        (lambda s: degrain.prepare([picture(0)], s.folder / "x", "real"), degrain.ParamsError, "noisy images, too"),
        (lambda s: degrain.prepare([picture(0)], s.folder / "x", pach_size=8), degrain.ParamsError, "'patch_size'"),
        (lambda s: degrain.prepare([picture(0)] * 3, s.folder / "x"), degrain.DataError, "on two sides"),
    ],
)
def test_mistakes_are_one_line(
    store: PatchStore, call: Callable[[PatchStore], Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        call(store)
    assert "\n" not in str(caught.value)


def test_a_study_without_that_trial_names_the_nearest(tmp_path: Path, tiny: dict[str, Any]) -> None:
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tiny))
    with pytest.raises(degrain.ParamsError, match="did you mean 'unet-adam-mse'"):
        degrain.train_from_study("unet-adm-mse", tmp_path / "params.yaml")
