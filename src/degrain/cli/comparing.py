"""`degrain compare`: two models, photograph by photograph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from degrain.cli.options import DeviceOption, ParamsOption
from degrain.stages import PARAMS, PREPARED

if TYPE_CHECKING:
    from degrain.evaluation.comparing import Comparison

app = typer.Typer()
# The table has so many rows at most; the means are over all sources.
SHOWN = 40

Model = Annotated[
    str, typer.Argument(help="A trial of the last study, a folder with weights, or models:/NAME@ALIAS or /VERSION.")
]


@app.command()
def compare(
    first: Model,
    second: Model,
    pictures: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Also write each test photograph there: noisy, first, second, clean."),
    ] = None,
    params: ParamsOption = PARAMS,
    device: DeviceOption = "auto",
) -> None:
    """Measure two models on the test images of the prepared study, source by source.

    The interval is that of the gate: over photographs or scenes, never over patches, and none over a few of them.

    Examples:

    - `degrain compare unet-adam-mse unet-adam-mae`

    - `degrain compare models:/degrain-quickstart@champion models:/degrain-quickstart@previous --pictures side-by-side`
    """
    from degrain import files
    from degrain.cli import options
    from degrain.console import output
    from degrain.errors import OutputError
    from degrain.evaluation import comparing, examples, methods
    from degrain.params.study import load_params
    from degrain.patches.store import PatchStore

    if pictures and pictures.exists():
        raise OutputError(f"{pictures} is there already; name another folder for --pictures")
    study = load_params(params)
    store = PatchStore.open(PREPARED, study)
    compared = []
    for model in (first, second):
        denoiser = options.load(model, device, "float32")
        comparing.require_fit(model, denoiser, store, study.study.name)
        compared.append(methods.network(model, denoiser, study.evaluate.tile, study.evaluate.overlap))
    found = comparing.compare(compared[0], compared[1], store, study.register_.gate.min_sources)
    if store.noise.stand_in:
        output.print(store.noise.stand_in)
    for comparison in found:
        output.print(_table(comparison))
        output.print(str(comparison))
    if pictures:
        with files.new_folder(pictures) as folder:
            examples.write_side_by_side(folder, store, compared)


def _table(comparison: Comparison) -> object:
    from rich.markup import escape
    from rich.table import Table

    from degrain.errors import printable
    from degrain.evaluation import summary

    metric, rows = comparison.metric, comparison.table
    table = Table(box=None, pad_edge=False, title=f"{metric.heading}, {summary.MEASURES[comparison.measure]}")
    table.add_column("source", overflow="fold")
    for column in ("first", "second", "first - second"):
        table.add_column(column, justify="right")
    for source, first, second, gain in rows[:SHOWN].itertuples():
        scores = metric.text(first), metric.text(second), f"{gain:+.{metric.digits}f}"
        table.add_row(escape(printable(str(source))), *scores)
    if len(rows) > SHOWN:
        table.add_row(f"... {len(rows) - SHOWN} more")
    return table
