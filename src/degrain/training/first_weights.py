"""Trials that begin with the weights of a model that comes with degrain, instead of random ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from degrain.artifacts.trial import TRIAL, TrialRecord
from degrain.errors import ParamsError, nearest
from degrain.pixels import Light
from degrain.shipped import catalog

if TYPE_CHECKING:
    from torch import nn


def record(name: str) -> TrialRecord:
    """Return what is recorded of the training of a model that ships.

    Raises:
        ParamsError: No model of that name does.
    """
    return TrialRecord.read(_folder(name) / TRIAL)


def check(name: str, model: str, channels: int | None, light: Light | None) -> None:
    """Refuse a start with the weights of another network, or of one for other images.

    Args:
        name: Of the model that ships.
        model: The network that is trained, by its name in the catalog.
        channels: Of its images; None where they have not been read yet.
        light: What their values stand for; None as well.

    Raises:
        ParamsError: It cannot start like that.
    """
    start = record(name)
    for what, wanted, found in (
        ("the network", model, start.model),
        ("images of so many channels:", channels, start.channels),
        ("images in the light", light, start.light),
    ):
        if wanted not in (None, found):
            raise ParamsError(f"train.start: {name} is for {what} {found}, and this study for {wanted}")


def load(name: str, network: nn.Module) -> None:
    """Give a network the weights of a model that ships, after `check`.

    Raises:
        ParamsError: No model of that name does.
        ModelError: Its weights are damaged, or those of other code of the network.
    """
    from degrain.inference.denoiser import Denoiser

    network.load_state_dict(Denoiser.load(_folder(name)).network.state_dict())


def _folder(name: str) -> Path:
    folder = catalog.folder(name)
    if folder is None:
        raise ParamsError(f"train.start: no model {name!r} comes with degrain{nearest(name, catalog.names())}")
    return folder
