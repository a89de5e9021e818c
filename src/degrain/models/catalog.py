"""Every network by name, and what images each can take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from degrain.errors import ModelError, nearest

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModelSpec:
    """What is known about a network without building it.

    Attributes:
        title: For tables.
        source: Paper, or "degrain".
        multiple: Height and width must be multiples of this.
        fixed_size: Whether it takes only the size it was built for.
        bounded: Whether its output lies in [0, 1] by construction.
        build: Makes the network from (channels, size).
    """

    title: str
    source: str
    multiple: int
    fixed_size: bool
    bounded: bool
    build: Callable[[int, int], nn.Module]

    def problem(self, size: int) -> str | None:
        """Say why images of one size cannot be taken, or None when they can."""
        if size % self.multiple:
            return f"needs a size that is a multiple of {self.multiple}, not {size}"
        return None


def _sinha2018(channels: int, size: int) -> nn.Module:  # noqa: ARG001
    from degrain.models import sinha2018

    return sinha2018.build(channels)


def _bernier2021(channels: int, size: int) -> nn.Module:
    from degrain.models import bernier2021

    return bernier2021.build(channels, size)


def _venkataraman2022(channels: int, size: int) -> nn.Module:  # noqa: ARG001
    from degrain.models import venkataraman2022

    return venkataraman2022.build(channels)


def _unet(channels: int, size: int) -> nn.Module:  # noqa: ARG001
    from degrain.models import unet

    return unet.UNet(channels)


MODELS: dict[str, ModelSpec] = {
    "sinha2018": ModelSpec("Sinha 2018", "Sinha and Sharma, IIT CS512, 2018", 8, False, False, _sinha2018),
    "bernier2021": ModelSpec(
        "Bernier 2021", "Bernier and Lucio, Concordia COMP 478, 2021", 4, True, True, _bernier2021
    ),
    "venkataraman2022": ModelSpec("Venkataraman 2022", "Venkataraman, VIT, 2022", 4, False, True, _venkataraman2022),
    "unet": ModelSpec("U-Net", "degrain", 4, False, False, _unet),
}


def spec(name: str) -> ModelSpec:
    """Look a network up.

    Raises:
        ModelError: There is none of that name; the message has the nearest.
    """
    try:
        return MODELS[name]
    except KeyError:
        raise ModelError(f"unknown model {name!r}{nearest(name, MODELS)}") from None


def build(name: str, channels: int, size: int) -> nn.Module:
    """Build a network with fresh weights from PyTorch's global generator.

    Args:
        name: A name of the catalog.
        channels: 1, 3 or 4.
        size: Side of the training patches, in pixels.

    Raises:
        ModelError: Unknown name, or a size it cannot take.
    """
    found = spec(name)
    if problem := found.problem(size):
        raise ModelError(f"{name} {problem}")
    return found.build(channels, size)
