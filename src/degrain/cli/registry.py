"""`degrain promote` and `degrain rollback`: what a person decides about the champion."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from degrain.cli.options import ParamsOption
from degrain.stages import PARAMS, PROMOTIONS

log = logging.getLogger(__name__)
app = typer.Typer()

Reason = Annotated[str, typer.Option("--reason", help="Why; it goes into the journal.", metavar="TEXT")]
Name = Annotated[
    str, typer.Option("--name", help="The registered model; that of the study if not given.", metavar="NAME")
]


@app.command()
def promote(
    version: Annotated[int, typer.Argument(min=1, help="Number of a version of the registered model.")],
    reason: Reason,
    name: Name = "",
    params: ParamsOption = PARAMS,
) -> None:
    """Make a version the champion because you say so; the gate is not asked.

    Who you are is what your machine says; the journal (results/promotions.jsonl) keeps it with the reason.

    Example: `degrain promote 3 --reason "wins on the new cameras"`
    """
    from degrain.params.study import load_params
    from degrain.registry import journal, promotion, tracking

    name = name or load_params(params).register_.name
    with tracking.connect() as client:
        before = promotion.by_hand(client, name, str(version), reason)
        journal.copy(journal.read(client, name), PROMOTIONS)
    log.info("version %d of %s is the champion%s", version, name, f", before it was version {before}" if before else "")


@app.command()
def rollback(reason: Reason, name: Name = "", params: ParamsOption = PARAMS) -> None:
    """Make the version that was the champion before the present one the champion again.

    The present one gets the alias back by `degrain promote` alone: the next `degrain register` refuses it.

    Example: `degrain rollback --reason "maze patterns in dark skies"`
    """
    from degrain.params.study import load_params
    from degrain.registry import journal, promotion, tracking

    name = name or load_params(params).register_.name
    with tracking.connect() as client:
        holder, previous = promotion.roll_back(client, name, reason)
        journal.copy(journal.read(client, name), PROMOTIONS)
    log.info("version %s of %s is the champion again, no longer version %s", previous, name, holder)
