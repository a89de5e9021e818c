"""Networks, losses and optimizers, tried on a few random numbers before anything is trained or measured with them.

It needs PyTorch, so `degrain.studies.check` leaves it to the stages that import PyTorch anyway.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from safetensors.torch import load
from torch import nn

from degrain import catalogs
from degrain.catalogs import blaming, require_shape
from degrain.errors import ParamsError
from degrain.losses.base import Loss
from degrain.machine import precision
from degrain.networks import catalog
from degrain.networks.base import ModelSpec
from degrain.optimizers.base import Optimizer
from degrain.studies import receptive_field
from degrain.training import loop
from degrain.training.state import State
from degrain.training.trial import Trial
from degrain.trials import ledger

# Least side of the images for networks that take several sizes.
SIDE = 16
CPU = torch.device("cpu")


def check_networks(names: Iterable[str], channels: int, patch_size: int) -> None:
    """Refuse networks that cannot be built or run, return another shape or reach farther than they declare.

    Args:
        names: Of the catalog.
        channels: Of the images.
        patch_size: Side of the training patches, in pixels.

    Raises:
        ParamsError: One does not work; the message begins with its file.
    """
    with torch.random.fork_rng(devices=[]):
        for name in names:
            spec = catalog.spec(name)
            with blaming(spec.file, name):
                _check_network(name, spec, channels, patch_size)


def check_trials(trials: Iterable[Trial], channels: int, patch_size: int) -> None:
    """Refuse networks that cannot be trained, saved and loaded, or that compute something else afterwards.

    Args:
        trials: One of each network.
        channels: Of the images.
        patch_size: Side of the training patches, in pixels.

    Raises:
        ParamsError: One does not work; the message begins with its file.
    """
    with torch.random.fork_rng(devices=[]):
        for trial in trials:
            _check_trial(catalog.spec(trial.model).file, trial, channels, patch_size)


def check_cells(cells: Iterable[tuple[Optimizer, Loss]], channels: int, patch_size: int) -> None:
    """Refuse losses that give no number to differentiate, and optimizers that cannot make a step.

    Args:
        cells: Of the grid.
        channels: Of the images.
        patch_size: Side of the training patches, in pixels.

    Raises:
        ParamsError: One does not work; the message begins with its file.
    """
    optimizers, losses = ({one.title: one for one in axis} for axis in zip(*cells, strict=True))
    with torch.random.fork_rng(devices=[]):
        for loss in losses.values():
            file = catalogs.file_of(type(loss).__module__)
            with blaming(file, loss.title):
                _check_loss(file, loss, (2, channels, patch_size, patch_size))
        for optimizer in optimizers.values():
            with blaming(catalogs.file_of(type(optimizer).__module__), optimizer.title):
                _step(optimizer)


def _check_network(name: str, spec: ModelSpec, channels: int, patch_size: int) -> None:
    network = spec.build(channels, patch_size).eval()
    images = torch.rand(2, channels, *((patch_size, patch_size) if spec.fixed_size else _odd_size(spec)))
    with torch.inference_mode(), _of_size(name, spec, images):
        output, alone = network(images), network(images[:1])
        flat = network(torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1) * torch.ones_like(images[:1]))
    require_shape(spec.file, name, output.shape, images.shape)
    if not all(bool(torch.isfinite(one).all()) for one in (output, flat)):
        raise ParamsError(f"{spec.file}: {name} makes pixels of an image that are no finite numbers")
    if not torch.allclose(output[:1], alone, rtol=1e-3, atol=1e-4):
        raise ParamsError(f"{spec.file}: {name} makes something else of an image when others are denoised with it")
    if spec.bounded and not (output.min() >= 0 and output.max() <= 1):
        raise ParamsError(f"{spec.file}: {name} is declared to be bounded, and its output leaves [0, 1]")
    if spec.radius is not None and not spec.fixed_size:
        differ = receptive_field.tiles_differ(spec, network, channels, spec.radius)
        farther = receptive_field.depends_on_farther(spec, network, channels, spec.radius)
        reached = max(spec.radius + 1 if farther else 0, receptive_field.reached(spec, network, channels, spec.radius))
        if reached > spec.radius:
            raise ParamsError(
                f"{spec.file}: {name} declares radius={spec.radius}, and its outputs depend on pixels at least "
                f"{reached} away"
            )
        if differ:
            raise ParamsError(
                f"{spec.file}: {name} declares radius={spec.radius}, and its outputs depend on the image's size, on "
                "the place in it or on its opposite border; a larger radius, or fixed_size=True, would be true"
            )


def _check_trial(file: str, trial: Trial, channels: int, patch_size: int) -> None:
    name, batch = trial.model, torch.rand(2, 2, channels, patch_size, patch_size)
    with blaming(file, f"training {name}"):
        trained, fresh = (loop.begin(replace(trial, seed=seed), channels, patch_size, CPU) for seed in (1, 2))
        _train(file, trial, trained, batch)
    with blaming(file, f"saving {name}"):
        content = ledger.packed(trained.finish().state_dict())
    with blaming(file, f"loading {name}"), torch.inference_mode():
        fresh.network.load_state_dict(load(content))
        before, after = (network.eval()(batch[0, :1]) for network in (trained.finish(), fresh.network))
    # NOTE: a step that is too long leaves NaN, which is for the trial to find out.
    if not torch.allclose(before, after, rtol=0, atol=0, equal_nan=True):
        raise ParamsError(
            f"{file}: {name} computes something else after its weights were saved and loaded: keep what it learns or "
            "draws in parameters or persistent buffers"
        )


def _train(file: str, trial: Trial, state: State, batch: torch.Tensor) -> None:
    """Make one step, as `degrain.training.loop` does."""
    noisy, clean = batch
    state.network.train()
    with precision.autocast(precision.resolve(trial.params.precision, CPU), CPU):
        output = state.network(noisy)
    if not isinstance(output, torch.Tensor):
        raise ParamsError(f"{file}: {trial.model} returns a {type(output).__name__} in training, not a tensor")
    require_shape(file, f"{trial.model} in training", output.shape, clean.shape)
    trial.loss.value(output.float(), clean).backward()  # type: ignore[no-untyped-call]
    state.optimizer.step()
    if state.averaged:
        state.averaged.update_parameters(state.network)


def _odd_size(spec: ModelSpec) -> tuple[int, int]:
    """Return a height and a width that are different multiples of what is declared, and no larger multiple.

    A network that needs 2, 3 or 5 times the multiple that it declares can take neither.
    """
    least = -(-max(SIDE, spec.smallest) // spec.multiple)
    times = (number for number in itertools.count(least) if math.gcd(number, 30) == 1)
    return next(times) * spec.multiple, next(times) * spec.multiple


@contextmanager
def _of_size(name: str, spec: ModelSpec, images: torch.Tensor) -> Iterator[None]:
    """Name the size of the images that a network fails on.

    Raises:
        ParamsError: It fails.
    """
    try:
        yield
    except Exception as error:
        height, width = images.shape[2:]
        what = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        sizes = f"images of {width}x{height} pixels, which it declares to take (multiple={spec.multiple})"
        raise ParamsError(f"{spec.file}: {name} does not work: {what}; for {sizes}") from error


def _check_loss(file: str, loss: Loss, shape: tuple[int, ...]) -> None:
    output = torch.rand(shape, requires_grad=True)
    clean = torch.rand(shape)
    value = loss.value(output, clean)
    require_shape(file, loss.title, value.shape, ())
    alone = [loss.value(one[None], other[None]).item() for one, other in zip(output, clean, strict=True)]
    if not math.isclose(value.item(), sum(alone) / len(alone), rel_tol=1e-3, abs_tol=1e-5):
        raise ParamsError(f"{file}: {loss.title} is no mean over images: {value.item():.4g} of two, {alone} of each")
    value.backward()  # type: ignore[no-untyped-call]


def _step(optimizer: Optimizer) -> None:
    network = nn.Conv2d(2, 2, 3)
    made = optimizer.build(network)
    network(torch.rand(1, 2, 4, 4)).sum().backward()
    made.step()
