"""Every optimizer of every preset against its published formula or against Keras itself, and its exact resumption."""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml
from pydantic import TypeAdapter
from torch import nn

from benchmarks.peers import optimizer_paths
from degrain.declaration import kind_of
from degrain.errors import ParamsError
from degrain.networks import catalog
from degrain.optimizers import muon_rule
from degrain.optimizers.base import Optimizer, Preset
from degrain.optimizers.catalog import OPTIMIZERS, AnyOptimizer
from degrain.params.study import load_params
from degrain.studies import network_probes
from tests.conftest import merged

PRESETS: tuple[Preset, ...] = get_args(Preset)
BY_NAME = {tag[1]: declared for declared in OPTIMIZERS if (tag := kind_of(declared))}
ALL = [(preset, name) for preset in PRESETS for name, declared in BY_NAME.items() if preset in declared.rules]
KERAS = json.loads(optimizer_paths.PATHS.read_text())["cases"]
VARIANTS = [
    *((preset, name, {}) for preset, name in ALL),
    *((preset, "sgd", {"momentum": 0.9, "nesterov": True}) for preset in PRESETS),
    ("pytorch", "rmsprop", {"momentum": 0.9}),
    ("tf.keras", "rmsprop", {"momentum": 0.9}),
    ("pytorch", "muon", {"nesterov": False}),
]


def make(**described: Any) -> Optimizer:
    """An optimizer as params.yaml names it."""
    adapter: TypeAdapter[Optimizer] = TypeAdapter(AnyOptimizer)
    return adapter.validate_python(described)


@pytest.mark.parametrize(("preset", "name", "options"), VARIANTS)
def test_every_optimizer_passes_the_check(preset: Preset, name: str, options: dict[str, Any]) -> None:
    loss = load_params().train.losses[0]
    network_probes.check_cells([(make(name=name, preset=preset, **options), loss)], 1, 8)


class Weights(nn.Module):
    """Some weights and nothing else."""

    def __init__(self, *values: Any) -> None:
        super().__init__()
        self.values = nn.ParameterList(nn.Parameter(torch.as_tensor(value)) for value in values)


def path_of(params: Optimizer) -> np.ndarray:
    """The path over the gradients and learning rates that Keras's were recorded with, (STEPS, 6)."""
    network = Weights(optimizer_paths.start())
    optimizer = params.build(network)
    path = []
    for gradient, share in zip(optimizer_paths.gradients(), optimizer_paths.shares(), strict=True):
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * share
        network.values[0].grad = torch.from_numpy(gradient)
        optimizer.step()
        path.append(network.values[0].detach().numpy().copy())
    return np.array(path)


def assert_same_way(path: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    """Compare, the error being a share of how far a weight ever is from its start, however little that is."""
    far = np.abs(expected - optimizer_paths.start()).max(axis=0)
    assert (np.abs(path - expected) <= tolerance * far + 1e-15).all()


@pytest.mark.parametrize("case", KERAS, ids=lambda case: f"{case['name']}-{'-'.join(case['options'])}")
def test_tf_keras_takes_the_path_of_keras_3(case: dict[str, Any]) -> None:
    path = path_of(make(name=case["name"], preset="tf.keras", **case["options"]))
    # NOTE: Keras takes 0.999 through float32 even when it computes in float64, and 1 - 0.999 is then 1e-5 off.
    assert_same_way(path[optimizer_paths.KEPT], np.array(case["path"]), 1e-5)


def test_every_optimizer_of_tf_keras_was_recorded() -> None:
    assert {case["name"] for case in KERAS} == {name for preset, name in ALL if preset == "tf.keras"}


# The formulas, for one step: (state that starts at 0, weights, gradient, learning rate, step from 1) -> change.


def adadelta(s: Any, w: Any, g: Any, lr: float, t: int, rho: float, eps: float) -> Any:
    s["g2"] = rho * s["g2"] + (1 - rho) * g**2
    change = -np.sqrt(s["x2"] + eps) / np.sqrt(s["g2"] + eps) * g
    s["x2"] = rho * s["x2"] + (1 - rho) * change**2
    return lr * change


def adagrad(s: Any, w: Any, g: Any, lr: float, t: int, eps: float) -> Any:
    s["g2"] = s["g2"] + g**2
    return -lr * g / (np.sqrt(s["g2"]) + eps)


def moments(s: Any, g: Any, betas: tuple[float, float]) -> tuple[Any, Any]:
    s["m"] = betas[0] * s["m"] + (1 - betas[0]) * g
    s["v"] = betas[1] * s["v"] + (1 - betas[1]) * g**2
    return s["m"], s["v"]


def adam(
    s: Any, w: Any, g: Any, lr: float, t: int, betas: tuple[float, float], eps: float, weight_decay: float = 0
) -> Any:
    m, v = moments(s, g, betas)
    return -lr * weight_decay * w - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)


def keras_adam(s: Any, w: Any, g: Any, lr: float, t: int, betas: tuple[float, float], eps: float) -> Any:
    m, v = moments(s, g, betas)
    return -lr * np.sqrt(1 - betas[1] ** t) / (1 - betas[0] ** t) * m / (np.sqrt(v) + eps)


def adamax(s: Any, w: Any, g: Any, lr: float, t: int, betas: tuple[float, float], eps: float) -> Any:
    m, _ = moments(s, g, betas)
    s["u"] = np.maximum(betas[1] * s["u"], np.abs(g) + eps)
    return -lr / (1 - betas[0] ** t) * m / s["u"]


def keras_adamax(s: Any, w: Any, g: Any, lr: float, t: int, betas: tuple[float, float], eps: float) -> Any:
    m, _ = moments(s, g, betas)
    s["u"] = np.maximum(betas[1] * s["u"], np.abs(g))
    return -lr / (1 - betas[0] ** t) * m / (s["u"] + eps)


def nadam(s: Any, w: Any, g: Any, lr: float, t: int, betas: tuple[float, float], eps: float) -> Any:
    m, v = moments(s, g, betas)
    mu, after = (betas[0] * (1 - 0.5 * 0.96 ** (0.004 * k)) for k in (t, t + 1))
    s["log"] = s["log"] + np.log(mu)
    ahead = after * m / (1 - np.exp(s["log"]) * after) + (1 - mu) * g / (1 - np.exp(s["log"]))
    return -lr * ahead / (np.sqrt(v / (1 - betas[1] ** t)) + eps)


def rmsprop(s: Any, w: Any, g: Any, lr: float, t: int, rho: float, eps: float, momentum: float = 0) -> Any:
    s["g2"] = rho * s["g2"] + (1 - rho) * g**2
    s["v"] = momentum * s["v"] + g / (np.sqrt(s["g2"]) + eps)
    return -lr * s["v"]


def sgd(s: Any, w: Any, g: Any, lr: float, t: int, momentum: float, nesterov: bool) -> Any:
    s["v"] = momentum * s["v"] + g
    return -lr * (g + momentum * s["v"] if nesterov else s["v"])


def keras_sgd(s: Any, w: Any, g: Any, lr: float, t: int, momentum: float, nesterov: bool) -> Any:
    s["v"] = momentum * s["v"] - lr * g
    return momentum * s["v"] - lr * g if nesterov else s["v"]


BETAS = {"betas": (0.9, 0.999)}
OTHER = {"betas": (0.8, 0.95), "eps": 1e-4, "lr": 0.01}
# Preset, optimizer, what the study sets, the formula, and the preset's published defaults.
FORMULAS: list[tuple[str, str, dict[str, Any], Callable[..., Any], dict[str, Any]]] = [
    ("pytorch", "adadelta", {}, adadelta, {"lr": 1.0, "rho": 0.9, "eps": 1e-6}),
    ("pytorch", "adagrad", {}, adagrad, {"lr": 0.01, "eps": 1e-10}),
    ("pytorch", "adam", {}, adam, BETAS | {"lr": 0.001, "eps": 1e-8}),
    ("pytorch", "adam", OTHER, adam, {}),
    ("pytorch", "adamax", {}, adamax, BETAS | {"lr": 0.002, "eps": 1e-8}),
    ("pytorch", "adamax", OTHER, adamax, {}),
    ("pytorch", "adamw", {}, adam, BETAS | {"lr": 0.001, "eps": 1e-8, "weight_decay": 0.01}),
    ("pytorch", "nadam", {}, nadam, BETAS | {"lr": 0.002, "eps": 1e-8}),
    ("pytorch", "nadam", OTHER, nadam, {}),
    ("pytorch", "rmsprop", {}, rmsprop, {"lr": 0.01, "rho": 0.99, "eps": 1e-8}),
    ("pytorch", "rmsprop", {"momentum": 0.9, "rho": 0.8}, rmsprop, {"lr": 0.01, "eps": 1e-8}),
    ("pytorch", "sgd", {}, sgd, {"lr": 0.001, "momentum": 0, "nesterov": False}),
    ("pytorch", "sgd", {"momentum": 0.9}, sgd, {"lr": 0.001, "nesterov": False}),
    ("pytorch", "sgd", {"momentum": 0.9, "nesterov": True}, sgd, {"lr": 0.001}),
    ("keras", "adadelta", {}, adadelta, {"lr": 1.0, "rho": 0.95, "eps": 1e-7}),
    ("keras", "adagrad", {}, adagrad, {"lr": 0.01, "eps": 1e-7}),
    ("keras", "adam", {}, keras_adam, BETAS | {"lr": 0.001, "eps": 1e-7}),
    ("keras", "adam", OTHER, keras_adam, {}),
    ("keras", "adamax", {}, keras_adamax, BETAS | {"lr": 0.002, "eps": 1e-7}),
    ("keras", "adamax", OTHER, keras_adamax, {}),
    ("keras", "nadam", {}, nadam, BETAS | {"lr": 0.002, "eps": 1e-7}),
    ("keras", "rmsprop", {}, rmsprop, {"lr": 0.001, "rho": 0.9, "eps": 1e-7}),
    ("keras", "rmsprop", {"rho": 0.8, "eps": 1e-4}, rmsprop, {"lr": 0.001}),
    ("keras", "sgd", {}, keras_sgd, {"lr": 0.01, "momentum": 0, "nesterov": False}),
    ("keras", "sgd", {"momentum": 0.9}, keras_sgd, {"lr": 0.01, "nesterov": False}),
    ("keras", "sgd", {"momentum": 0.9, "nesterov": True}, keras_sgd, {"lr": 0.01}),
]


@pytest.mark.parametrize(
    ("preset", "name", "options", "formula", "defaults"),
    FORMULAS,
    ids=[f"{preset}-{name}-{'-'.join(options)}" for preset, name, options, _, _ in FORMULAS],
)
def test_pytorch_and_keras_2_follow_their_formulas(
    preset: Any, name: str, options: dict[str, Any], formula: Callable[..., Any], defaults: dict[str, Any]
) -> None:
    arguments = defaults | options
    rate = arguments.pop("lr")
    weights, state, expected = optimizer_paths.start(), defaultdict[str, Any](float), []
    for t, (gradient, share) in enumerate(
        zip(optimizer_paths.gradients(), optimizer_paths.shares(), strict=True), start=1
    ):
        weights = weights + formula(state, weights, gradient, rate * share, t, **arguments)
        expected.append(weights)
    assert_same_way(path_of(make(name=name, preset=preset, **options)), np.array(expected), 1e-6)


def test_every_optimizer_of_pytorch_and_keras_2_has_a_formula() -> None:
    tested = {(preset, name) for preset, name, *_ in FORMULAS} | {("pytorch", "muon")}
    assert tested == {(preset, name) for preset, name in ALL if preset != "tf.keras"}


def mixed(seed: int = 0) -> nn.Module:
    """A network with kernels of all kinds, in the memory format of training."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 16, 1), nn.ConvTranspose2d(16, 5, 3), nn.Linear(7, 4)
    )
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def walk(network: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    """Take some steps along gradients that depend on the step alone."""
    for step in steps:
        draw = torch.Generator().manual_seed(step)
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] / (step + 1)
        for weight in network.parameters():
            weight.grad = torch.empty_like(weight).copy_(torch.randn(weight.shape, generator=draw))
        optimizer.step()


def test_state_that_is_no_tensor_is_loaded_as_it_is() -> None:
    params, network, resumed = make(name="sgd", momentum=0.9), mixed(), mixed(seed=1)
    optimizer, loaded = params.build(network), params.build(resumed)
    walk(network, optimizer, range(2))
    for state in optimizer.state.values():
        state["step"] = 2
    optimizer.state["all"] = 2  # type: ignore[index, assignment]
    loaded.load_state_dict(optimizer.state_dict())
    counts = [state["step"] for weight, state in loaded.state.items() if isinstance(weight, torch.Tensor)]
    assert counts == [2] * len(list(resumed.parameters()))
    assert loaded.state["all"] == 2  # type: ignore[index, comparison-overlap]


def weights_of(network: nn.Module) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


@pytest.mark.parametrize(("preset", "name", "options"), VARIANTS)
def test_training_goes_on_with_the_same_bits_after_a_checkpoint(
    preset: Any, name: str, options: dict[str, Any]
) -> None:
    params = make(name=name, preset=preset, **options)
    whole, stopped = mixed(), mixed()
    walk(whole, params.build(whole), range(8))
    optimizer = params.build(stopped)
    walk(stopped, optimizer, range(4))

    saved = optimizer.state_dict()
    tensors = {f"{at}.{key}": value for at, state in saved["state"].items() for key, value in state.items()}
    stored = safetensors.torch.save({name: value.contiguous() for name, value in tensors.items()})
    groups = json.dumps(saved["param_groups"])

    resumed = mixed(seed=1)
    resumed.load_state_dict(stopped.state_dict())
    optimizer = params.build(resumed)
    state: dict[int, dict[str, torch.Tensor]] = defaultdict(dict)
    for path, value in safetensors.torch.load(stored).items():
        state[int(path.split(".")[0])][path.split(".")[1]] = value
    optimizer.load_state_dict({"state": dict(state), "param_groups": json.loads(groups)})
    walk(resumed, optimizer, range(4, 8))
    assert torch.equal(weights_of(resumed), weights_of(whole))


@pytest.mark.parametrize(("name", "plain"), [("adam", "Adam"), ("adamw", "AdamW"), ("adagrad", "Adagrad")])
def test_fused_kernels_do_what_the_plain_ones_do(name: str, plain: str) -> None:
    torch.manual_seed(0)
    network = catalog.build("unet", 3, 16).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    other = copy.deepcopy(network)
    images = torch.rand(2, 3, 16, 16)
    pairs = [
        (network, make(name=name).build(network)),
        (other, getattr(torch.optim, plain)(other.parameters(), foreach=False)),
    ]
    for each, optimizer in pairs:
        for _ in range(3):
            optimizer.zero_grad()
            (each(images) - 0.5).square().mean().backward()
            assert all(weight.grad.stride() == weight.stride() for weight in each.parameters())
            optimizer.step()
    torch.testing.assert_close(weights_of(network), weights_of(other), rtol=1e-4, atol=1e-5)


def newton_schulz(matrix: np.ndarray) -> np.ndarray:
    """The polynomial of the singular values alone, which the iteration is equivalent to."""
    u, sizes, v = np.linalg.svd(matrix, full_matrices=False)
    sizes = sizes / np.linalg.norm(matrix)
    for _ in range(5):
        sizes = 3.4445 * sizes - 4.7750 * sizes**3 + 2.0315 * sizes**5
    product: np.ndarray = u * sizes @ v
    return product


@pytest.mark.parametrize("shape", [(4, 12), (12, 4), (5, 5), (1, 7)])
def test_orthogonal_brings_singular_values_to_about_one(shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(0).normal(size=shape)
    found = muon_rule.orthogonal(torch.from_numpy(matrix)).numpy()
    np.testing.assert_allclose(found, newton_schulz(matrix), atol=1e-10)
    assert np.linalg.svd(found, compute_uv=False) == pytest.approx(1, abs=0.35)


@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_follows_its_formula_and_adamw_takes_what_is_no_matrix(nesterov: bool) -> None:
    draw = np.random.default_rng(2)
    kernel, bias = draw.normal(size=(6, 3, 2, 2)), draw.normal(size=6)
    network = Weights(kernel.copy(), bias.copy())
    optimizer = make(name="muon", lr=0.02, nesterov=nesterov).build(network)
    mean, state = np.zeros((6, 12)), defaultdict[str, Any](float)
    for t in range(1, 6):
        grads = draw.normal(size=kernel.shape), draw.normal(size=6)
        for weight, grad in zip(network.values, grads, strict=True):
            weight.grad = torch.from_numpy(grad)
        optimizer.step()
        matrix = grads[0].reshape(6, 12)
        mean = 0.95 * mean + 0.05 * matrix
        step = newton_schulz(0.05 * matrix + 0.95 * mean if nesterov else mean)
        kernel = (1 - 0.02 * 0.1) * kernel - 0.02 * 0.2 * np.sqrt(12) * step.reshape(kernel.shape)
        bias = bias + adam(state, bias, grads[1], 0.02, t, (0.9, 0.999), 1e-8, 0.1)
    np.testing.assert_allclose(network.values[0].detach().numpy(), kernel, rtol=1e-9)
    np.testing.assert_allclose(network.values[1].detach().numpy(), bias, rtol=1e-9)


def test_muon_is_torchs_on_matrices_up_to_its_bfloat16() -> None:
    torch.manual_seed(0)
    network = nn.Linear(24, 16, bias=False)
    other = copy.deepcopy(network)
    start = network.weight.detach().clone()
    walk(network, make(name="muon", lr=0.02).build(network), range(5))
    reference = torch.optim.Muon(other.parameters(), lr=0.02, adjust_lr_fn="match_rms_adamw")
    reference.param_groups[0]["initial_lr"] = 0.02
    walk(other, reference, range(5))
    assert (network.weight - other.weight).norm() < 0.03 * (other.weight - start).norm()


def test_muon_does_the_same_in_both_memory_formats() -> None:
    ends = []
    for memory_format in (torch.channels_last, torch.contiguous_format):
        torch.manual_seed(0)
        network = nn.Conv2d(8, 16, 3).to(memory_format=memory_format)  # type: ignore[call-overload]
        walk(network, make(name="muon", lr=0.02).build(network), range(5))
        assert network.weight.is_contiguous(memory_format=memory_format)
        ends.append(weights_of(network))
    torch.testing.assert_close(*ends, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("preset", "name"), ALL)
def test_settings_are_json_and_hold_all_that_the_study_may_set(preset: Any, name: str) -> None:
    settings = make(name=name, preset=preset, label="mine", lr=0.5).settings()
    assert json.loads(json.dumps(settings)) == settings
    assert settings["lr"] == 0.5
    assert (settings["name"], settings["preset"]) == (name, preset)
    assert "label" not in settings


def test_settings_have_the_presets_defaults_filled_in() -> None:
    assert make(name="adagrad", preset="tf.keras").settings() == {
        "name": "adagrad",
        "preset": "tf.keras",
        "lr": 0.001,
        "eps": 1e-7,
        "initial_accumulator_value": 0.1,
    }
    chosen = make(name="adam", lr=0.01, betas=(0.8, 0.9)).settings()
    assert chosen == {"name": "adam", "preset": "pytorch", "lr": 0.01, "betas": [0.8, 0.9], "eps": 1e-8}


def test_presets_differ_in_their_settings_even_where_all_numbers_agree() -> None:
    numbers = {"lr": 0.001, "rho": 0.9, "eps": 1e-7, "momentum": 0.0}
    both = [make(name="rmsprop", preset=preset, **numbers).settings() for preset in ("pytorch", "tf.keras")]
    assert both[0] != both[1]


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("adamm", "0.name is 'adamm': there is none; did you mean 'adam'?"),
        ({"lr": 0.1}, "0.name is missing"),
        ({"name": "adam", "betas": [0.9]}, "0.betas.1 is missing"),
        ({"name": "muon", "preset": "keras"}, "0: preset keras has no muon; take preset pytorch"),
        ({"name": "muon", "preset": "tf.keras"}, "0: preset tf.keras has no muon; take preset pytorch"),
        ({"name": "adamw", "preset": "keras"}, "0: preset keras has no adamw; take preset pytorch or tf.keras"),
        ({"name": "adam", "rho": 0.9}, "0.rho is not a parameter; known: betas, eps, label, lr, name, preset"),
        ({"name": "sgd", "eps": 1e-8}, "0.eps is not a parameter; known: label, lr, momentum, name, nesterov, preset"),
        (
            {"name": "rmsprop", "preset": "keras", "momentum": 0.9},
            "0: rmsprop has no momentum in preset keras; known: eps, lr, rho",
        ),
        ({"name": "sgd", "nesterov": True}, "0: sgd with nesterov needs a momentum above 0"),
    ],
)
def test_what_does_not_exist_is_refused_in_one_line(
    tmp_path: Path, tiny: dict[str, Any], asked: object, answer: str
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(merged(tiny, {"train": {"optimizers": [asked]}})))
    with pytest.raises(ParamsError) as caught:
        load_params(path)
    assert str(caught.value) == f"{path}: train.optimizers.{answer}"


@pytest.mark.parametrize("declared", OPTIMIZERS, ids=lambda declared: declared.__name__)
def test_every_optimizer_is_described_and_trains_in_each_of_its_presets(declared: type[Optimizer]) -> None:
    assert declared.__doc__
    assert declared.source
    assert all(field.description for name, field in declared.model_fields.items() if name != "name")
    options = declared.model_fields.keys() - {"name", "preset", "label"}
    assert options == {option for rule in declared.rules.values() for option in rule.options}
    tag = kind_of(declared)
    assert tag is not None
    for preset in declared.rules:
        network = catalog.build("unet", 1, 16)
        before = weights_of(network)
        optimizer = make(name=tag[1], preset=preset).build(network)
        network(torch.rand(2, 1, 16, 16)).square().mean().backward()
        optimizer.step()
        assert weights_of(network).isfinite().all()
        assert not torch.equal(weights_of(network), before)
