"""The networks: counts, shapes, ranges, first weights and padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from degrain.errors import ModelError
from degrain.models import catalog, keras_layers, unet


def parameters(network: nn.Module) -> int:
    """Count as Keras does: batch-normalisation statistics are parameters too."""
    statistics = sum(b.numel() for name, b in network.named_buffers() if name.endswith(("running_mean", "running_var")))
    return sum(weight.numel() for weight in network.parameters()) + statistics


@pytest.mark.parametrize(
    ("name", "channels", "size", "count"),
    [
        ("sinha2018", 3, 64, 333_955),
        ("bernier2021", 1, 28, 178_769),
        ("bernier2021", 1, 48, 379_409),
        ("bernier2021", 1, 52, 432_209),
        ("bernier2021", 3, 32, 211_603),
        ("venkataraman2022", 1, 28, 28_353),
    ],
)
def test_published_networks_have_their_published_size(name: str, channels: int, size: int, count: int) -> None:
    assert parameters(catalog.build(name, channels, size)) == count


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


@pytest.mark.parametrize("name", ["sinha2018", "venkataraman2022", "unet"])
def test_convolutional_networks_take_other_sizes(name: str) -> None:
    multiple = catalog.spec(name).multiple
    images = torch.rand(1, 3, 5 * multiple, 9 * multiple)
    assert catalog.build(name, 3, 64)(images).shape == images.shape


def test_unknown_names_and_sizes_are_refused() -> None:
    with pytest.raises(ModelError, match="did you mean 'sinha2018'"):
        catalog.build("sinha", 3, 64)
    with pytest.raises(ModelError, match="multiple of 8"):
        catalog.build("sinha2018", 3, 60)


@pytest.mark.parametrize("name", ["sinha2018", "bernier2021", "venkataraman2022"])
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
    halve, double = keras_layers.halving(2, 3), keras_layers.doubling(3, 2)
    with torch.no_grad():
        double.weight.copy_(halve.weight)
        for layer in (halve, double):
            layer.bias.zero_()  # type: ignore[union-attr]
        x, y = torch.randn(1, 2, 8, 8), torch.randn(1, 3, 4, 4)
        assert (halve(x) * y).sum().item() == pytest.approx((x * double(y)).sum().item(), rel=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_unet_starts_as_the_identity(channels: int) -> None:
    images = torch.rand(2, channels, 16, 24)
    assert torch.equal(unet.UNet(channels)(images), images)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_unets_transform_is_orthonormal(channels: int) -> None:
    matrix = unet.UNet(channels).get_buffer("transform").reshape(4 * channels, -1)
    assert torch.allclose(matrix @ matrix.T, torch.eye(4 * channels), atol=1e-6)
