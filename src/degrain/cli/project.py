"""A project of one's own: `init` makes one, `upgrade` brings it up to date."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path
from typing import Annotated

import typer

log = logging.getLogger(__name__)
app = typer.Typer()


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Of the project; made if it is missing.")],
    kind: Annotated[
        str,
        typer.Option(
            help="Your images: photos (clean ones, that get a camera's noise), pairs (noisy/ and clean/), raw (camera "
            "raw files), or only-noisy.",
            metavar="KIND",
        ),
    ] = "photos",
    images: Annotated[Path | None, typer.Option(help="The folder of your images.", metavar="FOLDER")] = None,
    prefect: Annotated[
        bool, typer.Option("--prefect", help="With the Prefect flow, its deployments, servers and workers.")
    ] = False,
) -> None:
    """Make a project of your own: a study, the stages, git and DVC. Nothing that is there is overwritten.

    Examples:

    - `degrain init denoising --images ~/photos`

    - `degrain init denoising --kind only-noisy --images ~/microscope`

    - `degrain init . --prefect`: complete the project in this folder
    """
    from degrain.project import creation

    made = creation.create(folder, kind, images, prefect)
    if made.left:
        log.info("left as they are: %s", ", ".join(made.left))
    for note in made.notes:
        log.warning("%s", note)
    log.info("%s: %d files written", folder, len(made.written))
    if creation.PARAMS in made.written:
        commands = [f"cd {shlex.quote(str(folder))}", *(command for command, _ in made.commands)]
        log.info("next: %s", " && ".join(commands))


@app.command()
def upgrade(
    check: Annotated[
        bool, typer.Option("--check", help="Only say what would change; exit code 1 if something would.")
    ] = False,
) -> None:
    """Bring dvc.yaml and code.yaml of a project up to date with the degrain that is installed, and say what changed.

    What is yours stays: params.yaml, conf/, prefect.yaml, `meta` and `frozen` of a stage, stages of your own.

    Examples:

    - `degrain upgrade --check`

    - `degrain upgrade`
    """
    import degrain
    from degrain.project import upgrading

    changes = upgrading.planned(Path())
    if not check:
        upgrading.write(Path(), changes)
    for change in changes:
        for line in change.told:
            log.info("%s", line)
    if not changes:
        log.info("up to date with degrain %s", degrain.__version__)
    elif check:
        raise typer.Exit(1)
