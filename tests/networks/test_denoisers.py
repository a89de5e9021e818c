"""DnCNN, FFDNet and our residual U-Nets: what they compute and how they begin."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from degrain.networks import catalog, overview, resunet
from degrain.networks.ffdnet import FFDNet
from tests.networks.references import REFERENCES

RESUNETS = [name for name in REFERENCES if name.startswith("resunet")]
SHAPE = 16, 24


def build(name: str, channels: int, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return catalog.build(name, channels, 32)


def disturbed(network: nn.Module) -> nn.Module:
    """Give batch normalization statistics of its own, and other layers biases, which are 0 at first."""
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.05 * torch.randn(weight.shape))
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                assert layer.running_mean is not None
                assert layer.running_var is not None
                layer.running_mean.normal_(0, 0.3)
                layer.running_var.uniform_(0.5, 2)
    return network


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_outputs_are_those_of_the_formulas(name: str, channels: int) -> None:
    network = disturbed(build(name, channels).eval()).double()
    image = torch.rand(1, channels, *SHAPE, dtype=torch.float64)
    with torch.inference_mode():
        output = network(image)[0].numpy()
    assert (output - image[0].numpy()).std() > 1e-3
    expected = REFERENCES[name](network, image[0].numpy())
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["dncnn", "ffdnet"])
def test_first_weights_are_orthogonal(name: str) -> None:
    gain = 1 if name == "dncnn" else 2
    layers = [layer for layer in build(name, 3).modules() if isinstance(layer, nn.Conv2d)]
    for layer in layers:
        matrix = layer.weight.detach().flatten(1)
        if name == "ffdnet" and len(matrix) == 1:
            assert torch.equal(matrix, torch.full_like(matrix, 1 / matrix.numel()))
            continue
        product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
        torch.testing.assert_close(product, gain * torch.eye(len(product)), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("channels", "layers", "width"), [(1, 15, 64), (3, 12, 96), (4, 12, 96)])
def test_ffdnet_has_its_papers_layers(channels: int, layers: int, width: int) -> None:
    network = FFDNet(channels)
    found = [layer for layer in network.denoiser if isinstance(layer, nn.Conv2d)]
    assert len(found) == layers
    assert (found[0].in_channels, found[0].out_channels) == (4 * channels + 1, width)
    assert found[-1].out_channels == 4 * channels
    count = overview.parameters(network.denoiser)
    assert count == 9 * width * (8 * channels + 1 + (layers - 2) * width) + (layers - 1) * width + 4 * channels


@pytest.mark.parametrize("seed", range(8))
def test_ffdnets_noise_level_begins_with_a_gradient(seed: int) -> None:
    torch.manual_seed(seed)
    network = FFDNet(1)
    images = torch.rand(1, 1, 16, 16)
    level = network.noise_level(images)
    assert level.shape == (1, 1, 8, 8)
    assert level.min() >= 0
    network(images).square().mean().backward()
    for layer in network.estimator:
        if isinstance(layer, nn.Conv2d):
            assert layer.weight.grad is not None
            assert layer.weight.grad.any()


@pytest.mark.parametrize("name", RESUNETS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_residual_unet_starts_as_the_identity(name: str, channels: int) -> None:
    images = torch.rand(2, channels, *SHAPE)
    assert torch.equal(build(name, channels)(images), images)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_transform_of_residual_unets_is_orthonormal(channels: int) -> None:
    network = resunet.ResUNet(channels, (4, 4, 4), (1, 1, 1, 1, 1))
    matrix = network.get_buffer("transform").reshape(4 * channels, -1)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(4 * channels), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("resunet-small", 0, 100_000), ("resunet-medium", 450_000, 550_000), ("resunet-large", 4_500_000, 5_500_000)],
)
def test_residual_unets_have_the_sizes_that_they_are_named_for(name: str, least: int, most: int) -> None:
    assert least < overview.parameters(build(name, 3)) <= most


@pytest.mark.parametrize("name", ["resunet-small-mean", "resunet-medium-mean"])
def test_what_keeps_the_mean_keeps_it(name: str) -> None:
    """Near the mean over a wide neighborhood, whatever the rest of the network makes of the image."""
    network, other = (disturbed(build(one, 3).eval()) for one in (name, name.removesuffix("-mean")))
    images = torch.rand(1, 3, 192, 160)
    with torch.inference_mode():
        kept, shifted = (resunet.means(one(images) - images).abs().mean() for one in (network, other))
    assert kept < 0.2 * shifted


def test_the_mean_of_a_flat_image_is_its_value() -> None:
    image = torch.full((1, 2, 24, 136), 0.3, dtype=torch.float64)
    torch.testing.assert_close(resunet.means(image), image, rtol=0, atol=1e-12)


def test_the_small_residual_unet_needs_fewer_multiplications_than_the_unet() -> None:
    small, unet = (overview.macs(build(name, 3), 3, 64) for name in ("resunet-small", "unet"))
    assert small < 0.6 * unet
