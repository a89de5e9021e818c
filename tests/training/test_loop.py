"""The training loop: it learns, it stops and goes on with the same bits, and its options do what they say."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from degrain import files
from degrain.artifacts.history import PACE
from degrain.errors import Diverged, Stopped
from degrain.losses.mse import Mse
from degrain.machine import compute
from degrain.networks import catalog
from degrain.networks.base import ModelSpec
from degrain.optimizers.adam import Adam
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.pixels import to_unit
from degrain.training import gradients, loop, objectives
from degrain.training.batches import Batches
from degrain.training.checkpoints import Checkpoints
from degrain.training.state import State
from degrain.training.trial import Trial, expand

CPU = torch.device("cpu")
SHORT = {"epochs": 2, "patches_per_epoch": 12, "batch_size": 4, "models": ["unet"], "precision": "float32"}
OPTIMIZERS = [
    *({"name": name} for name in ("adadelta", "adagrad", "adam", "adamax", "adamw", "muon", "nadam", "rmsprop")),
    {"name": "sgd", "momentum": 0.9},
    *(
        {"name": name, "preset": preset, "label": f"{name}-{preset}"}
        for preset in ("keras", "tf.keras")
        for name in ("adam", "rmsprop", "nadam", "adamax")
    ),
]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    compute.prepare_torch("cpu", 1)


@pytest.fixture
def make_trial(make_params: Callable[..., Params]) -> Callable[..., Trial]:
    """One trial of two epochs of three steps, with changes: make_trial(ema=0.9)."""

    def make(model: str = "unet", **change: Any) -> Trial:
        settings = SHORT | {"models": [model], "optimizers": ["adam"], "losses": ["mse"]} | change
        return expand(make_params(train=settings).train, model)[0]

    return make


# What reading a file may end with, by what people see.
READING = {"EIO": errno.EIO, "EACCES": errno.EACCES, "ESTALE": errno.ESTALE}


def bits(state: State) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in state.finish().state_dict().items()}


def facts(state: State) -> list[dict[str, float]]:
    """The history without what differs from run to run."""
    return [{**vars(replace(epoch, **dict.fromkeys(PACE, 0.0)))} for epoch in state.history]


def stopped_and_resumed(
    trial: Trial, store: PatchStore, folder: Path, after: list[int], seconds: float = 1e9
) -> tuple[State, int]:
    """Train in pieces, each of so many steps; return the state at the end and how many pieces there were."""
    pieces = 0
    for steps in [*after, 10**6]:
        left = iter(range(steps - 1, -1, -1))
        pieces += 1
        try:
            checkpoints = Checkpoints(folder, "key", seconds)
            state = loop.train(trial, store, CPU, checkpoints=checkpoints, stopping=lambda rest=left: next(rest) == 0)  # type: ignore[misc]
        except Stopped:
            continue
        return state, pieces
    raise AssertionError("never ended")


def test_a_network_learns(store: PatchStore, make_trial: Callable[..., Trial]) -> None:
    trial = make_trial(epochs=12, warmup_steps=0, optimizers=[{"name": "adam", "lr": 0.004}])
    history = loop.train(trial, store, CPU).history
    assert [epoch.epoch for epoch in history] == list(range(1, 13))
    assert history[-1].train_loss < 0.5 * history[0].train_loss
    assert history[-1].val_psnr > history[0].val_psnr > 19


def test_an_enlarged_network_learns_and_its_kernels_stay_short(
    store: PatchStore, make_trial: Callable[..., Trial]
) -> None:
    gentle = loop.train(make_trial("machinecurve2019-x2", ema=0.5), store, CPU)
    assert gentle.history[1].train_loss < gentle.history[0].train_loss
    assert list(gentle.finish().state_dict()) == list(catalog.build("machinecurve2019", 3, 32).state_dict())
    wild = make_trial("machinecurve2019-x2", optimizers=[{"name": "adam", "lr": 2.0}], warmup_steps=0)
    layers = [
        layer
        for layer in loop.train(wild, store, CPU).network.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]
    norms = torch.cat([layer.weight.norm(dim=2).flatten() for layer in layers])
    assert 1.9 < norms.max() < 2.00001


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda settings: settings.get("label", settings["name"]))
def test_a_stopped_trial_goes_on_with_the_same_bits(
    store: PatchStore, make_trial: Callable[..., Trial], tmp_path: Path, optimizer: dict[str, Any]
) -> None:
    trial = make_trial(optimizers=[optimizer])
    whole = loop.train(trial, store, CPU)
    for after in ([1], [2, 1], [3], [4], [6]):
        state, pieces = stopped_and_resumed(trial, store, tmp_path / str(after), after)
        assert pieces == len(after) + 1
        assert bits(state) == bits(whole)
        assert facts(state) == facts(whole)


@pytest.mark.parametrize(
    "change",
    [
        {"ema": 0.8},
        {"keep": "best"},
        {"ema": 0.8, "keep": "best", "clip_norm": 0.01, "accumulate": 2, "batch_size": 2},
        {"model": "bernier2021", "ema": 0.8, "keep": "best"},
        {"losses": [{"name": "sum", "terms": [{"name": "mae"}, {"name": "ssim", "weight": 0.2}]}]},
        {"schedule": "step", "step_epochs": 1, "warmup_steps": 2},
    ],
    ids=str,
)
def test_options_survive_being_stopped(
    store: PatchStore, make_trial: Callable[..., Trial], tmp_path: Path, change: dict[str, Any]
) -> None:
    trial = make_trial(**change)
    whole = loop.train(trial, store, CPU)
    state, _ = stopped_and_resumed(trial, store, tmp_path, [1, 1, 1, 1, 1], seconds=0)
    assert bits(state) == bits(whole)
    assert facts(state) == facts(whole)


def test_a_damaged_or_foreign_checkpoint_is_set_aside(
    store: PatchStore, make_trial: Callable[..., Trial], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trial = make_trial()
    whole = bits(loop.train(trial, store, CPU))
    for number, (name, damage) in enumerate(
        [
            ("checkpoint.json", lambda text: text.replace(b'"step": 2', b'"step": 1')),
            ("checkpoint.json", lambda text: text[:100]),
            ("000000002.safetensors", lambda content: content[:-4] + b"abcd"),
            ("000000002.safetensors", lambda content: content[:50]),
        ]
    ):
        folder = tmp_path / str(number)
        with pytest.raises(Stopped):
            loop.train(
                trial,
                store,
                CPU,
                checkpoints=Checkpoints(folder, "key", 1e9),
                stopping=iter([False, True]).__next__,
            )
        path = folder / name
        path.write_bytes(damage(path.read_bytes()))
        assert bits(stopped_and_resumed(trial, store, folder, [])[0]) == whole
        assert sorted(path.name for path in (folder / "damaged").iterdir()) == [
            "000000002.safetensors",
            "checkpoint.json",
        ]
    with pytest.raises(Stopped):
        loop.train(trial, store, CPU, checkpoints=Checkpoints(tmp_path / "x", "other", 1e9), stopping=lambda: True)
    stopped_and_resumed(trial, store, tmp_path / "x", [])
    assert "it belongs to trial other" in caplog.text


@pytest.mark.parametrize("name", ["checkpoint.json", "000000002.safetensors"])
@pytest.mark.parametrize("kind", ["folder", "full folder", "link to itself", "link to nothing", "device", *READING])
def test_a_checkpoint_that_cannot_be_read_is_set_aside(
    store: PatchStore,
    make_trial: Callable[..., Trial],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    kind: str,
) -> None:
    """Twice, so that what was set aside is in nobody's way."""
    trial = make_trial()
    whole = bits(loop.train(trial, store, CPU))
    for _ in range(2):
        checkpoints = Checkpoints(tmp_path, "key", 1e9)
        with pytest.raises(Stopped):
            loop.train(trial, store, CPU, checkpoints=checkpoints, stopping=iter([False, True]).__next__)
        path, read = tmp_path / name, files.contents
        if kind not in READING:
            path.unlink()
        if "folder" in kind:
            path.mkdir()
        if kind == "full folder":
            (path / "x").touch()
        if "link" in kind:
            path.symlink_to(path.name if kind == "link to itself" else "nothing")
        if kind == "device":
            path.symlink_to("/dev/null")

        def contents(wanted: Path, *limit: int, path: Path = path, read: Callable[..., bytes] = read) -> bytes:
            if wanted == path and kind in READING:
                raise OSError(READING[kind], os.strerror(READING[kind]), str(wanted))
            return read(wanted, *limit)

        with monkeypatch.context() as patch:
            patch.setattr(files, "contents", contents)
            assert bits(loop.train(trial, store, CPU, checkpoints=Checkpoints(tmp_path, "key", 1e9))) == whole
        assert "the checkpoint of trial key is not trusted" in caplog.text
        assert os.path.lexists(tmp_path / "damaged" / name)
        assert not os.path.lexists(path)


def test_diverging_stops_at_once(store: PatchStore, make_trial: Callable[..., Trial]) -> None:
    with pytest.raises(Diverged, match="epoch 1"):
        loop.train(make_trial(optimizers=[{"name": "adam", "lr": 1e30}]), store, CPU)


def test_outputs_that_are_no_numbers_are_no_training(
    store: PatchStore, make_trial: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Holes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = self.layer(images)
            return made if self.training else torch.log(made - 10)

    monkeypatch.setattr(ModelSpec, "build", lambda *_: Holes())
    with pytest.raises(Diverged, match="on validation patches unet makes pixels of an image that are no finite"):
        loop.train(make_trial(patches_per_epoch=4), store, CPU)


def test_weights_that_became_nan_are_never_called_done(
    store: PatchStore, make_trial: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Poisoned(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            with torch.no_grad():
                self.param_groups[0]["params"][0].fill_(float("nan"))

    def build(_: Adam, network: nn.Module) -> torch.optim.Optimizer:
        optimizer = Poisoned(network.parameters(), lr=0.1)
        optimizer.param_groups[0]["initial_lr"] = 0.1
        return optimizer

    monkeypatch.setattr("degrain.optimizers.base.Optimizer.build", build)
    with pytest.raises(Diverged, match="a weight became NaN"):
        loop.train(make_trial(patches_per_epoch=4), store, CPU)


def test_training_stops_early_when_validation_stalls(store: PatchStore, make_trial: Callable[..., Trial]) -> None:
    # A learning rate that changes next to nothing: the first epoch stays the best to 8 bits.
    state = loop.train(make_trial(epochs=9, patience=2, optimizers=[{"name": "sgd", "lr": 1e-12}]), store, CPU)
    assert len(state.history) == state.best_epoch + 2 == 3


def test_the_best_weights_are_kept(store: PatchStore, make_trial: Callable[..., Trial]) -> None:
    # A learning rate that rises until it does harm.
    settings = {"optimizers": [{"name": "adam", "lr": 0.3}], "warmup_steps": 200, "schedule": "constant", "epochs": 10}
    last, best = (loop.train(make_trial(keep=keep, **settings), store, CPU) for keep in ("last", "best"))
    assert facts(last) == facts(best)
    assert best.best_epoch < len(best.history)
    held_out = store.split("val")

    def psnr(state: State) -> float:
        denoiser = loop.Denoiser(state.finish(), "unet", store.channels, store.patch_size)
        return loop.validate(denoiser, held_out, Mse(name="mse"))[1]

    assert psnr(best) == best.history[best.best_epoch - 1].val_psnr
    assert psnr(last) == last.history[-1].val_psnr < psnr(best)


def test_the_validation_loss_is_that_of_the_outputs_before_they_become_an_image(
    store: PatchStore, make_trial: Callable[..., Trial]
) -> None:
    state = loop.train(make_trial("sinha2018", losses=["logcosh"], epochs=1), store, CPU)
    held_out = store.split("val")
    assert held_out.noisy is not None
    noisy, clean = (torch.from_numpy(to_unit(side)).permute(0, 3, 1, 2) for side in (held_out.noisy, held_out.clean))
    with torch.inference_mode():
        outputs = state.finish().eval()(noisy)
    expected = (outputs - clean).double().cosh().log().mean().item()
    assert state.history[0].val_loss == pytest.approx(expected, rel=1e-4)
    assert outputs.min() < 0


@pytest.mark.parametrize(("model", "name"), [("unet", "head.weight"), ("dncnn", "layers.3.running_var")])
def test_averaged_weights_and_statistics_are_the_exponential_mean(
    store: PatchStore, make_trial: Callable[..., Trial], model: str, name: str
) -> None:
    seen: list[np.ndarray] = []
    networks: list[nn.Module] = []
    trial = make_trial(model, ema=0.75)
    original = State.begin

    def begin(trial: Trial, network: nn.Module) -> State:
        networks.append(network)
        return original(trial, network)

    def look() -> bool:
        seen.append(networks[0].state_dict()[name].double().numpy().copy())
        return False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(State, "begin", begin)
        state = loop.train(trial, store, CPU, stopping=look)
    expected = seen[0]
    for weights in seen[1:]:
        expected = 0.75 * expected + 0.25 * weights
    np.testing.assert_allclose(state.finish().state_dict()[name].numpy(), expected, rtol=0, atol=1e-6)
    assert len(seen) == 6


def gradient(store: PatchStore, trial: Trial, parts: int) -> list[torch.Tensor]:
    torch.manual_seed(0)
    network = catalog.build(trial.model, store.channels, store.patch_size).double()
    noisy, clean = next(Batches(trial, store).epoch(0))
    cast = loop.precision.autocast("float32", CPU)
    objective = objectives.of(trial.loss, store.noise, progress=0.5)
    gradients.backward(network, objective, cast, (noisy.double(), clean.double()), len(clean), parts, loop.ALONE)
    return [weight.grad for weight in network.parameters() if weight.grad is not None]


@pytest.mark.parametrize("loss", ["mse", "psnr", "ssim"])
def test_a_batch_in_parts_has_the_same_gradient(
    store: PatchStore, make_trial: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    monkeypatch.setattr(torch.Tensor, "float", lambda tensor: tensor)  # float64 all the way shows that it is exact
    trial = make_trial("sinha2018", losses=[loss], batch_size=5)
    whole = gradient(store, trial, 1)
    for parts in (2, 3, 5):
        for one, other in zip(whole, gradient(store, trial, parts), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


class Hungry(nn.Module):
    """A network that runs out of memory with more than two patches at once."""

    def __init__(self, inner: nn.Module, error: Exception) -> None:
        super().__init__()
        self.inner, self.error, self.sizes = inner, error, list[int]()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(images))
        if len(images) > 2 and self.training:
            raise self.error
        result: torch.Tensor = self.inner(images)
        return result


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_batch_that_does_not_fit_is_computed_in_parts(
    store: PatchStore, make_trial: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    trial = make_trial("sinha2018", batch_size=6)
    whole = loop.train(trial, store, CPU)
    build = ModelSpec.build
    monkeypatch.setattr(ModelSpec, "build", lambda *known: Hungry(build(*known), error))
    state = loop.train(trial, store, CPU)
    assert state.parts == 4
    for one, other in zip(whole.finish().parameters(), state.finish().parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_batch_normalisation_is_not_computed_in_parts_behind_ones_back(
    store: PatchStore, make_trial: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    build = ModelSpec.build
    monkeypatch.setattr(ModelSpec, "build", lambda *known: Hungry(build(*known), ERRORS[0]))
    with pytest.raises(torch.OutOfMemoryError):
        loop.train(make_trial("bernier2021", batch_size=6), store, CPU)


def test_accumulated_batches_are_one_step(store: PatchStore, make_trial: Callable[..., Trial]) -> None:
    settings = {"patches_per_epoch": 12, "optimizers": [{"name": "sgd", "lr": 0.1}]}
    one = loop.train(make_trial("sinha2018", batch_size=6, **settings), store, CPU)
    parts = loop.train(make_trial("sinha2018", batch_size=2, accumulate=3, **settings), store, CPU)
    assert one.step == parts.step == 4
    for whole, added in zip(one.finish().parameters(), parts.finish().parameters(), strict=True):
        torch.testing.assert_close(whole, added, rtol=1e-4, atol=1e-6)


def test_the_gradient_is_clipped(store: PatchStore, make_trial: Callable[..., Trial]) -> None:
    settings = {"optimizers": [{"name": "sgd", "lr": 1.0}], "epochs": 1, "patches_per_epoch": 4, "warmup_steps": 0}
    trial = make_trial("sinha2018", clip_norm=1e-3, schedule="constant", **settings)
    before = loop._begin(trial, store, CPU).network
    after = loop.train(trial, store, CPU).finish()
    pairs = zip(before.parameters(), after.parameters(), strict=True)
    squares = [float((one - other).detach().double().square().sum()) for one, other in pairs]
    assert sum(squares) ** 0.5 == pytest.approx(1e-3, rel=1e-3)


def test_bfloat16_learns_as_float32_does(store: PatchStore, make_trial: Callable[..., Trial]) -> None:
    settings = {"epochs": 6, "warmup_steps": 0, "optimizers": [{"name": "adam", "lr": 0.002}]}
    exact, coarse = (loop.train(make_trial(precision=kind, **settings), store, CPU) for kind in ("float32", "bfloat16"))
    assert bits(exact) != bits(coarse)
    assert coarse.history[-1].val_psnr == pytest.approx(exact.history[-1].val_psnr, abs=0.3)
    assert all(value.dtype == torch.float32 for value in coarse.finish().parameters())
