"""`degrain sidd-submission` and `degrain sidd-validation`: a network on SIDD's blocks."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from degrain.cli.options import DeviceOption, ModelOption, ParamsOption, denoiser
from degrain.stages import PARAMS, RAW

if TYPE_CHECKING:
    from degrain.artifacts.sidd_validation import BlockScores
    from degrain.inference.denoiser import Denoiser

log = logging.getLogger(__name__)

app = typer.Typer(rich_markup_mode="markdown")


@app.command("sidd-submission")
def submission(
    blocks: Annotated[Path, typer.Argument(metavar="BLOCKS", help="BenchmarkNoisyBlocksSrgb.mat.")],
    table: Annotated[Path, typer.Argument(metavar="OUT", help="The table to write, about 336 MB.")],
    model: ModelOption = "",
    device: DeviceOption = "auto",
    competition: Annotated[
        str, typer.Option("--submit", help="Hand it in to this Kaggle competition.", metavar="COMPETITION")
    ] = "",
    message: Annotated[str, typer.Option(help="What the list of submissions says of it.")] = "degrain",
    params: ParamsOption = PARAMS,
) -> None:
    """Denoise the blocks of the SIDD benchmark and write the table that Kaggle takes.

    Examples:

    - `degrain sidd-submission BenchmarkNoisyBlocksSrgb.mat submission.csv`

    - `degrain sidd-submission BenchmarkNoisyBlocksSrgb.mat submission.csv --submit sidd-benchmark-srgb-psnr`
    """
    from degrain import console, files
    from degrain.sidd import submission as made
    from degrain.sidd.blocks import opened

    if competition:
        from degrain.ingest.fetching import kaggle_client

        kaggle_client.check_known(competition)
    files.require_no_input(table, files.inodes([blocks]))
    with opened(blocks) as noisy:
        network = denoiser(model, device, params, light="srgb")
        with console.progress("denoise", len(noisy)) as advance:
            made.write(network, noisy, table, advance)
        log.info("%s: %d blocks denoised by %s", table, len(noisy), _name(network))
    if competition:
        log.info("Kaggle: %s", kaggle_client.submit(table, competition, message))


@app.command("sidd-validation")
def validation(
    folder: Annotated[
        Path,
        typer.Argument(metavar="[FOLDER]", help="With ValidationNoisyBlocksSrgb.mat and ValidationGtBlocksSrgb.mat."),
    ] = RAW / "sidd-validation",
    model: ModelOption = "",
    numbers: Annotated[Path | None, typer.Option("--json", help="Write the numbers there.", metavar="FILE")] = None,
    device: DeviceOption = "auto",
    params: ParamsOption = PARAMS,
) -> None:
    """Measure a network on the SIDD validation blocks, by which the literature compares.

    PSNR and SSIM of the network and of the noisy blocks, means over all blocks.

    Examples:

    - `degrain sidd-validation --model unet-adam-mse`

    - `degrain sidd-validation blocks/ --model models:/degrain-sidd-medium@champion --json validation.json`
    """
    from degrain import console, files
    from degrain.artifacts.sidd_validation import SiddValidation
    from degrain.artifacts.source import SOURCE
    from degrain.ingest.datasets import downloaded
    from degrain.sidd import validation as measured

    if (folder / SOURCE).exists():
        downloaded.check(folder)
    if numbers:
        files.require_no_input(numbers, files.inodes(folder.glob("*")))
    with measured.pairs(folder) as (noisy, clean):
        network = denoiser(model, device, params, light="srgb")
        with console.progress("measure", len(noisy)) as advance:
            scores = measured.score(network, noisy, clean, advance)
    _print(_name(network), scores)
    if numbers:
        SiddValidation(
            schema_version=SiddValidation.VERSION,
            model=_name(network),
            weights_sha256=network.trial.weights_sha256 if network.trial else None,
            scores=scores,
        ).write(numbers)


def _name(network: Denoiser) -> str:
    return network.trial.name if network.trial else network.model


def _print(name: str, scores: BlockScores) -> None:
    from rich.table import Table

    from degrain.console import output
    from degrain.metrics.catalog import METRICS

    table = Table(box=None, pad_edge=False)
    table.add_column(f"{scores.blocks:,} blocks", no_wrap=True)
    for metric in METRICS.values():
        table.add_column(metric.heading, justify="right")
    for title, means in ((name, scores.denoised), ("noisy input", scores.noisy)):
        # One decimal more than for a study's few images: papers compare these.
        table.add_row(title, *(f"{means[name]:.{metric.digits + 1}f}" for name, metric in METRICS.items()))
    output.print(table)
    output.print("\n8 bits, RGB; SSIM: Gaussian 11x11, sigma 1.5; means over the blocks.")
