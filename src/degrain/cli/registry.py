"""What a person decides about the champion, and asks of it: `promote`, `rollback`, `lineage`, `rebuild`, `verify`."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from degrain.cli import options
from degrain.cli.options import ParamsOption
from degrain.errors import RegistryError, printable
from degrain.stages import PARAMS, PREPARED, PROMOTIONS, REGISTRATION

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)
# Seconds after which a server that does not answer is given up.
LONGEST = 60.0
app = typer.Typer()

# What `degrain rebuild` ends with when the weights are others: under the same key, which should not happen, or under
# another one, as on another kind of machine.
SAME_KEY, OTHER_KEY = 1, 3

Reason = Annotated[
    str, typer.Option("--reason", help="Why, in 2,000 characters at most; it goes into the journal.", metavar="TEXT")
]
Version = Annotated[
    str, typer.Argument(metavar="[MODEL]", help="models:/NAME@ALIAS or models:/NAME/VERSION; the study's champion.")
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
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
    from degrain.registry import promotion, tracking

    name, ours = _model(name, params)
    with tracking.connect() as client, _copied(client, name, ours):
        before = promotion.by_hand(client, name, str(version), reason)
    log.info("version %d of %s is the champion%s", version, name, f", before it was version {before}" if before else "")


@app.command()
def rollback(reason: Reason, name: Name = "", params: ParamsOption = PARAMS) -> None:
    """Make the version that was the champion before the present one the champion again.

    The present one gets the alias back by `degrain promote` alone: the next `degrain register` refuses it.

    Example: `degrain rollback --reason "maze patterns in dark skies"`
    """
    from degrain.registry import promotion, tracking

    name, ours = _model(name, params)
    with tracking.connect() as client, _copied(client, name, ours):
        holder, previous = promotion.roll_back(client, name, reason)
    log.info("version %s of %s is the champion again, no longer version %s", previous, name, holder)


@app.command()
def publish(
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on until all trials of the study have ended; Ctrl-C ends it.")
    ] = False,
    params: ParamsOption = PARAMS,
) -> None:
    """Bring the study's runs in MLflow up to date with this machine's trial ledger, also of what is being trained.

    `degrain train` does that by itself where MLFLOW_TRACKING_URI names a server. Sending twice doubles nothing.

    Examples:

    - `degrain publish`

    - `MLFLOW_TRACKING_URI=http://127.0.0.1:5000 degrain publish --follow`
    """
    from degrain.machine import compute
    from degrain.params.study import load_params
    from degrain.patches.store import PatchStore
    from degrain.registry import following
    from degrain.training.trial import expand
    from degrain.trials import mirroring
    from degrain.trials.ledger import Ledger
    from degrain.trials.work import key_of

    study = load_params(params)
    store, device = PatchStore.described(PREPARED, study), compute.prepare_torch(study.train.device, 1)
    trials = [trial for model in study.train.models for trial in expand(study.train, model)]
    asked = mirroring.asked(trials, lambda trial: key_of(trial, store, device))
    watched = following.Watched(study.register_.name, study.study.name, asked, Ledger())
    until = time.monotonic() + LONGEST
    left = following.follow(watched, lambda: follow or time.monotonic() < until, once=not follow)
    log.info("%d of %d trials have ended and are in MLflow", len(asked) - len(left), len(asked))
    for name in left:
        log.info("not yet: %s", name)


def _model(name: str, params: Path) -> tuple[str, bool]:
    """Return which registered model is meant, and whether it is that of the project's study."""
    from degrain.params.study import load_params

    if name and not params.exists():
        return name, False
    own = load_params(params).register_.name
    return name or own, name in ("", own)


@contextmanager
def _copied(client: MlflowClient, name: str, ours: bool) -> Iterator[None]:
    """Copy the journal into the project, if it is that of its study's model, also where the champion stays."""
    from degrain.registry import aliases, journal

    try:
        yield
    except RegistryError:
        if ours and aliases.current(client, name):
            journal.copy(journal.read(client, name), PROMOTIONS)
        raise
    if ours:
        journal.copy(journal.read(client, name), PROMOTIONS)


@app.command()
def lineage(
    model: Version = "",
    as_json: AsJson = False,
    params: ParamsOption = PARAMS,
) -> None:
    """Tell where a registered version comes from, from the registry alone: no file of this project is read for it.

    Examples:

    - `degrain lineage`

    - `degrain lineage models:/degrain-quickstart/3 --json`
    """
    from degrain.registry import lineage as told
    from degrain.registry import loading, tracking

    with tracking.connect() as client:
        found = told.of(client, loading.version(client, model or options.champion(params)))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for section, values in found.items():
        typer.echo(f"{section}:")
        for name, value in values.items():
            typer.echo(f"  {name}: {printable(value)}")


@app.command()
def rebuild(
    model: Version = "",
    keep: Annotated[bool, typer.Option("--keep", help="Keep the git worktree, in .degrain/rebuilds/.")] = False,
    params: ParamsOption = PARAMS,
) -> None:
    """Train a registered version again from its commit, its params and its data, and compare the weights.

    It runs in a git worktree, by that commit's own code and with a ledger of its own. Where the weights differ, both
    are measured on the test patches.

    Exit code 0: the same bits. 1: other bits under the same key. 3: other bits under another key, as with other
    libraries or on another kind of machine. 2: it could not be rebuilt.

    Examples:

    - `degrain rebuild`

    - `degrain rebuild models:/degrain-quickstart/3 --keep`
    """
    from degrain.machine import variables
    from degrain.registry import rebuilding

    try:
        made = rebuilding.rebuild(model or options.champion(params), variables.project(), PREPARED, keep)
    except KeyboardInterrupt:
        typer.echo(f"degrain: interrupted; the worktree {'stays' if keep else 'is removed'}", err=True)
        raise typer.Exit(130) from None
    for line in rebuilding.conclusion(made):
        typer.echo(printable(line))
    if not made.same_bits:
        raise typer.Exit(SAME_KEY if made.same_key else OTHER_KEY)


@app.command()
def verify(name: Name = "", as_json: AsJson = False, params: ParamsOption = PARAMS) -> None:
    """Hold registry, journal, ledger, DVC cache, DVC remote and git against each other; change nothing.

    A line for each check that holds, with how much it looked at, and one for each problem, with what to do about it.
    Exit code 1 when there is a problem.

    Examples:

    - `degrain verify`

    - `degrain verify --name degrain-quickstart --json`
    """
    from degrain.machine import variables
    from degrain.registry import checks, verifying

    name, ours = _model(name, params)
    left = verifying.Left(PREPARED, REGISTRATION, PROMOTIONS) if ours else None
    found = verifying.verify(name, variables.project(), left)
    if as_json:
        typer.echo(json.dumps(checks.as_json(found), indent=2))
    else:
        for line in checks.told(found):
            typer.echo(printable(line))
    if any(check.findings for check in found):
        raise typer.Exit(1)
