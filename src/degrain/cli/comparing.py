"""`degrain compare`: two models, photograph by photograph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from degrain.cli.options import DeviceOption, ParamsOption
from degrain.stages import PARAMS, PREPARED

if TYPE_CHECKING:
    import pandas as pd

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
    from degrain.errors import ModelError, OutputError
    from degrain.evaluation import examples, methods, scoring, summary
    from degrain.networks import catalog
    from degrain.params.study import load_params
    from degrain.patches.store import PatchStore

    if pictures and pictures.exists():
        raise OutputError(f"{pictures} is there already; name another folder for --pictures")
    study = load_params(params)
    store = PatchStore.open(PREPARED, study)
    tables, compared = [], []
    for model in (first, second):
        denoiser = options.load(model, device, "float32")
        takes = catalog.spec(denoiser.model)
        fits = denoiser.patch_size == store.patch_size if takes.fixed_size else not takes.problem(store.patch_size)
        if not fits or (denoiser.channels, denoiser.light) != (store.channels, store.record.light):
            raise ModelError(f"{model} denoises other images than those of {study.study.name}")
        compared.append(methods.network(model, denoiser, study.evaluate.tile, study.evaluate.overlap))
        tables.append(scoring.score(compared[-1], store, store.photographs()))
    if store.noise.stand_in:
        output.print(store.noise.stand_in)
    for measure in summary.MEASURES:
        one, other = (summary.by_unit(table, measure) for table in tables)
        if len(one):
            output.print(_table(measure, one, other))
            output.print(_told(measure, one, other, study.register_.gate.min_sources))
    if pictures:
        with files.new_folder(pictures) as folder:
            examples.write_side_by_side(folder, store, compared)


def _table(measure: str, one: pd.Series, other: pd.Series) -> object:
    from rich.markup import escape
    from rich.table import Table

    from degrain.errors import printable
    from degrain.evaluation import summary

    metric = summary.metric_of(measure)
    table = Table(box=None, pad_edge=False, title=f"{metric.heading}, {summary.MEASURES[measure]}")
    table.add_column("source", overflow="fold")
    for column in ("first", "second", "first - second"):
        table.add_column(column, justify="right")
    for source in list(one.index)[:SHOWN]:
        gain = f"{one[source] - other[source]:+.{metric.digits}f}"
        table.add_row(escape(printable(str(source))), metric.text(one[source]), metric.text(other[source]), gain)
    if len(one) > SHOWN:
        table.add_row(f"... {len(one) - SHOWN} more")
    return table


def _told(measure: str, one: pd.Series, other: pd.Series, enough: int) -> str:
    """The mean difference, and how sure it is."""
    from degrain.evaluation import gate, summary

    metric = summary.metric_of(measure)
    gains = (one - other).to_numpy()
    if not gains.any():
        return f"the two are equal, on all {len(gains)} sources"
    text = f"the first is better by {gains.mean():+.{metric.digits}f} {metric.unit}, on {(gains > 0).sum()} of "
    text += f"{len(gains)} sources"
    if len(gains) < enough:
        return f"{text}: too few for an interval"
    low, high = gate.lower_end(gains), 0.0 - gate.lower_end(-gains)
    return f"{text}; {gate.CONFIDENCE:.0%} interval {low:+.{metric.digits}f} to {high:+.{metric.digits}f}"
