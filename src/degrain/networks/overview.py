"""The catalog of networks for people: parameters, and products of numbers for an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from rich.table import Table
from torch import nn

from degrain import signatures
from degrain.console import output
from degrain.networks import catalog


@dataclass(frozen=True)
class Entry:
    """What is known of a network for images of one size.

    Attributes:
        name: In the catalog.
        title: For tables.
        source: Paper, or "degrain".
        problem: Why it cannot take such images, or None.
        parameters: Those that are trained and the statistics of batch normalisation, as Keras counts them.
        macs: Multiplications of one weight and one number, for one image: those of convolutions and dense layers, as
            they are written in the paper. The networks here compute the same with fewer where they can.
    """

    name: str
    title: str
    source: str
    problem: str | None
    parameters: int | None = None
    macs: int | None = None


def entries(channels: int, size: int) -> list[Entry]:
    """Return the whole catalog, for images (channels, size, size)."""
    return [_entry(name, channels, size) for name in catalog.MODELS]


def _entry(name: str, channels: int, size: int) -> Entry:
    spec = catalog.spec(name)
    signatures.check_network(spec)
    if problem := spec.problem(size):
        return Entry(name, spec.title, spec.source, problem)
    network = catalog.build(name, channels, size)
    return Entry(name, spec.title, spec.source, None, parameters(network), macs(network, channels, size))


def parameters(network: nn.Module) -> int:
    """Count parameters as Keras does: batch-normalisation statistics are parameters, too."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    return sum(weight.numel() for weight in network.parameters()) + sum(2 * layer.num_features for layer in layers)


def macs(network: nn.Module, channels: int, size: int) -> int:
    """Count multiplications of one weight and one number, for one image (channels, size, size)."""
    counted = 0

    def count(layer: nn.Module, images: tuple[torch.Tensor, ...], outputs: torch.Tensor) -> None:
        nonlocal counted
        # NOTE: every number that a transposed convolution reads meets each weight of its channel, and every one that
        # the others write.
        seen = images[0] if isinstance(layer, nn.ConvTranspose2d) else outputs
        assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)  # noqa: S101
        counted += seen[0].numel() // seen.shape[1] * layer.weight.numel()

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        network.eval()(torch.zeros(1, channels, size, size))
    return counted


def show(channels: int, size: int) -> None:
    """Print the catalog as a table."""
    table = Table(box=None, pad_edge=False)
    for column in ("name", "parameters", "MACs", "paper"):
        right = column in ("parameters", "MACs")
        table.add_column(column, justify="right" if right else "left", no_wrap=column != "paper")
    for entry in entries(channels, size):
        name, parameters, macs, _, source = _cells(entry)
        table.add_row(name, parameters, macs, entry.problem or source)
    output.print(table)
    output.print(
        f"\nFor images of {size}x{size}x{channels}. MACs: multiplications of a weight and a number, in millions."
    )


def markdown(channels: int, size: int) -> str:
    """Return the catalog as a Markdown table."""
    lines = ["| name | parameters | MACs, millions | what it is | paper |", "|---|---:|---:|---|---|"]
    for entry in entries(channels, size):
        name, *cells = _cells(entry)
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cells(entry: Entry) -> Sequence[str]:
    if entry.problem or entry.parameters is None or entry.macs is None:
        return entry.name, "", "", f"{entry.title}; {entry.problem}", entry.source
    return entry.name, f"{entry.parameters:,}", f"{entry.macs / 1e6:,.1f}", entry.title, entry.source
