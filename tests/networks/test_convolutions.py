"""Our convolutions and the layers of Keras's 'same' against PyTorch's own operations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from degrain.networks import keras_layers
from degrain.networks.convolutions import ConvTranspose2d, EnlargedConv2d, FewOutputsConv2d, conv_transpose2d
from degrain.networks.keras_layers import HalfTurned

GEOMETRIES = [(3, 1, 1, 0), (3, 2, 0, 0), (3, 2, 1, 0), (3, 2, 1, 1), (4, 2, 1, 0), (2, 2, 0, 0), (5, 1, 2, 0)]


@pytest.mark.parametrize("outputs", [1, 3, 4, 17])
@pytest.mark.parametrize(("kernel", "stride", "padding", "behind"), GEOMETRIES)
@pytest.mark.parametrize("sides", [(8, 12), (6, 7)], ids=["whole-blocks", "no-whole-blocks"])
def test_it_is_the_transposed_convolution(
    kernel: int, stride: int, padding: int, behind: int, outputs: int, sides: tuple[int, int]
) -> None:
    torch.manual_seed(kernel + stride)
    images = torch.rand(2, 5, *sides, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(5, outputs, kernel, kernel, dtype=torch.float64, requires_grad=True)
    bias = torch.rand(outputs, dtype=torch.float64, requires_grad=True)

    def convolved(function: Callable[..., torch.Tensor]) -> Callable[[], torch.Tensor]:
        return lambda: function(images, weight, bias, stride, padding, behind)

    assert_same(convolved(conv_transpose2d), convolved(F.conv_transpose2d), images, weight, bias)


@pytest.mark.parametrize("outputs", [1, 3, 20])
@pytest.mark.parametrize(
    ("kind", "enlarged", "sides"), [(EnlargedConv2d, 2, (6, 8)), (FewOutputsConv2d, 1, (8, 4))], ids=["enlarged", "few"]
)
def test_a_layer_is_the_usual_convolution_of_the_enlarged_image(
    kind: type[nn.Conv2d], enlarged: int, sides: tuple[int, int], outputs: int
) -> None:
    torch.manual_seed(outputs)
    layer = kind(3, outputs).double()  # type: ignore[call-arg]
    images = torch.rand(2, 3, *sides, dtype=torch.float64, requires_grad=True)

    def in_two_steps() -> torch.Tensor:
        return F.conv2d(F.interpolate(images, scale_factor=enlarged), layer.weight, layer.bias, padding=1)

    assert_same(lambda: layer(images), in_two_steps, images, *layer.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("outputs", [1, 3, 17])
def test_channels_stay_last(outputs: int, dtype: torch.dtype) -> None:
    """Also where there is one channel, which has both layouts: a convolution of another layout is much slower."""
    images = torch.rand(2, 32, 8, 8, dtype=dtype).to(memory_format=torch.channels_last).requires_grad_()
    weight = torch.rand(32, outputs, 3, 3, dtype=dtype, requires_grad=True)
    output = conv_transpose2d(images, weight, None, padding=1)
    output.backward(torch.rand(2, outputs, 8, 8, dtype=dtype))
    assert images.grad is not None
    for tensor in (output, images.grad):
        assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_its_gradients_are_right() -> None:
    torch.manual_seed(0)
    images = torch.rand(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(2, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *known: conv_transpose2d(*known, None, 2, 1), (images, weight))


def test_it_computes_in_bfloat16_where_pytorch_would() -> None:
    layer = ConvTranspose2d(3, 2, kernel_size=2, stride=2)
    images = torch.rand(1, 3, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(images)
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), layer(images), rtol=0.02, atol=0.02)


def test_same_padding_is_that_of_tensorflow() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 6, 8, dtype=torch.float64)
    halving, doubling = keras_layers.halving(3, 4).double(), keras_layers.doubling(3, 4).double()
    padded = F.conv2d(F.pad(images, (0, 1, 0, 1)), halving.weight.flip(2, 3), halving.bias, stride=2)
    cropped = F.conv_transpose2d(images, doubling.weight.flip(2, 3), doubling.bias, stride=2)[..., :-1, :-1]
    torch.testing.assert_close(HalfTurned(halving)(images), padded, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(HalfTurned(doubling)(images), cropped, rtol=1e-12, atol=1e-12)


def test_flattening_is_that_of_keras_and_can_be_undone() -> None:
    images = torch.arange(2 * 3 * 4 * 4).view(2, 3, 4, 4)
    flat = keras_layers.Flatten()(images)
    assert flat[0, :4].tolist() == [0, 16, 32, 1]
    assert torch.equal(keras_layers.Unflatten(3, 4)(flat), images)


def assert_same(ours: Callable[[], torch.Tensor], theirs: Callable[[], torch.Tensor], *known: torch.Tensor) -> None:
    """Compare two outputs, and the gradients of both with respect to all that is known."""
    results = []
    for function in (ours, theirs):
        output = function()
        results.append([output, *torch.autograd.grad(output.square().sum(), known)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def test_pooling_before_relu_is_pooling_after_it() -> None:
    torch.manual_seed(0)
    convolution, pooling, relu = keras_layers.pooled_convolution(3, 4)
    results = []
    for first, second in ((pooling, relu), (relu, pooling)):
        images = torch.randn(2, 3, 8, 8, requires_grad=True)
        images.data.copy_(torch.sin(torch.arange(384.0)).view(2, 3, 8, 8))
        output = second(first(convolution(images)))
        results.append((output, *torch.autograd.grad(output.square().sum(), (images, *convolution.parameters()))))
    for ours, usual in zip(*results, strict=True):
        assert torch.equal(ours, usual)
