"""Training: the same bits every time, nothing trained twice, one bad cell alone."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from degrain import environment
from degrain.errors import Diverged, ParamsError, TrainingError
from degrain.images.store import PatchStore
from degrain.params import OptimizerParams, Params
from degrain.training import loop
from degrain.trials import grid, processes
from degrain.training.batches import Batches
from degrain.trials.ledger import Ledger
from degrain.trials.records import read_trials
from degrain.training.trial import Trial, expand
from tests.conftest import manifest_of, picture, prepare, save

CPU = torch.device("cpu")
SHORT = {"epochs": 2, "patches_per_epoch": 12, "batch_size": 4, "models": ["unet"]}


@pytest.fixture
def trials(make_params: Callable[..., Params]) -> list[Trial]:
    return expand(make_params(train=SHORT).train, "unet")


def weights(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in sorted(folder.rglob("weights.safetensors"))}


def test_the_grid_is_every_optimizer_with_every_loss_and_seed(make_params: Callable[..., Params]) -> None:
    params = make_params(train={"losses": ["mse", "mae"], "seeds": [0, 1]}).train
    names = [trial.name for trial in expand(params, "unet")]
    assert len(set(names)) == len(names) == 8
    assert "unet-adadelta-mae-seed1" in names
    with pytest.raises(ParamsError, match=r"not in train\.models"):
        expand(params, "bernier2021")


def test_batches_depend_on_seed_and_epoch_alone(store: PatchStore, trials: list[Trial]) -> None:
    def pixels(trial: Trial, epoch: int) -> list[bytes]:
        return [tensor.numpy().tobytes() for pair in Batches(trial, store).epoch(epoch) for tensor in pair]

    adam, adadelta = trials
    assert pixels(adam, 1) == pixels(adadelta, 1)
    assert pixels(adam, 0) != pixels(adam, 1)
    other_seed = Trial(adam.model, adam.optimizer, adam.loss, 5, adam.params)
    assert pixels(adam, 0) != pixels(other_seed, 0)


def test_batches_are_noisy_and_clean_versions_of_training_patches(store: PatchStore, trials: list[Trial]) -> None:
    batches = list(Batches(trials[0], store).epoch(0))
    assert [len(clean) for _, clean in batches] == [4, 4, 4]
    noise = torch.cat([noisy - clean for noisy, clean in batches])
    assert noise.std().item() == pytest.approx(25 / 255, rel=0.1)
    means = sorted(round(float(c.mean()), 5) for _, clean in batches for c in clean)
    assert means == sorted(round(float(p.mean() / 255), 5) for p in store.split("train").clean)


def other_store(folder: Path, make_params: Callable[..., Params], **change: Any) -> PatchStore:
    """The three images prepared in another way."""
    for seed, name in enumerate("abc"):
        save(folder / "images" / f"{name}.png", picture(seed))
    settings = {"patch_size": 32, "stride": 32, "min_std": 0.0, "split": {"val": ["b"], "test": ["c"]}} | change
    table = manifest_of(folder / "images")
    return prepare(folder / "other", folder / "images", table, make_params(prepare=settings))


def whole_epochs(trial: Trial, store: PatchStore) -> list[dict[bytes, list[bytes]]]:
    """For each of two epochs: for each clean patch its noisy versions, as bytes."""
    batches = Batches(trial, store)
    epochs = []
    for epoch in range(2):
        seen: dict[bytes, list[bytes]] = {}
        for noisy, clean in batches.epoch(epoch):
            for pair in zip(noisy, clean, strict=True):
                one, other = (image.numpy().tobytes() for image in pair)
                seen.setdefault(other, []).append(one)
        epochs.append(seen)
    return epochs


def test_fixed_copies_have_the_same_noise_in_every_epoch(tmp_path: Path, make_params: Callable[..., Params]) -> None:
    trial = expand(make_params(train=SHORT | {"patches_per_epoch": 0, "augment": "none"}).train, "unet")[0]
    first, second = whole_epochs(trial, other_store(tmp_path, make_params, copies=3))
    assert len(first) == 12
    assert all(len(set(copies)) == 3 for copies in first.values())
    assert {clean: sorted(noisy) for clean, noisy in first.items()} == {c: sorted(n) for c, n in second.items()}


def test_fresh_noise_differs_in_every_epoch(store: PatchStore, make_params: Callable[..., Params]) -> None:
    trial = expand(make_params(train=SHORT | {"patches_per_epoch": 0, "augment": "none"}).train, "unet")[0]
    first, second = whole_epochs(trial, store)
    assert set(first) == set(second)
    assert all(first[clean] != second[clean] for clean in first)


def test_real_pairs_stay_pairs_when_they_are_turned(tmp_path: Path, make_params: Callable[..., Params]) -> None:
    store = other_store(tmp_path, make_params)
    train = store.folder / "train"
    np.save(train / "noisy.npy", 255 - np.load(train / "clean.npy"))
    trial = expand(make_params(train=SHORT).train, "unet")[0]
    for noisy, clean in Batches(trial, store).epoch(0):
        assert torch.allclose(noisy, 1 - clean, atol=1e-6)


def test_a_network_learns(store: PatchStore, trials: list[Trial], make_params: Callable[..., Params]) -> None:
    longer = make_params(train=SHORT | {"epochs": 12, "warmup_steps": 0}).train
    history: list[loop.Epoch] = []
    trial = Trial("unet", longer.optimizers[0], "mse", 0, longer)
    loop.train(trial, store, environment.prepare_torch("cpu", 1), history.append)
    assert [epoch.epoch for epoch in history] == list(range(1, 13))
    assert history[-1].train_loss < 0.5 * history[0].train_loss
    assert history[-1].val_psnr > history[0].val_psnr > 19


def test_training_gives_the_same_bits_alone_and_side_by_side(
    store: PatchStore, trials: list[Trial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, cores in (("alone", "1"), ("together", "2")):
        monkeypatch.setenv("DEGRAIN_THREADS", cores)
        grid.run(trials, store, CPU, Ledger(tmp_path / name / "ledger"), tmp_path / name / "out")
    assert len(weights(tmp_path / "alone" / "out")) == 2
    assert weights(tmp_path / "alone" / "out") == weights(tmp_path / "together" / "out")


def test_done_trials_are_taken_from_the_ledger(store: PatchStore, trials: list[Trial], tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    grid.run(trials[:1], store, CPU, ledger, tmp_path / "out")
    (entry,) = ledger.folder.iterdir()
    before = entry.stat().st_mtime_ns, weights(tmp_path / "out")
    grid.run(trials, store, CPU, ledger, tmp_path / "out")
    assert len(list(ledger.folder.iterdir())) == 2
    assert entry.stat().st_mtime_ns == before[0]
    assert weights(tmp_path / "out").items() >= before[1].items()


def test_a_damaged_entry_is_set_aside_and_trained_again(store: PatchStore, trials: list[Trial], tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    grid.run(trials[:1], store, CPU, ledger, tmp_path / "out")
    before = weights(tmp_path / "out")
    (entry,) = ledger.folder.iterdir()
    file = entry / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    grid.run(trials[:1], store, CPU, ledger, tmp_path / "out")
    assert weights(tmp_path / "out") == before
    assert entry.with_name(f"{entry.name}.damaged").is_dir()


def test_the_key_changes_with_everything_that_decides_the_result(
    store: PatchStore, trials: list[Trial], make_params: Callable[..., Params]
) -> None:
    trial = trials[0]
    keys = {trial.key(store, "cpu"), trials[1].key(store, "cpu")}
    changes: list[dict[str, Any]] = [{"epochs": 3}, {"batch_size": 5}, {"schedule": "constant"}, {"augment": "none"}]
    for change in changes:
        keys.add(expand(make_params(train=SHORT | change).train, "unet")[0].key(store, "cpu"))
    keys.add(Trial("sinha2018", trial.optimizer, trial.loss, 0, trial.params).key(store, "cpu"))
    keys.add(Trial("unet", trial.optimizer, "mae", 0, trial.params).key(store, "cpu"))
    keys.add(Trial("unet", trial.optimizer, trial.loss, 1, trial.params).key(store, "cpu"))
    keys.add(trial.key(store, "cuda"))
    assert len(keys) == 2 + len(changes) + 4
    other_device = expand(make_params(train=SHORT | {"device": "cpu"}).train, "unet")[0]
    assert other_device.key(store, "cpu") in keys


def test_a_trial_that_diverges_is_recorded_and_takes_no_other_with_it(
    store: PatchStore, make_params: Callable[..., Params], tmp_path: Path
) -> None:
    wild = OptimizerParams(name="adam", label="wild", lr=1e30)
    params = make_params(train=SHORT | {"optimizers": ["adam", wild.model_dump()]}).train
    grid.run(expand(params, "unet"), store, CPU, Ledger(tmp_path / "ledger"), tmp_path / "trials" / "unet")
    states = {trial["name"]: trial for trial in read_trials(tmp_path / "trials", ["unet"])}
    assert states["unet-adam-mse"]["state"] == "done"
    assert states["unet-wild-mse"]["state"] == "diverged"
    assert "the loss became" in states["unet-wild-mse"]["reason"]
    assert list(weights(tmp_path / "trials")) == ["unet-adam-mse"]


def test_diverging_stops_at_once(store: PatchStore, trials: list[Trial]) -> None:
    wild = OptimizerParams(name="adam", lr=1e30)
    with pytest.raises(Diverged, match="epoch 1"):
        loop.train(Trial("unet", wild, "mse", 0, trials[0].params), store, CPU)


def test_what_a_trial_leaves_is_complete(store: PatchStore, trials: list[Trial], tmp_path: Path) -> None:
    grid.run(trials[:1], store, CPU, Ledger(tmp_path / "ledger"), tmp_path / "out")
    folder = tmp_path / "out" / "unet-adam-mse"
    trial = json.loads((folder / "trial.json").read_text())
    history = pd.read_csv(folder / "history.csv")
    assert trial["state"] == "done"
    assert trial["optimizer_settings"]["betas"] == [0.9, 0.95]
    assert trial["noise"] == {"kind": "gaussian", "sigma": 25.0, "clip": True}
    assert trial["parameters"] == 134_284
    assert history["epoch"].tolist() == [1, 2]
    assert history["val_psnr"].iloc[-1] == pytest.approx(trial["val_psnr"])
    assert np.isfinite(history.to_numpy()).all()


def slow(tell: Callable[[Any], None]) -> None:
    tell("started")
    time.sleep(60)


def failing(tell: Callable[[Any], None]) -> None:
    raise ValueError("a bug")


def test_a_killed_worker_is_reported_in_one_line() -> None:
    def kill(_name: str, _event: Any) -> None:
        for child in Path("/proc").glob("[0-9]*/stat"):
            fields = child.read_text().rsplit(")", 1)[1].split()
            if fields[1] == str(processes.forkserver._forkserver._forkserver_pid):
                os.kill(int(child.parent.name), signal.SIGKILL)

    if not Path("/proc/self/stat").exists():
        pytest.skip("finds the worker in /proc, which only Linux has")
    with pytest.raises(TrainingError, match="was killed"):
        processes.run(slow, {"a": (), "b": ()}, 2, kill)


def test_an_error_in_a_worker_reaches_the_caller() -> None:
    with pytest.raises(ValueError, match="a bug"):
        processes.run(failing, {"a": (), "b": ()}, 2, lambda *_: None)


def test_a_trial_keeps_its_place_when_the_study_gets_more_seeds(
    store: PatchStore, make_params: Callable[..., Params], tmp_path: Path
) -> None:
    from degrain.inference.denoiser import Denoiser

    ledger = Ledger(tmp_path / "ledger")
    for seeds in ([0], [0, 1]):
        params = make_params(train=SHORT | {"optimizers": ["adam"], "seeds": seeds}).train
        grid.run(expand(params, "unet"), store, CPU, ledger, tmp_path / "trials" / "unet")
    assert len(list(ledger.folder.iterdir())) == 2
    for trial in read_trials(tmp_path / "trials", ["unet"]):
        assert Denoiser.load(tmp_path / "trials" / "unet" / trial["name"]).trial["name"] == trial["name"]


def test_weights_that_became_nan_are_never_called_done(
    store: PatchStore, trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Poisoned(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            with torch.no_grad():
                self.param_groups[0]["params"][0].fill_(float("nan"))

    monkeypatch.setattr(loop.optimizers, "build", lambda _params, weights: Poisoned(weights, lr=0.1))
    one_step = trials[0].params.model_copy(update={"patches_per_epoch": 4})
    with pytest.raises(Diverged, match="a weight became NaN"):
        loop.train(Trial("unet", trials[0].optimizer, "mse", 0, one_step), store, CPU)
