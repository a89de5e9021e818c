"""The `degrain` command: one subcommand per stage, and check, params, doctor."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

import degrain
from degrain.cli.comparing import app as comparing_commands
from degrain.cli.denoise import app as denoise_commands
from degrain.cli.options import ParamsOption
from degrain.cli.project import app as project_commands
from degrain.cli.registry import app as registry_commands
from degrain.cli.sidd import app as sidd_commands
from degrain.cli.trials import app as trials_commands
from degrain.errors import OF_THE_MACHINE, DegrainError, ParamsError, Stopped, printable
from degrain.stages import PARAMS

if TYPE_CHECKING:
    from degrain.params.study import Params

log = logging.getLogger(__name__)

GO_ON = "what is finished is kept, run the same command again to go on"


class _Group(TyperGroup):
    """The command group; Typer would end an interrupted command without a word."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo(f"degrain: interrupted; {GO_ON}", err=True)
            raise typer.Exit(130) from None
        except Stopped as stopped:
            typer.echo(f"degrain: stopped; {GO_ON}", err=True)
            raise typer.Exit(stopped.exit_code) from None


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Train, compare and register image-denoising autoencoders, reproducibly.\n\n"
    "`dvc repro` runs the stages in order; each is also a command here.\n\n"
    "**Examples**\n\n"
    "- `degrain init denoising --images ~/photos`: a project of your own\n"
    "- `degrain check`: is params.yaml a study that can run?\n"
    "- `degrain datasets`: which data sets there are, and which are here\n"
    "- `degrain models`: which networks there are\n"
    "- `degrain studies`: which studies there are, what each costs, what is missing here\n"
    "- `degrain train --model unet`: train one model's grid\n"
    "- `degrain trials`: what has been trained, what is half done, what failed\n"
    "- `degrain denoise noisy.png clean.png`: denoise with the champion\n"
    "- `degrain compare unet-adam-mse unet-adam-mae`: which of two is better, photograph by photograph\n"
    "- `degrain doctor`: what this machine has and what is missing",
)

STAGES = "Stages (what dvc.yaml calls)"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"degrain {degrain.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug messages.")] = False,
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    from degrain import console
    from degrain.machine import variables

    context.obj = debug
    variables.switch_off_telemetry()
    console.set_up_logging(debug)


def _refuse_code_of_another_folder() -> None:
    """Refuse to run a stage by other code than that of the project that DVC writes the result down for.

    Raises:
        ParamsError: The folder has code of its own.
    """
    own = Path("src/degrain/__init__.py")
    if own.is_file() and not own.samefile(degrain.__file__):
        raise ParamsError(
            f"this command would run the code in {Path(degrain.__file__).parents[1]}, not that of this folder; "
            "put PYTHONPATH=src before it"
        )


def _refuse_a_place_without_name() -> None:
    """Refuse a folder whose name is no text here: libraries cannot be told of it.

    Raises:
        ParamsError: It is one.
    """
    here, encoding = str(Path.cwd()), sys.getfilesystemencoding()
    try:
        here.encode()
    except UnicodeEncodeError:
        way_out = "rename it" if encoding == "utf-8" else "put PYTHONUTF8=1 before the command, or LC_ALL=C.UTF-8"
        raise ParamsError(f"the name of this folder is not {encoding}: {here}; {way_out}") from None


def _load(path: Path, *stages: str) -> Params:
    """Load the study and refuse one that cannot work as a whole, whichever stage runs; all of them if none is named."""
    from degrain.params.study import load_params
    from degrain.project import code
    from degrain.studies import check

    _refuse_code_of_another_folder()
    _refuse_a_place_without_name()
    code.require(Path(), *stages)
    params = load_params(path)
    check.check(params)
    return params


@app.command(rich_help_panel=STAGES)
def download(params: ParamsOption = PARAMS) -> None:
    """Fetch the study's data set into data/raw/."""
    from degrain.stages import download as stage

    stage.run(_load(params, "download"))


@app.command(rich_help_panel=STAGES)
def validate(params: ParamsOption = PARAMS) -> None:
    """Describe every image and hold the data against its expectations."""
    from degrain.stages import validate as stage

    stage.run(_load(params, "validate"))


@app.command(rich_help_panel=STAGES)
def prepare(params: ParamsOption = PARAMS) -> None:
    """Cut patches, hold some out by source, add the fixed noise."""
    from degrain.stages import prepare as stage

    stage.run(_load(params, "prepare"))


@app.command(rich_help_panel=STAGES)
def train(
    model: Annotated[str, typer.Option(help="Which model of the study to train.", metavar="NAME")],
    trial: Annotated[
        str, typer.Option(help="Train only this trial, and only enter it in the ledger.", metavar="NAME")
    ] = "",
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Train in this process, for a debugger; errors are not caught.")
    ] = False,
    params: ParamsOption = PARAMS,
) -> None:
    """Train one model with every optimizer, loss and seed of the study.

    Examples:

    - `degrain train --model unet`

    - `degrain train --model unet --trial unet-adam-mse --in-process`: under a debugger, such as
      `python -m pdb -m degrain train ...`
    """
    from degrain.stages import train as stage

    stage.run(_load(params, "train"), model, trial, in_process)


@app.command(rich_help_panel=STAGES)
def evaluate(params: ParamsOption = PARAMS) -> None:
    """Measure every trial, the classical baselines and the noisy input on the same held-out data."""
    from degrain.stages import evaluate as stage

    stage.run(_load(params, "evaluate"))


@app.command(rich_help_panel=STAGES)
def report(params: ParamsOption = PARAMS) -> None:
    """Write results/report.html."""
    from degrain.stages import report as stage

    stage.run(_load(params, "report"))


@app.command(rich_help_panel=STAGES)
def register(params: ParamsOption = PARAMS) -> None:
    """Publish the trials to MLflow and promote the best one if it passes the gate."""
    from degrain.stages import register as stage

    stage.run(_load(params, "register"))


app.add_typer(project_commands)
app.add_typer(denoise_commands)
app.add_typer(sidd_commands)
app.add_typer(registry_commands)
app.add_typer(comparing_commands)


@app.command()
def check(
    change: Annotated[
        list[str] | None,
        typer.Option("-S", help="Check what `dvc exp run` would run with this; may be repeated.", metavar="KEY=VALUE"),
    ] = None,
    params: ParamsOption = PARAMS,
) -> None:
    """Say whether params.yaml is a study that can run: networks, losses, optimizers and metrics are tried once.

    Examples:

    - `degrain check`

    - `degrain check -S study=mnist -S train.epochs=3`: before `dvc exp run -S study=mnist -S train.epochs=3`
    """
    from degrain.machine import compute
    from degrain.studies import check as studies_check
    from degrain.studies import gallery

    loaded = _load(params)
    if change:
        loaded = gallery.changed(change, loaded.study.name)
        studies_check.check(loaded)
    studies_check.check_code(loaded)
    compute.require_device(loaded.train.device)
    _try(loaded, studies_check.channels(loaded))
    log.info(
        "%s: %d models x %d pairs of optimizer and loss x %d seeds, %d epochs each",
        loaded.study.name,
        len(loaded.train.models),
        len(loaded.train.cells),
        len(loaded.train.seeds),
        loaded.train.epochs,
    )


def _try(params: Params, channels: Sequence[int]) -> None:
    """Refuse what only a run on a few numbers shows to be wrong; where images may have several channels, train does."""
    from degrain.studies import array_probes, network_probes
    from degrain.training import trial

    for check_noise in (array_probes.check_noise, network_probes.check_device_noise):
        check_noise(params.prepare.noise, channels)
    if len(channels) == 1:
        array_probes.check_baselines(params.evaluate.baselines, channels[0])
        network_probes.check_networks(params.train.models, channels[0], params.prepare.patch_size)
        network_probes.check_cells(params.train.cells, channels[0], params.prepare.patch_size)
        trials = (trial.expand(params.train, model)[0] for model in params.train.models)
        network_probes.check_trials(trials, channels[0], params.prepare.patch_size)


@app.command("datasets")
def show_datasets(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Only this one, with everything known of it.")] = "",
    markdown: Annotated[bool, typer.Option("--markdown", help="All of it as Markdown, as in docs/data.md.")] = False,
) -> None:
    """List the data sets: what each is, what it needs, what of it is already here.

    Examples:

    - `degrain datasets`

    - `degrain datasets sidd-small`
    """
    from degrain.ingest.datasets import overview
    from degrain.stages import RAW

    if markdown:
        typer.echo(overview.reference())
    elif name:
        typer.echo(overview.details(name))
    else:
        overview.show(RAW)


@app.command("studies")
def show_studies(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Only this one, with all that its file tells.")] = "",
    ready: Annotated[bool, typer.Option("--ready", help="Only those for which nothing is missing here.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the studies of conf/study: data set, machine, time, expected PSNR, and what is missing here to run each.

    Examples:

    - `degrain studies`

    - `degrain studies sinha2018`

    - `degrain studies --ready --json`
    """
    from degrain.stages import RAW
    from degrain.studies import overview

    if name and (ready or as_json):
        raise ParamsError("--ready and --json are of the whole list, not of one study")
    if name:
        typer.echo(overview.details(name, RAW))
        return
    found = overview.entries(RAW, ready)
    if as_json:
        typer.echo(json.dumps(overview.as_json(found), indent=2))
    else:
        overview.show(found)


@app.command("formats")
def show_formats() -> None:
    """Say what is read, kept, converted and refused of each image format, as Markdown."""
    from degrain.ingest.formats import overview

    typer.echo(overview.table())


@app.command("models")
def show_models(
    size: Annotated[int, typer.Option(help="Side of the images, in pixels.", min=1, max=512, metavar="PIXELS")] = 64,
    channels: Annotated[int, typer.Option(help="Channels of the images.", min=1, max=4)] = 3,
    markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown, as in docs/models.md.")] = False,
) -> None:
    """List the networks: parameters, multiplications for an image, and the paper each is from.

    Examples:

    - `degrain models`

    - `degrain models --size 28 --channels 1`
    """
    from degrain.networks import overview

    if markdown:
        typer.echo(overview.markdown(channels, size))
    else:
        overview.show(channels, size)


app.add_typer(trials_commands, name="trials")


@app.command()
def reproductions(
    record: Annotated[bool, typer.Option("--record", help="First write down what the last run measured.")] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Write it into the page beside the folder instead: docs/reproductions.md.")
    ] = False,
    blocks: Annotated[
        list[Path] | None,
        typer.Option(help="Record this of `degrain sidd-validation --json`, too; may be repeated.", metavar="FILE"),
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where claims and records lie.", metavar="FOLDER")] = Path(
        "docs/reproductions"
    ),
    params: ParamsOption = PARAMS,
) -> None:
    """Print what papers claim against what their studies measured, as Markdown.

    Examples:

    - `degrain reproductions`

    - `degrain reproductions --record --write`: after `dvc exp run -S study=venkataraman2022`
    """
    from degrain.artifacts.validation import VALIDATION
    from degrain.params.study import load_params
    from degrain.patches.store import PatchStore
    from degrain.reproductions import page, recording
    from degrain.stages import EVALUATED, FIGURES, METRICS, PREPARED, REPORT, REPORT_RECORD, TRIALS, VALIDATED

    if blocks and not record:
        raise ParamsError("--blocks is only for --record")
    if record:
        store = PatchStore.open(PREPARED)
        reported = recording.Reported(METRICS, REPORT, REPORT_RECORD, FIGURES, VALIDATED / VALIDATION)
        log.info("%s", recording.record(load_params(params), store, TRIALS, EVALUATED, reported, folder, blocks or ()))
    if write:
        log.info("%s", page.write(folder))
    else:
        typer.echo(page.tables(folder))


@app.command("params")
def params_reference() -> None:
    """Print the reference of all parameters as Markdown."""
    from degrain.studies.reference import reference

    typer.echo(reference())


@app.command()
def doctor() -> None:
    """Say what this machine has and what is missing; exit code 1 when something needed is."""
    from degrain.cli import doctor as examination

    if not examination.run():
        raise typer.Exit(1)


@app.command("tracking-uri", hidden=True)
def tracking_uri() -> None:
    """Print the address of the MLflow store in use, ready to be opened."""
    from degrain.machine import variables
    from degrain.registry import tracking

    with tracking.connect():
        pass
    typer.echo(variables.tracking_uri())


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a mistake of a user, or in what somebody has declared, is one line and exit code 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    try:
        app(arguments)
    except DegrainError as error:
        if debug:
            raise
        typer.echo(f"degrain: {error}", err=True)
        raise SystemExit(2) from None
    except OSError as error:
        if debug or (error.filename is None and error.errno not in OF_THE_MACHINE):
            raise
        # NOTE: of a copy, the second name is the target; a source that cannot be read has no second.
        name = error.filename2 or error.filename
        where = f" {printable(os.fsdecode(name))}" if name else ""
        typer.echo(f"degrain: cannot write or read{where}: {error.strerror}", err=True)
        raise SystemExit(2) from None
    except Exception as error:
        from degrain import catalogs

        text = None if debug else catalogs.failed_import(error)
        if text is None:
            raise
        typer.echo(f"degrain: {printable(text)}", err=True)
        raise SystemExit(2) from None
