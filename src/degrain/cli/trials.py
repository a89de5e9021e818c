"""`degrain trials`: what is in the ledger, and cleaning it up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from degrain.trials.listing import Row

app = typer.Typer(invoke_without_command=True, rich_markup_mode="markdown")


@app.callback()
def show(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the trials of the ledger: state, epochs, validation PSNR, time spent and left.

    States: running, stopped (goes on from its checkpoint when it is asked for again), done, diverged, failed (given up
    after its retries), damaged (not trusted), outdated (written by another version of degrain). Exit code 1 when there
    are failed ones.

    Examples:

    - `degrain trials`

    - `degrain trials retry unet-adam-mse`: forget that it failed, then `dvc repro -f -s train@unet`

    - `degrain trials clean --days 30 --dry-run`
    """
    if context.invoked_subcommand:
        return
    from degrain.trials import listing
    from degrain.trials.ledger import Ledger

    found = listing.rows(Ledger())
    if as_json:
        typer.echo(json.dumps(listing.as_json(found), indent=2))
    else:
        _print(found)
    if any(row.state == "failed" for row in found):
        raise typer.Exit(1)


@app.command()
def retry(
    names: Annotated[list[str], typer.Argument(metavar="[NAME]...", help="Which; all that failed if absent.")] = [],  # noqa: B006
) -> None:
    """Forget that trials failed or diverged, so that they are trained again when they are asked for.

    Example: `degrain trials retry && dvc repro -f -s train@unet`
    """
    from degrain.trials import listing
    from degrain.trials.ledger import Ledger

    _print(listing.retry(Ledger(), names), "to be tried again")


@app.command()
def clean(
    days: Annotated[float, typer.Option(min=0, help="Not used for so many days.")] = 30.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list them.")] = False,
) -> None:
    """Remove trials that nothing has used for some time, and what is left of stopped and damaged ones.

    Example: `degrain trials clean --days 90`
    """
    from degrain.trials import listing
    from degrain.trials.ledger import Ledger

    _print(listing.clean(Ledger(), days, dry_run), "to be removed" if dry_run else "removed")


def _print(rows: list[Row], what: str = "") -> None:
    from rich.markup import escape
    from rich.table import Table

    from degrain.console import output
    from degrain.errors import printable

    if not rows:
        output.print(f"no trial {what}" if what else "the ledger holds no trials yet: dvc repro")
        return
    table = Table(box=None, pad_edge=False, title=what or None)
    for column in ("key", "trial", "state"):
        table.add_column(column, no_wrap=True)
    for column in ("epochs", "PSNR, dB", "time", "left"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("remark", overflow="fold")
    for row in rows:
        psnr = "" if row.val_psnr is None else f"{row.val_psnr:.2f}"
        epochs = f"{row.epochs_done}/{row.epochs}"
        times = _duration(row.seconds), _duration(row.seconds_left)
        table.add_row(row.key[:8], row.name, row.state, epochs, psnr, *times, escape(printable(row.reason)))
    output.print(table)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
