"""`degrain denoise`: image files, folders of them, and pipes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from degrain.cli import options
from degrain.cli.options import DeviceOption, ModelOption, ParamsOption
from degrain.stages import PARAMS

if TYPE_CHECKING:
    from degrain.inference.denoiser import Denoiser
    from degrain.inference.recipe import Recipe

log = logging.getLogger(__name__)

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
def denoise(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN", help="An image (PNG, JPEG, TIFF, camera raw, ...), a folder of images, or - for stdin."
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="OUT",
            help="Where the result goes: a folder for a folder, - for stdout, in the format that came in.",
        ),
    ],
    model: ModelOption = "",
    strength: Annotated[
        float,
        typer.Option(min=0, max=1, help="How much of the noise that is found is removed: less than 1 leaves grain."),
    ] = 1,
    keep_texture: Annotated[
        bool | None,
        typer.Option(
            "--keep-texture/--no-keep-texture",
            help="Give back what is removed from textured areas beyond what is removed from flat ones of the same "
            "brightness. By default for the models that ship, which do not know how much noise there is.",
        ),
    ] = None,
    sharpen: Annotated[
        bool,
        typer.Option("--sharpen", help="Sharpen the result by the kernel of Bernier 2021."),
    ] = False,
    compare: Annotated[
        Path | None,
        typer.Option(
            help="Write a page that shows one image before and after, with a slider and zoom; it holds both images.",
            metavar="PAGE.html",
        ),
    ] = None,
    tile: Annotated[
        int, typer.Option(min=16, help="Largest side of the tiles, in pixels: smaller ones take less memory.")
    ] = 768,
    overlap: Annotated[
        int,
        typer.Option(
            min=0, help="Overlap of the tiles of networks that take one size only, in pixels; half a tile at most."
        ),
    ] = 32,
    resize: Annotated[
        str,
        typer.Option(help="First resize to this, bilinearly; the aspect ratio is not kept.", metavar="WIDTHxHEIGHT"),
    ] = "",
    crop: Annotated[
        str, typer.Option(help="Then keep only so many pixels from the top left.", metavar="WIDTHxHEIGHT")
    ] = "",
    device: DeviceOption = "auto",
    precision: Annotated[
        str,
        typer.Option(
            help="Type the network computes in: float32, bfloat16, or auto, which is bfloat16 on a CPU with units for "
            "it: twice as fast, and a few pixels differ by some levels. For models that ship it is float32."
        ),
    ] = "auto",
    recursive: Annotated[bool, typer.Option("--recursive", help="Take the images of subfolders, too.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace outputs that are there already.")] = False,
    white: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=2**32 - 1,
            help="The value of white in files of more than 8 bits, such as 4095 for 12; where it is not given and a "
            "16-bit file uses few of its bits, it is guessed, and that is said.",
        ),
    ] = None,
    params: ParamsOption = PARAMS,
) -> None:
    """Denoise images of any size, gray or color, 8 or 16 bits; docs/inputs.md says what is read and what is kept.

    For each image it says how much noise it found: the standard deviation of what is removed at full strength, in
    levels of 255.

    Examples:

    - `degrain denoise noisy.png clean.png`

    - `degrain denoise photos/ denoised/ --recursive`

    - `degrain denoise photos/ denoised/ --model small`: a model that comes with degrain, four times as fast as `best`

    - `degrain denoise photo.jpg out.jpg --strength 0.7`: leave some grain

    - `degrain denoise photos/ denoised/ --model unet-adam-mse`

    - `degrain denoise noisy.tif clean.tif --model models:/degrain-quickstart@champion`

    - `degrain denoise noisy.png clean.png --compare page.html`: and a page with a slider between the two

    - `curl -s https://example.org/noisy.jpg | degrain denoise - - --sharpen > clean.jpg`

    - `degrain denoise noisy.png clean.png --resize 342x256 --crop 256x256`: whole images as Sinha 2018 describes it

    - `degrain denoise noisy.png clean.png --resize 256x342 --crop 256x256`: as its code does it, which squeezes a
      landscape and cuts its bottom quarter off
    """
    from degrain import files
    from degrain.inference import denoise_one
    from degrain.inference.recipe import Frame, Recipe

    frame = Frame.parse(resize, crop)

    def recipe() -> tuple[str, Recipe]:
        from degrain.evaluation import sharpening

        called, loaded = options.chosen(model, device, params, precision)
        if keep_texture is not None:
            loaded = replace(loaded, keeps_texture=keep_texture)
        return called, Recipe(loaded, tile, overlap, frame, white, sharpening.sharpen if sharpen else None, strength)

    if not denoise_one.is_meant(source, target, compare):
        refused = _folder(recipe, Path(source), Path(target), recursive, force)
    else:
        asked = denoise_one.route(source, target, compare, force)
        files.require_writable(*asked.outputs)
        called, made = recipe()
        facts = _facts(made.denoiser, called, sharpen) if compare else {}
        problem = denoise_one.run(made, asked, facts, force)
        refused = bool(problem)
        if problem:
            log.error("degrain: %s", problem)
    if refused:
        raise typer.Exit(2)


def _folder(recipe: Callable[[], tuple[str, Recipe]], source: Path, target: Path, recursive: bool, force: bool) -> bool:
    """Denoise the images of a folder; tell whether anything went wrong."""
    from degrain import console, files
    from degrain.inference import denoise_files

    plan = denoise_files.plan(source, target, recursive, force)
    files.require_writable(*{output.parent: output for _, output in plan.pairs}.values())
    _, made = recipe()
    with console.progress("denoise", len(plan.pairs)) as advance:
        problems = denoise_files.run(made, plan.pairs, advance, force)
    refused = [*plan.refused, *problems]
    for problem in refused:
        log.error("degrain: %s", problem)
    log.info(
        "%d written, %d refused, %d there already%s%s",
        len(plan.pairs) - len(problems),
        len(refused),
        len(plan.skipped),
        " (--force replaces them)" if plan.skipped else "",
        f"; left out: {plan.left_out}" if plan.left_out else "",
    )
    return bool(refused)


def _facts(denoiser: Denoiser, called: str, sharpened: bool) -> dict[str, str]:
    """Return what a page says of the model, by what it is about."""
    from degrain.networks import catalog

    trial = denoiser.trial
    told = {"model": called, "network": catalog.spec(denoiser.model).title}
    if trial:
        told |= {"trial": trial.name, "weights": f"SHA-256 {str(trial.weights_sha256)[:12]}"}
    told |= {"computed in": denoiser.precision} | ({"texture": "kept"} if denoiser.keeps_texture else {})
    return told | ({"then": "sharpened"} if sharpened else {})
