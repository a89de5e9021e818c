"""Training losses against Keras, TensorFlow and scikit-image, closed forms, and finite differences."""

from __future__ import annotations

import importlib
import json
import math
import pkgutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from pydantic import TypeAdapter
from skimage.metrics import structural_similarity
from torch import Tensor

from benchmarks.peers.loss_values import pair, sample
from degrain import losses
from degrain.declaration import kind_of
from degrain.errors import ParamsError
from degrain.losses import structural
from degrain.losses.base import Loss
from degrain.losses.catalog import LOSSES, AnyLoss
from degrain.losses.sum import Sum
from degrain.metrics.psnr import psnr
from degrain.metrics.ssim import ssim
from degrain.params.study import load_params
from tests.conftest import merged

REFERENCE = json.loads((Path(__file__).parent / "loss_values.json").read_text())["cases"]

NAMES = [tag[1] for declared in LOSSES if declared is not Sum and (tag := kind_of(declared))]


def make(name: str, **options: Any) -> Loss:
    """A loss as params.yaml names it."""
    adapter: TypeAdapter[Loss] = TypeAdapter(AnyLoss)
    return adapter.validate_python({"name": name, **options})


# Every loss with its defaults, some with other options, and a sum.
LOSS = [
    *(make(name) for name in NAMES if name != "ms-ssim"),
    make("huber", delta=0.1),
    make("charbonnier", eps=0.1),
    make("ms-ssim"),
    make("sum", terms=[{"name": "ssim", "weight": 0.84}, {"name": "mae", "weight": 0.16}]),
]
each_loss = pytest.mark.parametrize("loss", LOSS, ids=lambda loss: "-".join(map(str, loss.settings().values())))


def tensors(name: str) -> tuple[Tensor, Tensor]:
    output, clean = (torch.from_numpy(images).permute(0, 3, 1, 2) for images in pair(name))
    return output, clean


def images(loss: Loss, count: int = 2, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Outputs and clean images within (0, 1), as small as the loss takes them."""
    size = 161 if loss.name == "ms-ssim" else 12
    draw = torch.Generator().manual_seed(1)
    clean = 0.1 + 0.8 * torch.rand(count, 2, size, size, generator=draw, dtype=dtype)
    return clean + 0.2 * (torch.rand(clean.shape, generator=draw, dtype=dtype) - 0.5), clean


def gradient(loss: Loss, output: Tensor, clean: Tensor) -> Tensor:
    output = output.detach().clone().requires_grad_()
    return torch.autograd.grad(loss.value(output, clean), output)[0]


def case_id(case: dict[str, Any]) -> str:
    return f"{case['loss']}-{case['pair']}-{''.join(map(str, case['options'].values()))}"


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("case", REFERENCE, ids=case_id)
def test_values_and_gradients_are_those_of_keras_and_tensorflow(
    case: dict[str, Any], memory_format: torch.memory_format
) -> None:
    output, clean = (images.contiguous(memory_format=memory_format) for images in tensors(case["pair"]))
    loss = make(case["loss"], **case["options"])
    found = gradient(loss, output, clean).permute(0, 2, 3, 1).numpy()

    assert loss.value(output, clean).item() == pytest.approx(case["value"], rel=1e-6, abs=2e-6)
    assert np.abs(found).sum(dtype=np.float64) == pytest.approx(case["gradient_sum"], rel=2e-5)
    # NOTE: of MS-SSIM with small windows, TensorFlow's float32 gradient is 4e-4 off ours in float64, ours 2e-4.
    tolerance = 1e-3 if case["options"].get("window") else 1e-4
    assert sample(found) == pytest.approx(case["gradient"], rel=tolerance, abs=1e-5 * float(np.abs(found).max()))


def test_every_loss_that_keras_or_tensorflow_has_is_compared_with_it() -> None:
    assert set(NAMES) - {case["loss"] for case in REFERENCE} == {"charbonnier"}


def test_charbonnier_is_its_formula() -> None:
    output, clean = pair("tame")
    for eps in (1e-3, 0.1):
        expected = np.mean(np.sqrt(np.square(output.astype(float) - clean) + eps**2))
        found = make("charbonnier", eps=eps).value(*tensors("tame"))
        assert found.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["photo", "noise", "one window"])
def test_ssim_is_that_of_scikit_image(name: str) -> None:
    expected = [
        structural_similarity(
            output,
            clean,
            data_range=1.0,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for output, clean in zip(*(images.astype(float) for images in pair(name)), strict=True)
    ]
    assert structural.ssim(*tensors(name)).numpy() == pytest.approx(np.array(expected), abs=2e-6)


def test_psnr_and_ssim_are_minus_the_metrics() -> None:
    shape = (3, 16, 20, 3)
    draw = np.random.default_rng(5)
    clean = draw.integers(0, 256, shape).astype(np.uint8)
    noisy = np.clip(clean + draw.normal(0, 20, shape), 0, 255).astype(np.uint8)
    tensors = [torch.from_numpy(images / np.float32(255)).permute(0, 3, 1, 2) for images in (noisy, clean)]
    assert -make("psnr").value(*tensors).item() == pytest.approx(psnr(noisy, clean).mean(), abs=1e-4)
    assert 1 - make("ssim").value(*tensors).item() == pytest.approx(ssim(noisy, clean).mean(), abs=1e-6)


@each_loss
def test_losses_of_parts_weighted_by_their_size_add_up_to_that_of_the_batch(loss: Loss) -> None:
    output, clean = images(loss, count=5, dtype=torch.float64)
    parts = [slice(0, 2), slice(2, 3), slice(3, 5)]
    values = [loss.value(output[part], clean[part]) * len(output[part]) / 5 for part in parts]
    assert sum(values).item() == pytest.approx(loss.value(output, clean).item(), rel=1e-12)


@each_loss
def test_gradients_are_those_of_finite_differences(loss: Loss) -> None:
    output, clean = images(loss, count=1, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: loss.value(x, clean), output.requires_grad_(), fast_mode=True)


@each_loss
def test_a_step_against_the_gradient_lowers_the_loss(loss: Loss) -> None:
    output, clean = images(loss)
    slope = gradient(loss, output, clean)
    assert loss.value(output - 1e-3 * slope / slope.abs().max(), clean) < loss.value(output, clean)


@each_loss
def test_a_bfloat16_output_is_compared_in_float32(loss: Loss) -> None:
    output, clean = images(loss)
    rounded = output.bfloat16()
    found = loss.value(rounded, clean)
    assert found.dtype == torch.float32
    assert torch.equal(found, loss.value(rounded.float(), clean))
    assert gradient(loss, rounded, clean).isfinite().all()


@each_loss
def test_autocast_changes_nothing(loss: Loss) -> None:
    output, clean = images(loss)
    with torch.autocast("cpu", torch.bfloat16):
        inside = gradient(loss, output, clean)
    assert torch.equal(inside, gradient(loss, output, clean))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
@each_loss
def test_a_gpu_gives_the_same_values(loss: Loss, memory_format: torch.memory_format) -> None:
    output, clean = (batch.contiguous(memory_format=memory_format) for batch in images(loss))
    slope = gradient(loss, output.cuda(), clean.cuda()).cpu()
    assert loss.value(output.cuda(), clean.cuda()).item() == pytest.approx(loss.value(output, clean).item(), rel=1e-5)
    assert (slope - gradient(loss, output, clean)).abs().max() < 1e-4 * slope.abs().max()


@each_loss
def test_the_same_images_give_the_same_bits(loss: Loss) -> None:
    output, clean = images(loss)
    assert torch.equal(gradient(loss, output, clean), gradient(loss, output, clean))


@pytest.mark.parametrize("clean_level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0, 1000.0])
@each_loss
def test_constant_patches_have_finite_gradients(loss: Loss, level: float, clean_level: float) -> None:
    like, _ = images(loss, count=1)
    output, clean = torch.full_like(like, level), torch.full_like(like, clean_level)
    assert loss.value(output, clean).isfinite()
    assert gradient(loss, output, clean).isfinite().all()


@each_loss
def test_the_clean_image_is_the_best_output(loss: Loss) -> None:
    output, clean = images(loss)
    least = {"bce": None, "psnr": -80.0, "charbonnier": loss.settings().get("eps")}.get(loss.name, 0.0)
    found = loss.value(clean, clean).item()
    assert found < loss.value(output, clean).item()
    if least is not None:
        assert found == pytest.approx(least, rel=1e-6, abs=1e-6)
    assert gradient(loss, clean, clean).isfinite().all()


def test_similarities_are_each_images_own() -> None:
    output, clean = tensors("large")
    for similarity in (structural.ssim, structural.ms_ssim):
        alone = torch.cat([similarity(output[i : i + 1], clean[i : i + 1]) for i in range(2)])
        assert alone[0] != alone[1]
        assert similarity(output, clean).numpy() == pytest.approx(alone.numpy(), abs=1e-6)


def test_detail_of_the_wrong_sign_at_one_scale_counts_nothing_in_ms_ssim() -> None:
    _, coarse = tensors("least")
    rows = torch.arange(161)
    detail = 0.3 * (-1.0) ** (rows[:, None] + rows)
    assert make("ms-ssim").value(coarse + detail, coarse + detail) == 0
    assert make("ms-ssim").value(coarse - detail, coarse + detail) == 1
    assert not gradient(make("ms-ssim"), coarse - detail, coarse + detail).any()


def test_the_least_sizes_are_the_least() -> None:
    for name, options, side in (("ssim", {}, 11), ("ms-ssim", {}, 161), ("ms-ssim", {"window": 7}, 97)):
        assert make(name, **options).problem(True, side) is None
        loss = make(name, **options)
        assert loss.value(torch.rand(1, 1, side, side), torch.rand(1, 1, side, side)).isfinite()
        with pytest.raises(RuntimeError):
            loss.value(torch.rand(1, 1, side - 1, side), torch.rand(1, 1, side - 1, side))


def test_cross_entropy_has_the_entropy_of_the_clean_image_as_its_floor() -> None:
    _, clean = pair("tame")
    entropy = -np.mean(clean * np.log(clean) + (1 - clean) * np.log(1 - clean))
    assert make("bce").value(tensors("tame")[1], tensors("tame")[1]).item() == pytest.approx(entropy, rel=1e-5)


@pytest.mark.parametrize("error", [1e-4, 0.01, 1.0, 30.0, 1000.0])
def test_logcosh_is_exact_for_small_errors_and_finite_for_large_ones(error: float) -> None:
    exact = math.log1p(2 * math.sinh(error / 2) ** 2) if error < 100 else error - math.log(2)
    for sign in (1, -1):
        output, clean = torch.full((1, 1, 2, 2), sign * error), torch.zeros(1, 1, 2, 2)
        assert make("logcosh").value(output, clean).item() == pytest.approx(exact, rel=1e-3)
        assert gradient(make("logcosh"), output, clean).sum().item() == pytest.approx(sign * math.tanh(error), rel=2e-3)


def test_a_sum_weighs_its_terms() -> None:
    terms = [{"name": "mse", "weight": 2.0}, {"name": "huber", "delta": 0.1, "weight": 0.5}, {"name": "ssim"}]
    output, clean = tensors("photo")
    mse, huber, ssim = make("mse"), make("huber", delta=0.1), make("ssim")
    expected = 2 * mse.value(output, clean) + 0.5 * huber.value(output, clean) + ssim.value(output, clean)
    assert make("sum", terms=terms).value(output, clean).item() == pytest.approx(expected.item())
    single = make("sum", terms=[{"name": "mse", "weight": 3.0}])
    assert single.value(output, clean).item() == pytest.approx(3 * mse.value(output, clean).item())


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"name": "mse", "label": "squares"}, {"name": "mse"}),
        ({"name": "bce", "clip": True}, {"name": "bce"}),
        ({"name": "huber"}, {"name": "huber", "delta": 1.0}),
        ({"name": "charbonnier", "eps": 0.01}, {"name": "charbonnier", "eps": 0.01}),
        (
            {"name": "sum", "terms": [{"name": "charbonnier"}, {"name": "ms-ssim", "weight": 0.5}]},
            {
                "name": "sum",
                "terms": [
                    {"name": "charbonnier", "weight": 1.0, "eps": 0.001},
                    {"name": "ms-ssim", "weight": 0.5, "window": 11},
                ],
            },
        ),
    ],
)
def test_settings_are_all_that_decides_the_value(params: dict[str, Any], expected: dict[str, Any]) -> None:
    found = make(**params).settings()
    assert found == expected
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("hubber", "0.name is 'hubber': there is none; did you mean 'huber'?"),
        ({"name": "smu"}, "0.name is 'smu': there is none; did you mean 'sum'?"),
        ({"name": "zzz"}, "0.name is 'zzz': there is none; known: bce, charbonnier, huber, logcosh, mae"),
        ({"name": "mse", "delta": 0.5}, "0.delta is not a parameter; known: label, name, weight"),
        ({"name": "huber", "delt": 0.5}, "0.delt is not a parameter; did you mean 'delta'?"),
        ({"name": "huber", "delta": 0}, "0.delta is 0: should be greater than 0"),
        ({"name": "ssim", "window": 8}, "0.window is 8: 8 is no odd number from 3 on"),
        ({"name": "mse", "weight": 2}, "0: weight is only for the terms of a sum"),
        ({"name": "sum", "delta": 0.5, "terms": [{"name": "huber"}]}, "0.delta is not a parameter"),
        ({"name": "sum", "weight": 2, "terms": [{"name": "mse"}]}, "0: weight is only for the terms of a sum"),
        ({"delta": 0.5}, "0.name is missing"),
        ({"name": "sum"}, "0.terms is missing"),
        ({"name": "sum", "terms": []}, "0.terms"),
        ({"name": "sum", "terms": [{"name": "sim"}]}, "0.terms.0.name is 'sim': there is none; did you mean 'ssim'?"),
        ({"name": "sum", "terms": [{"name": "sum", "terms": []}]}, "0.terms.0.name is 'sum': there is none"),
        ({"name": "sum", "terms": [{"name": "mse", "label": "a"}]}, "0.terms.0: label is not for the terms of a sum"),
        ({"name": "sum", "terms": [{"name": "mae"}, {"name": "mse", "eps": 1.0}]}, "0.terms.1.eps is not a parameter"),
    ],
)
def test_what_a_loss_does_not_have_is_refused_in_one_line(
    tmp_path: Path, tiny: dict[str, Any], asked: object, message: str
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(merged(tiny, {"train": {"losses": [asked]}})))
    with pytest.raises(ParamsError) as caught:
        load_params(path)
    assert str(caught.value).startswith(f"{path}: train.losses.{message}")
    assert "\n" not in str(caught.value)


def test_every_declared_loss_is_in_the_catalog() -> None:
    modules = [
        importlib.import_module(f"degrain.losses.{found.name}") for found in pkgutil.iter_modules(losses.__path__)
    ]
    declared = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    assert {one for one in declared if issubclass(one, Loss)} - {Loss} == set(LOSSES)
    assert {type(loss) for loss in LOSS} == set(LOSSES)


@pytest.mark.parametrize("declared", LOSSES, ids=lambda declared: declared.__name__)
def test_every_loss_is_described(declared: type[Loss]) -> None:
    assert declared.__doc__
    assert all(field.description for name, field in declared.model_fields.items() if name != "name")


@each_loss
def test_every_loss_is_finite_up_to_black_and_white(loss: Loss) -> None:
    output, clean = images(loss)
    extremes = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand_as(clean)
    for one, other in ((output, clean), (clean, clean), (output, extremes), (extremes, clean), (extremes, extremes)):
        value = loss.value(one, other)
        assert value.shape == ()
        assert value.isfinite()
        assert gradient(loss, one, other).isfinite().all()


@each_loss
def test_a_loss_is_the_same_once_written_and_read(loss: Loss) -> None:
    adapter: TypeAdapter[Loss] = TypeAdapter(AnyLoss)
    assert adapter.validate_json(loss.model_dump_json()) == loss
    assert json.loads(json.dumps(loss.settings())) == loss.settings()


@pytest.mark.parametrize(
    ("params", "bounded", "patch_size", "reason"),
    [
        ({"name": "mse"}, False, 1, None),
        ({"name": "bce"}, True, 8, None),
        ({"name": "bce"}, False, 8, "clip: true"),
        ({"name": "bce", "clip": True}, False, 8, None),
        ({"name": "ssim"}, False, 11, None),
        ({"name": "ssim"}, True, 10, "ssim needs a patch size of at least 11, not 10"),
        ({"name": "ms-ssim"}, False, 161, None),
        ({"name": "ms-ssim"}, False, 160, "ms-ssim needs a patch size of at least 161, not 160"),
        ({"name": "ms-ssim", "window": 7}, False, 97, None),
        ({"name": "ms-ssim", "window": 7}, False, 96, "ms-ssim needs a patch size of at least 97, not 96"),
        ({"name": "ssim", "window": 7}, False, 6, "ssim needs a patch size of at least 7, not 6"),
        ({"name": "sum", "terms": [{"name": "mae"}, {"name": "bce"}]}, False, 64, "clip: true"),
        ({"name": "sum", "terms": [{"name": "mae"}, {"name": "ms-ssim"}]}, False, 64, "161"),
    ],
)
def test_a_loss_that_cannot_work_says_why(
    params: dict[str, Any], bounded: bool, patch_size: int, reason: str | None
) -> None:
    found = make(**params).problem(bounded, patch_size)
    assert (found is None) == (reason is None)
    assert found is None or (reason is not None and reason in found)
