"""The networks: counts, shapes, ranges, first weights and padding."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.peers import network_outputs
from benchmarks.peers.keras_weights import adopt
from degrain.errors import ModelError
from degrain.inference.denoiser import to_tensor
from degrain.networks import catalog, keras_layers, overview, unet
from degrain.studies import receptive_field
from tests.conftest import ROOT, with_slow
from tests.networks.references import REFERENCES

# Networks whose every layer starts as Keras's layers do by default.
KERAS_NETWORKS = [
    name
    for name, spec in catalog.MODELS.items()
    if spec.module in ("sinha2018", "bernier2021", "venkataraman2022") or name in ("datacamp2018", "opengenus2019")
]

# Networks that take seconds where smaller ones that are built like them take less than one.
LARGE = ("dncnn-20", "resunet-large")
ANY_SIZE = with_slow((name for name, spec in catalog.MODELS.items() if not spec.fixed_size), LARGE)

KERAS = np.load(network_outputs.OUTPUTS)


@pytest.mark.parametrize(
    ("name", "channels", "size", "count"),
    [
        ("sinha2018", 3, 64, 333_955),
        ("sinha2018-3-3", 3, 64, 186_371),
        ("bernier2021", 1, 28, 178_769),
        ("bernier2021", 1, 48, 379_409),
        ("bernier2021", 1, 52, 432_209),
        ("bernier2021", 3, 32, 211_603),
        ("bernier2021-relu", 1, 28, 178_769),
        ("pyimagesearch2020", 1, 28, 178_769),
        ("pyimagesearch2020-latent32", 3, 32, 342_691),
        ("pyimagesearch2020-latent64", 3, 32, 604_867),
        ("pyimagesearch2020-latent128", 3, 32, 1_129_219),
        ("pyimagesearch2020-latent256", 3, 32, 2_177_923),
        ("pyimagesearch2020-wide", 3, 32, 2_405_763),
        ("pyimagesearch2020-deep", 3, 32, 1_386_627),
        ("machinecurve2019", 1, 28, 47_425),
        ("datacamp2018", 1, 28, 314_625),
        ("opengenus2019", 1, 28, 1_146_484),
        ("venkataraman2022", 1, 28, 28_353),
        ("venkataraman2022-dense", 1, 28, 101_200),
        ("venkataraman2022-dense-relu", 1, 28, 101_200),
        ("yilmaz2020", 3, 64, 520_515),
        ("yilmaz2020-no-skips", 3, 64, 520_515),
        ("yilmaz2020-shallow", 3, 64, 225_091),
        ("rednet10", 3, 64, 298_947),
        ("rednet20", 3, 64, 668_227),
        ("rednet30", 3, 64, 1_037_507),
        ("rednet10", 1, 64, 296_641),
        ("rednet20", 1, 64, 665_921),
        ("rednet30", 1, 64, 1_035_201),
        ("dncnn", 1, 64, 558_017),
        ("dncnn-20", 1, 64, 669_377),
        ("dncnn-20", 3, 64, 671_683),
    ],
)
def test_published_networks_have_their_published_size(name: str, channels: int, size: int, count: int) -> None:
    assert overview.parameters(catalog.build(name, channels, size)) == count


@pytest.mark.parametrize("name", [name for name in catalog.MODELS if name not in REFERENCES])
def test_outputs_are_those_of_keras(name: str) -> None:
    """The same weights and images give the same outputs as TensorFlow, which pads in its own way."""
    network = catalog.build(name, network_outputs.CHANNELS, network_outputs.SIZE).eval()
    adopt(network, network_outputs.known(json.loads(str(KERAS[f"{name} shapes"]))))
    with torch.inference_mode():
        outputs = network(to_tensor(network_outputs.images())).permute(0, 2, 3, 1).numpy()
    assert KERAS[name].std() > 1e-3
    np.testing.assert_allclose(outputs, KERAS[name], rtol=1e-5, atol=1e-5 * np.abs(KERAS[name]).max())


@pytest.mark.parametrize("name", catalog.MODELS)
@pytest.mark.parametrize("channels", [1, 3])
def test_output_has_the_shape_of_the_input(name: str, channels: int) -> None:
    images = torch.rand(2, channels, 32, 32)
    network = catalog.build(name, channels, 32)
    assert network(images).shape == images.shape
    if catalog.spec(name).bounded:
        extreme = network(100 * torch.randn(4, channels, 32, 32))
        assert extreme.min() >= 0
        assert extreme.max() <= 1


@pytest.mark.parametrize("name", [name for name, spec in catalog.MODELS.items() if not spec.fixed_size])
def test_convolutional_networks_take_other_sizes(name: str) -> None:
    multiple = max(catalog.spec(name).multiple, 2)
    images = torch.rand(1, 3, 5 * multiple, 9 * multiple)
    assert catalog.build(name, 3, 64)(images).shape == images.shape


def test_unknown_names_and_sizes_are_refused() -> None:
    with pytest.raises(ModelError, match="did you mean 'sinha2018'"):
        catalog.build("sinha", 3, 64)
    with pytest.raises(ModelError, match="multiple of 8"):
        catalog.build("sinha2018", 3, 60)
    with pytest.raises(ModelError, match="at least 5, not 4"):
        catalog.build("machinecurve2019", 1, 4)
    for name in ("unet-latent16", "bernier2021-latent0", "bernier2021-latent"):
        with pytest.raises(ModelError, match="unknown model"):
            catalog.build(name, 1, 28)
    for name in ("unet-x1", "unet-x9", "unet-x", "unet-x2-x2", "x2", "bernier2021-x2", "bernier2021-latent64-x2"):
        with pytest.raises(ModelError, match=f"unknown model '{name}'"):
            catalog.build(name, 1, 28)
    with pytest.raises(ModelError, match="unknown model 'uent-x2'; did you mean 'unet'"):
        catalog.build("uent-x2", 1, 28)
    with pytest.raises(ModelError, match="Sinha 2018, enlarged 2 times needs a size that is a multiple of 4, not 30"):
        catalog.build("sinha2018-x2", 3, 30)


@pytest.mark.parametrize("name", ANY_SIZE)
@pytest.mark.parametrize("times", [2, 3, 8])
def test_an_enlarged_network_is_the_same_network_between_enlarging_and_shrinking(name: str, times: int) -> None:
    torch.manual_seed(times)
    base, spec = catalog.build(name, 3, 64).double().eval(), catalog.spec(f"{name}-x{times}")
    network = catalog.build(f"{name}-x{times}", 3, 16).double().eval()
    network.load_state_dict(base.state_dict())
    assert overview.parameters(network) == overview.parameters(base)
    assert spec.title == f"{catalog.spec(name).title}, enlarged {times} times"
    images = torch.rand(1, 3, 16, 8, dtype=torch.float64)
    with torch.inference_mode():
        outputs = network(images).permute(0, 2, 3, 1).numpy()
        larger = np.stack([cv2.resize(image, None, fx=times, fy=times) for image in images.permute(0, 2, 3, 1).numpy()])
        expected = base(to_tensor(larger)).permute(0, 2, 3, 1).numpy()
    assert outputs.shape == (1, 16, 8, 3)
    expected = expected.reshape(1, 16, times, 8, times, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-9 * np.abs(expected).max())
    if spec.bounded:
        assert outputs.min() >= 0
        assert outputs.max() <= 1


@pytest.mark.parametrize(
    ("name", "multiple", "smallest"),
    [
        ("sinha2018-x2", 4, 1),
        ("sinha2018-x3", 8, 1),
        ("sinha2018-3-3-x4", 2, 1),
        ("sinha2018-x6", 4, 1),
        ("sinha2018-x8", 1, 1),
        ("unet-x8", 1, 1),
        ("machinecurve2019-x2", 1, 3),
        ("machinecurve2019-x5", 1, 1),
    ],
)
def test_enlarged_networks_take_smaller_images(name: str, multiple: int, smallest: int) -> None:
    spec = catalog.spec(name)
    assert (spec.multiple, spec.smallest) == (multiple, smallest)
    side = max(multiple, smallest)
    images = torch.rand(1, 1, side, 3 * side)
    assert catalog.build(name, 1, side)(images).shape == images.shape


@pytest.mark.parametrize("name", KERAS_NETWORKS)
def test_first_weights_are_kerass(name: str) -> None:
    """Glorot-uniform: variance 2 / (fan in + fan out), bounded by the square root of three times that; bias zero."""
    torch.manual_seed(0)
    for layer in catalog.build(name, 3, 64).modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            weight = layer.weight.detach()
            area = weight[0, 0].numel()
            variance = 2 / ((weight.shape[0] + weight.shape[1]) * area)
            assert weight.abs().max() <= np.sqrt(3 * variance) + 1e-7
            assert weight.var().item() == pytest.approx(variance, rel=0.15)
            assert layer.bias is not None
            assert not layer.bias.detach().any()


def he(fan_in: int, fan_out: int) -> float:
    return 2 / fan_in


def glorot(fan_in: int, fan_out: int) -> float:
    return 2 / (fan_in + fan_out)


@pytest.mark.parametrize(
    ("name", "inner", "last", "uniform"),
    [
        ("machinecurve2019", he, glorot, True),
        ("yilmaz2020", glorot, glorot, False),
        ("yilmaz2020-shallow", glorot, glorot, False),
        ("rednet10", he, he, False),
        ("rednet30", he, he, False),
    ],
)
def test_other_first_weights_are_their_papers(
    name: str, inner: Callable[[int, int], float], last: Callable[[int, int], float], uniform: bool
) -> None:
    torch.manual_seed(0)
    layers = [m for m in catalog.build(name, 3, 64).modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    for layer in layers:
        weight = layer.weight.detach()
        area = weight[0, 0].numel()
        # Keras and PyTorch count the inputs of a transposed layer alike: its second axis.
        variance = (last if layer is layers[-1] else inner)(weight.shape[1] * area, weight.shape[0] * area)
        assert weight.var().item() == pytest.approx(variance, rel=0.15)
        assert (weight.abs().max().item() <= math.sqrt(3 * variance) + 1e-7) is uniform


def test_batch_normalisation_has_kerass_defaults() -> None:
    layers = [m for m in catalog.build("bernier2021", 1, 28).modules() if isinstance(m, nn.BatchNorm2d)]
    assert [(layer.momentum, layer.eps) for layer in layers] == [(0.01, 1e-3)] * 4


def test_halving_pads_as_tensorflow_does() -> None:
    """'same' with stride 2 on an even size: output (i, j) sees input rows 2i .. 2i+2, one row of zeros at the end."""
    layer = keras_layers.halving(1, 1)
    with torch.no_grad():
        image = torch.rand(1, 1, 6, 6)
        output = keras_layers.HalfTurned(layer)(image)[0, 0]
        padded = np.zeros((7, 7))
        padded[:6, :6] = image[0, 0].numpy()
        kernel, bias = layer.weight[0, 0].flip(0, 1).numpy(), layer.bias.item()  # type: ignore[union-attr]
        expected = [
            [(padded[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] * kernel).sum() + bias for j in range(3)] for i in range(3)
        ]
    assert np.allclose(output.numpy(), expected, atol=1e-6)


def test_doubling_is_the_transpose_of_halving() -> None:
    """<halve(x), y> equals <x, double(y)> when both have the same kernel: the definition of a transposed layer."""
    halve, double = keras_layers.halving(2, 3).double(), keras_layers.doubling(3, 2).double()
    with torch.no_grad():
        double.weight.copy_(halve.weight)
        for layer in (halve, double):
            layer.bias.zero_()  # type: ignore[union-attr]
        x, y = torch.randn(1, 2, 8, 8).double(), torch.randn(1, 3, 4, 4).double()
        assert (halve(x) * y).sum().item() == pytest.approx((x * double(y)).sum().item(), abs=1e-9)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_unet_starts_as_the_identity(channels: int) -> None:
    images = torch.rand(2, channels, 16, 24)
    assert torch.equal(unet.UNet(channels)(images), images)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_unets_transform_is_orthonormal(channels: int) -> None:
    matrix = unet.UNet(channels).get_buffer("transform").reshape(4 * channels, -1)
    assert torch.allclose(matrix @ matrix.T, torch.eye(4 * channels), atol=1e-6)


def test_codes_can_be_decoded() -> None:
    network = catalog.build("bernier2021", 1, 28).eval()
    images = torch.rand(3, 1, 28, 28)
    with torch.inference_mode():
        codes = network.encode(images)  # type: ignore[operator]
        assert codes.shape == (3, 16)
        assert torch.equal(network.decode(codes), network(images))  # type: ignore[operator]


def test_kernels_of_machinecurve_stay_short() -> None:
    network = catalog.build("machinecurve2019", 1, 28)
    long, short = network[0].weight, network[2].weight  # type: ignore[index]
    with torch.no_grad():
        long[0, 0, :, 0] = 2.0
    before = short.detach().clone()
    network.constrain()  # type: ignore[operator]
    assert long[0, 0, :, 0].norm().item() == pytest.approx(2, rel=1e-5)
    torch.testing.assert_close(short.detach(), before, rtol=1e-4, atol=0)  # Keras adds 1e-7 to each norm


@pytest.mark.parametrize(
    ("name", "size", "channels", "macs"),
    [
        # 784 * 64 both ways.
        ("venkataraman2022-dense", 28, 1, 2 * 784 * 64),
        # Every weight of AEv2_0 but its biases meets every pixel.
        ("yilmaz2020", 32, 3, (520_515 - 64 * 15 - 3) * 32**2),
        # Two convolutions at 28 and 14, two transposed ones that read 7 and 14, the last one at 28.
        ("venkataraman2022", 28, 1, 288 * 28**2 + 9216 * 14**2 + 9216 * 7**2 + 9216 * 14**2 + 288 * 28**2),
        # Convolutions of an enlarged image are counted at its size.
        ("sinha2018", 64, 3, (864 * 64 + 18432 * 16 + 73728 * 4 + 147456 + 73728 * 4 + 18432 * 16 + 864 * 64) * 64),
        # As for images of 64 pixels, of which they make them.
        ("yilmaz2020-x2", 32, 3, (520_515 - 64 * 15 - 3) * 64**2),
    ],
)
def test_multiplications_are_counted_as_papers_count_them(name: str, size: int, channels: int, macs: int) -> None:
    assert overview.macs(catalog.build(name, channels, size), channels, size) == macs


def test_the_catalog_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    overview.show(1, 28)
    shown = capsys.readouterr().out
    assert "178,769" in shown
    assert "needs a size that is a multiple of 8, not 28" in " ".join(shown.split())
    page = (ROOT / "docs" / "models.md").read_text()
    assert overview.markdown(3, 64) in page, "run: degrain models --markdown"
    assert overview.markdown(1, 28) in page


@pytest.mark.parametrize("name", [*ANY_SIZE, "unet-x2", "sinha2018-x8"])
def test_the_declared_radius_is_the_one_that_gradients_reach(name: str) -> None:
    torch.manual_seed(0)
    spec = catalog.spec(name)
    assert spec.radius is not None
    reached = receptive_field.reached(spec, catalog.build(name, 1, 64), 1, spec.radius)
    assert reached <= spec.radius <= reached + spec.multiple
