"""Our transposed convolution and the layers of Keras's 'same' against PyTorch's own operations."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from degrain.models import keras_layers
from degrain.models.transposed import ConvTranspose2d, conv_transpose2d


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 0), (3, 2, 1), (4, 2, 1), (2, 2, 0)])
def test_it_is_the_transposed_convolution(kernel: int, stride: int, padding: int) -> None:
    torch.manual_seed(kernel + stride)
    images = torch.rand(2, 5, 6, 8, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(5, 4, kernel, kernel, dtype=torch.float64, requires_grad=True)
    bias = torch.rand(4, dtype=torch.float64, requires_grad=True)
    results = []
    for function in (conv_transpose2d, F.conv_transpose2d):
        output = function(images, weight, bias, stride, padding)
        gradients = torch.autograd.grad(output.square().sum(), (images, weight, bias))
        results.append((output, *gradients))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


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
    halving, doubling = keras_layers.HalvingConv2d(3, 4).double(), keras_layers.DoublingConv2d(3, 4).double()
    padded = F.conv2d(F.pad(images, (0, 1, 0, 1)), halving.weight, halving.bias, stride=2)
    cropped = F.conv_transpose2d(images, doubling.weight, doubling.bias, stride=2)[..., :-1, :-1]
    torch.testing.assert_close(halving(images), padded, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(doubling(images), cropped, rtol=1e-12, atol=1e-12)


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
