"""What several commands take: the study, the model, the device."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from degrain.errors import ModelError, NoChampion, ParamsError
from degrain.stages import PARAMS

if TYPE_CHECKING:
    from degrain.inference.denoiser import Denoiser
    from degrain.pixels import Light

log = logging.getLogger(__name__)

ParamsOption = Annotated[Path, typer.Option("--params", help="The study.", metavar="FILE")]
ModelOption = Annotated[
    str,
    typer.Option(
        help="A trial of the last study, a folder with weights, models:/NAME@ALIAS, or best or small, which come with "
        "degrain. By default the champion of the study in params.yaml, and best until it has one.",
        metavar="MODEL",
    ),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def denoiser(model: str, device: str, params: Path, precision: str = "float32", light: Light | None = None) -> Denoiser:
    """Load what `--model` names, see `chosen`."""
    return chosen(model, device, params, precision, light)[1]


def chosen(
    model: str, device: str, params: Path, precision: str = "float32", light: Light | None = None
) -> tuple[str, Denoiser]:
    """Load what `--model` names, or the study's champion, or what ships if it has none: then say which it is.

    Returns:
        What it is called, and the denoiser.

    Raises:
        ModelError: As of `load`, or it is one of Bayer mosaics or of other light.
        ParamsError: As of `load`.
        RegistryError: As of `load`.
    """
    called, loaded = (model, load(model, device, precision)) if model else _default(device, params, precision)
    if loaded.channels == 4:
        raise ModelError(f"{called} denoises Bayer mosaics, not gray or color images")
    if light is not None and loaded.light != light:
        raise ModelError(f"{called} was trained on images in {loaded.light} light, and these are in {light}")
    if not model:
        log.info("model: %s", called)
    return called, loaded


def _default(device: str, params: Path, precision: str) -> tuple[str, Denoiser]:
    """Load the champion of the study; without a study or a champion, the model that ships."""
    from degrain.shipped import catalog

    if params != PARAMS or params.exists():
        called = champion(params)
        with suppress(NoChampion):
            return called, load(called, device, precision)
    return catalog.DEFAULT, load(catalog.DEFAULT, device, precision)


def champion(params: Path) -> str:
    """Return what the registry calls the champion of a study."""
    from degrain.params.study import load_params

    return f"models:/{load_params(params).register_.name}@champion"


def load(model: str, device: str, precision: str) -> Denoiser:
    """Load a model by a name that a user has given.

    Raises:
        ParamsError: There is no such device or precision.
        ModelError: There is no such model, or it is damaged.
        RegistryError: The registry does not answer or does not hold it.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ParamsError(f"--device: {device!r} is not auto, cpu or cuda")
    if precision not in ("auto", "float32", "bfloat16"):
        raise ParamsError(f"--precision: {precision!r} is not auto, float32 or bfloat16")
    from degrain.api import denoising
    from degrain.machine import compute
    from degrain.machine.precision import for_inference
    from degrain.shipped import catalog

    if precision == "auto" and model in catalog.names():
        precision = "float32"  # NOTE: in bfloat16 they lose up to 2 dB, see docs/quality.md
    on = compute.prepare_torch(device, compute.threads())
    return denoising.opened(model, on, for_inference(precision, on))
