"""What a step minimizes where no image is clean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from degrain.losses.mse import Mse
from degrain.machine import compute
from degrain.noise.gaussian import GaussianNoise
from degrain.noise.unknown import UnknownNoise
from degrain.params.study import Params
from degrain.patches import stand_in
from degrain.patches.store import PatchStore
from degrain.pixels import to_unit
from degrain.training import loop, objectives
from degrain.training.batches import Batches
from degrain.training.device_batches import DeviceBatches
from degrain.training.trial import Trial, expand
from tests.conftest import picture
from tests.training.test_loop import CPU, SHORT, bits, facts, stopped_and_resumed

LOSS, UNKNOWN = Mse(name="mse"), UnknownNoise(kind="unknown")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    compute.prepare_torch("cpu", 1)


@pytest.fixture
def make_trial(make_params: Callable[..., Params]) -> Callable[..., Trial]:
    def make(**change: Any) -> Trial:
        return expand(make_params(train=SHORT | {"optimizers": ["adam"], "losses": ["mse"]} | change).train, "unet")[0]

    return make


def images(channels: int = 3) -> Tensor:
    """Noisy patches: float64 (2, channels, 16, 24), as in a batch."""
    return torch.rand(2, channels, 16, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_halving_is_that_of_held_out_images_up_to_rounding(channels: int) -> None:
    patch = picture(0, 48, 64, channels)
    expected = stand_in.halved(patch)
    made = objectives.halved(torch.from_numpy(to_unit(patch[None])).permute(0, 3, 1, 2))
    for one, other in zip(made, expected, strict=True):
        levels = np.clip(255 * one[0].permute(1, 2, 0).numpy(), 0, 255)
        assert np.abs(levels - other).max() < 0.51


def scaled(weight: Tensor) -> objectives.Run:
    """A network of one weight, whose output depends on the brightness, too."""
    return lambda noisy: weight * noisy + weight.square() * noisy.square()


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_the_gradient_is_that_of_the_two_errors_of_the_paper(progress: float) -> None:
    """Against the target, and gamma times against it with the gap, through which no gradient goes, by 1 + gamma."""
    gamma, noisy = objectives.TRUST * progress, images()
    seen, between = objectives.halved(noisy)
    ours, theirs = (torch.tensor(0.7, dtype=torch.float64, requires_grad=True) for _ in range(2))
    objectives.of(LOSS, UNKNOWN, progress)(scaled(ours), noisy, noisy).backward()  # type: ignore[no-untyped-call]
    detail, blurred = objectives.halved(scaled(theirs.detach())(noisy))
    error = scaled(theirs)(seen) - between
    loss = error.square().mean() + gamma * (error - (detail - blurred)).square().mean()
    loss.backward()  # type: ignore[no-untyped-call]
    assert ours.grad is not None
    assert theirs.grad is not None
    assert ours.grad.item() == pytest.approx(theirs.grad.item() / (1 + gamma), rel=1e-9)


def test_the_loss_of_patches_without_noise_or_fine_detail_is_that_against_them() -> None:
    y, x = torch.meshgrid(torch.linspace(0, 1, 32), torch.linspace(0, 1, 32), indexing="ij")
    smooth = (0.2 + 0.3 * x + 0.2 * y)[None, None]
    inside = objectives.of(LOSS, UNKNOWN, 1.0)(lambda noisy: noisy + 0.1, smooth, smooth)
    assert inside.item() == pytest.approx(0.01, rel=0.02)


def test_with_clean_patches_it_is_the_loss_itself() -> None:
    noisy, clean = images(), images().flip(0)
    objective = objectives.of(LOSS, GaussianNoise(), 0.5)
    assert torch.equal(objective(lambda one: one, noisy, clean), LOSS.value(noisy, clean))


def test_a_batch_holds_the_noisy_patches_on_either_side(
    noisy_store: PatchStore, make_trial: Callable[..., Trial]
) -> None:
    trial = make_trial()
    batches = [*Batches(trial, noisy_store).epoch(0)], [*DeviceBatches(trial, noisy_store, CPU).epoch(0)]
    for (noisy, clean), (there, _) in zip(*batches, strict=True):
        assert torch.equal(noisy, clean)
        assert torch.equal(noisy, there)


@pytest.mark.parametrize("change", [{}, {"precision": "bfloat16"}, {"mix": "mixup", "ema": 0.9}], ids=str)
def test_a_trial_goes_on_with_the_same_bits(
    noisy_store: PatchStore, make_trial: Callable[..., Trial], tmp_path: Path, change: dict[str, Any]
) -> None:
    trial = make_trial(**change)
    whole = loop.train(trial, noisy_store, CPU)
    pieces, _ = stopped_and_resumed(trial, noisy_store, tmp_path / "checkpoint", [1, 1, 2])
    assert bits(pieces) == bits(whole)
    assert facts(pieces) == facts(whole)


def test_a_network_learns_to_denoise_what_it_has_never_seen_clean(
    noisy_store: PatchStore, make_trial: Callable[..., Trial]
) -> None:
    trial = make_trial(epochs=4, patches_per_epoch=96, optimizers=[{"name": "adam", "lr": 0.004}])
    state = loop.train(trial, noisy_store, CPU)
    noisy = noisy_store.photographs()[0].noisy
    with torch.inference_mode():
        output = state.finish().eval()(torch.from_numpy(to_unit(noisy[None])).permute(0, 3, 1, 2))
    truth = picture(2)[::2, ::2].astype(float)
    errors = [np.square(255 * output[0].permute(1, 2, 0).numpy() - truth).mean(), np.square(noisy - truth).mean()]
    assert errors[0] < errors[1] / 2
