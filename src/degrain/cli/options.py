"""What several commands take: the study, the model, the device."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from degrain.errors import ModelError, ParamsError
from degrain.machine import compute

if TYPE_CHECKING:
    from degrain.inference.denoiser import Denoiser
    from degrain.pixels import Light

ParamsOption = Annotated[Path, typer.Option("--params", help="The study.", metavar="FILE")]
ModelOption = Annotated[
    str,
    typer.Option(
        help="A trial of the last study, a folder with weights, or models:/NAME@ALIAS. "
        "By default the champion of the study in params.yaml.",
        metavar="MODEL",
    ),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def denoiser(model: str, device: str, params: Path, precision: str = "float32", light: Light | None = None) -> Denoiser:
    """Load what `--model` names: by default the champion of the study.

    Raises:
        ModelError: As of `load`, or it is one of Bayer mosaics or of other light.
        ParamsError: As of `load`.
        RegistryError: As of `load`.
    """
    chosen = model or champion(params)
    loaded = load(chosen, device, precision)
    if loaded.channels == 4:
        raise ModelError(f"{chosen} denoises Bayer mosaics, not gray or color images")
    if light is not None and loaded.light != light:
        raise ModelError(f"{chosen} was trained on images in {loaded.light} light, and these are in {light}")
    return loaded


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
    from degrain.inference.denoiser import Denoiser
    from degrain.machine.precision import for_inference

    on = compute.prepare_torch(device, compute.threads())
    with _folder(model) as folder:
        return Denoiser.load(folder, on, for_inference(precision, on))


def _folder(model: str) -> AbstractContextManager[Path]:
    from degrain.registry import aliases, kept, loading
    from degrain.stages import TRIALS

    name, _, alias = model.removeprefix("models:/").rpartition("@")
    if model.startswith("models:/") and alias == aliases.CHAMPION:
        return kept.champion(name)
    return loading.folder_of(model, TRIALS)
