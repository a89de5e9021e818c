"""Networks, losses and optimizers, tried on a few random numbers before anything is trained or measured with them.

It needs PyTorch, so `degrain.studies.check` leaves it to the stages that import PyTorch anyway.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from pydantic import ValidationError
from safetensors.torch import load
from torch import nn

from degrain import catalogs, files
from degrain.artifacts.checkpoint import Facts
from degrain.catalogs import blaming, require_shape
from degrain.errors import ParamsError
from degrain.losses.base import Loss
from degrain.machine import precision
from degrain.networks import catalog
from degrain.networks.base import ModelSpec
from degrain.noise.base import Noise
from degrain.optimizers.base import Optimizer
from degrain.studies import array_probes, noise_likeness, receptive_field
from degrain.training import loop
from degrain.training.state import State
from degrain.training.trial import Trial
from degrain.trials import ledger

# Least side of the images for networks that take several sizes.
SIDE = 16
# Of an optimizer before it is saved, and after it was restored.
STEPS = 6
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
    """Refuse losses that give no number to differentiate, and optimizers that cannot be resumed.

    A loss depends on its arguments alone, and an optimizer goes on with the same bits from what a checkpoint holds.

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
            _check_optimizer(catalogs.file_of(type(optimizer).__module__), optimizer)


def check_device_noise(noise: Noise, channels: Iterable[int]) -> None:
    """Refuse noise that a device cannot draw as declared: of another shape or strength, or not of finite numbers.

    Args:
        noise: Kind and strength; what is drawn on the host only passes.
        channels: That the images may have; those that it does not accept are left out.

    Raises:
        ParamsError: It does not work; the message begins with its file.
    """
    file = catalogs.file_of(type(noise).__module__)
    for number in filter(noise.accepts, channels) if noise.on_device else ():
        for levels in (array_probes.levels(number), array_probes.extreme_levels(number)):
            clean = torch.from_numpy(levels)
            with blaming(file, noise.kind), _left_alone(file, noise.kind, clean):
                noisy = noise.draw_on_device(clean, torch.Generator(CPU).manual_seed(0))
                require_shape(file, noise.kind, noisy.shape, levels.shape)
                catalogs.require_finite(file, noise.kind, noisy.numpy())
        many = noise_likeness.patches(number)
        with blaming(file, noise.kind):
            drawn = noise.draw_on_device(torch.from_numpy(many.copy()), torch.Generator(CPU).manual_seed(0)).numpy()
        noise_likeness.require_alike(file, noise, "draw_on_device", drawn, many)


def _check_network(name: str, spec: ModelSpec, channels: int, patch_size: int) -> None:
    network = spec.build(channels, patch_size).eval()
    images = _random(2, channels, *((patch_size, patch_size) if spec.fixed_size else _odd_size(spec)))
    with torch.inference_mode(), _left_alone(spec.file, name, images), _of_size(name, spec, images):
        output, alone = network(images), torch.cat([network(one[None]) for one in images])
        flat = network(torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1) * torch.ones_like(images[:1]))
    require_shape(spec.file, name, output.shape, images.shape)
    if not all(bool(torch.isfinite(one).all()) for one in (output, flat)):
        raise ParamsError(f"{spec.file}: {name} makes pixels of an image that are no finite numbers")
    if not torch.allclose(output, alone, rtol=1e-3, atol=1e-4):
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
    if not _same(before, after):
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


@contextmanager
def _left_alone(file: str, name: str, *given: torch.Tensor) -> Iterator[None]:
    """Refuse what writes into its arguments: what is measured next would be measured on other images.

    Raises:
        ParamsError: It does.
    """
    before = [one.detach().clone() for one in given]
    yield
    if not all(_same(one, kept) for one, kept in zip(given, before, strict=True)):
        raise ParamsError(f"{file}: {name} writes into the images that it is given; let it work on a copy")


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
    output, clean = _random(*shape).requires_grad_(), _random(*shape)
    with _left_alone(file, loss.title, output, clean):
        value, again = loss.value(output, clean), loss.value(output, clean)
    require_shape(file, loss.title, value.shape, ())
    if not _same(value, again):
        raise ParamsError(
            f"{file}: {loss.title} is another number when asked again: let it depend on its arguments alone, since a "
            "trial that is stopped and resumed must not change"
        )
    alone = [loss.value(one[None], other[None]).item() for one, other in zip(output, clean, strict=True)]
    if not math.isclose(value.item(), sum(alone) / len(alone), rel_tol=1e-3, abs_tol=1e-5):
        raise ParamsError(f"{file}: {loss.title} is no mean over images: {value.item():.4g} of two, {alone} of each")
    value.backward()  # type: ignore[no-untyped-call]


def _random(count: int, *shape: int) -> torch.Tensor:
    images = torch.rand(count, *shape)
    images[0] = 0.1 + images[0] / 2  # neither its extremes nor its mean are those of the others
    return images


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


def _check_optimizer(file: str, optimizer: Optimizer) -> None:
    name, images = optimizer.title, torch.rand(2 * STEPS, 1, 2, 4, 4)
    with blaming(file, name):
        going, resumed = (_tiny(optimizer) for _ in range(2))
        _walk(going, images[:STEPS])
    with blaming(file, f"saving {name}"):
        tensors, record = _saved(file, name, going)
    with blaming(file, f"resuming {name}"):
        resumed.restore(load(tensors), Facts.model_validate(files.parse_json(record)))
        for state in (going, resumed):
            _walk(state, images[STEPS:])
    weights = (state.network.parameters() for state in (going, resumed))
    if not all(_same(one, other) for one, other in zip(*weights, strict=True)):
        raise ParamsError(
            f"{file}: {name} goes on differently after it was saved and restored: keep its state in state_dict"
        )
    # From the start: with momentum as Keras has it, earlier steps go on at the rate 0.
    with blaming(file, name):
        still = _tiny(optimizer)
        before = [weight.detach().clone() for weight in still.network.parameters()]
        for group in still.optimizer.param_groups:
            group["lr"] = 0.0
        _walk(still, images)
    if not all(_same(one, other) for one, other in zip(before, still.network.parameters(), strict=True)):
        raise ParamsError(
            f"{file}: {name} moves weights at the learning rate 0: take the rate from param_groups in each step, or no "
            "schedule acts"
        )


def _tiny(optimizer: Optimizer) -> State:
    """Return the state of a network of one layer, in the memory format of training."""
    network = nn.Conv2d(2, 2, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return State(network, optimizer.build(network), averaged=None, parts=1)


def _saved(file: str, name: str, state: State) -> tuple[bytes, bytes]:
    """Return tensors and JSON, as a checkpoint holds them.

    Raises:
        ParamsError: JSON cannot hold what is no tensor.
    """
    try:
        tensors, facts = state.parted()
    except ValidationError as error:
        raise ParamsError(f"{file}: the state_dict of {name} may hold tensors and what JSON can hold alone") from error
    return ledger.packed(tensors), json.dumps(facts.model_dump(mode="json")).encode()


def _walk(state: State, images: torch.Tensor) -> None:
    """Make a step with each image, whose random numbers are the same wherever it is made."""
    for number, image in enumerate(images):
        torch.default_generator.manual_seed(number)
        state.optimizer.zero_grad(set_to_none=True)
        state.network(image).square().mean().backward()
        state.optimizer.step()
