"""degrain's convolutions against the same in PyTorch's own layers: forward and backward, one thread, turn by turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.common import table
from benchmarks.training import spread
from degrain.machine import compute
from degrain.machine.precision import has_bfloat16_units
from degrain.networks import keras_layers
from degrain.networks.convolutions import ConvTranspose2d, EnlargedConv2d, FewOutputsConv2d

Layer = Callable[[torch.Tensor], torch.Tensor]


def _upsampled(layer: nn.Conv2d) -> Layer:
    return lambda images: F.conv2d(F.interpolate(images, scale_factor=2), layer.weight, layer.bias, padding=1)


def _padded(layer: nn.Conv2d) -> Layer:
    return lambda images: F.conv2d(F.pad(images, (0, 1, 0, 1)), layer.weight, layer.bias, stride=2)


def _cropped(layer: nn.ConvTranspose2d) -> Layer:
    return lambda images: F.conv_transpose2d(images, layer.weight, layer.bias, stride=2)[..., :-1, :-1]


def _usual(layer: nn.Conv2d) -> Layer:
    return lambda images: F.conv2d(images, layer.weight, layer.bias, padding=1)


def _halves(layer: nn.ConvTranspose2d) -> Layer:
    return lambda images: F.conv_transpose2d(images, layer.weight, layer.bias, stride=2)


# What it is, shape of the images, degrain's layer, and what PyTorch has for it.
CASES: list[tuple[str, tuple[int, int, int, int], nn.Module, Callable[..., Layer]]] = [
    ("enlarged twice, then 3x3, 128 to 64", (20, 128, 8, 8), EnlargedConv2d(128, 64), _upsampled),
    ("enlarged twice, then 3x3, 64 to 32", (20, 64, 16, 16), EnlargedConv2d(64, 32), _upsampled),
    ("enlarged twice, then 3x3, 32 to 3", (20, 32, 32, 32), EnlargedConv2d(32, 3), _upsampled),
    ("3x3, 32 to 1", (128, 32, 28, 28), FewOutputsConv2d(32, 1), _usual),
    ("3x3 of stride 2 as TensorFlow pads it, 32 to 64", (32, 32, 24, 24), keras_layers.halving(32, 64), _padded),
    ("its transpose, 32 to 32", (128, 32, 14, 14), keras_layers.doubling(32, 32), _cropped),
    ("its transpose, 64 to 32", (32, 64, 24, 24), keras_layers.doubling(64, 32), _cropped),
    ("2x2 transposed of stride 2, 64 to 32", (20, 64, 16, 16), ConvTranspose2d(64, 32, 2, stride=2), _halves),
]


def run(rounds: int = 30) -> None:
    compute.prepare_torch("cpu", 1)
    kinds = [torch.float32, *([torch.bfloat16] if has_bfloat16_units(torch.device("cpu")) else [])]
    rows = []
    for name, shape, layer, usual in CASES:
        cells: list[str] = []
        for kind in kinds:
            ours, theirs = _times(shape, layer, usual(layer), kind, rounds)
            cells += (f"{1000 * median(ours):.2f}", f"{1000 * median(theirs):.2f}", spread(theirs, ours))
        rows.append((name, f"{shape[0]}x{shape[2]}x{shape[3]}", *cells))
    names = [str(kind).removeprefix("torch.") for kind in kinds]
    head = [f"{name}, {what}" for name in names for what in ("degrain, ms", "PyTorch, ms", "times as fast")]
    print(f"CPU time of forward and backward; {rounds} rounds.\n")
    table(("layer", "images", *head), rows)


def _times(
    shape: tuple[int, int, int, int], ours: Layer, theirs: Layer, kind: torch.dtype, rounds: int
) -> tuple[list[float], list[float]]:
    images = torch.rand(shape).to(kind, memory_format=torch.channels_last).requires_grad_()
    taken: tuple[list[float], list[float]] = [], []
    for number in range(rounds + 3):
        for layer, times in zip((ours, theirs), taken, strict=True):
            started = time.process_time()
            with torch.autocast("cpu", kind, enabled=kind != torch.float32):
                output = layer(images)
            output.backward(torch.ones_like(output))  # type: ignore[no-untyped-call]
            if number >= 3:
                times.append(time.process_time() - started)
    return taken
