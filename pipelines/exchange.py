"""What a conductor and the workers of a pool hand each other: the commit of a workspace, inputs, and outputs by hash.

    python -m pipelines.exchange send STAGE --run RUN    the workspace as it is, for whoever runs the stage
    python -m pipelines.exchange take STAGE              its inputs, where it is to run; prints what decides it
    python -m pipelines.exchange answer STAGE            its outputs, from where it has run
    python -m pipelines.exchange accept STAGE            its outputs, back where it was sent from

Each runs in a workspace, as a process of its own that its starter can end. Files go over the project's DVC remote. What
DVC calls the run-cache says which outputs came of which inputs; it is found by the hash of all that decides a stage, so
outputs of something else cannot be accepted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from dvc.exceptions import DvcException

from degrain.errors import DataError, DegrainError
from pipelines import workspaces
from pipelines.processes import Children, Log, StageFailed, module
from pipelines.remote import Remote, patiently

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)


def hand(children: Children, folder: Path, log: Log, verb: str, stage: str, *options: str) -> str:
    """Run one of the commands of this module in a workspace.

    Args:
        children: Runs it.
        folder: The workspace.
        log: Called with its output.
        verb: Its name.
        stage: Which stage.
        options: Further ones.

    Returns:
        The last line that it has printed, or nothing.

    Raises:
        StageFailed: It did not get done.
    """
    ended = children.run(module("pipelines.exchange", verb, stage, *options), folder, log)
    if ended.code:
        raise StageFailed(ended.complaint().removeprefix("degrain: "), mistake=ended.code == 2)
    return ended.lines[-1] if ended.lines else ""


@contextmanager
def _opened() -> Iterator[tuple[Any, Remote]]:
    from dvc.repo import Repo, lock_repo

    # NOTE: a stage that runs beside writes dvc.lock; DVC's lock keeps it from being read in halves.
    with Repo(".", _wait_for_lock=True) as repo, lock_repo(repo), repo.scm_context(quiet=True):
        yield repo, Remote(repo)


def _stage(repo: Any, name: str) -> Any:
    (stage,) = repo.stage.collect(name)
    return stage


def _needed(repo: Any, stage: Any) -> list[str]:
    return sorted(needed.addressing for needed in repo.index.graph.successors(stage))


def reference(run: str, stage: str) -> str:
    """Return the name in git under which a workspace is sent."""
    return f"{workspaces.SENT}/{run}/{stage}"


@app.command()
def send(stage: str, run: Annotated[str, typer.Option()]) -> None:
    """Push the inputs of a stage, and print the commit of the workspace."""
    with _opened() as (repo, _):
        commit = workspaces.snapshot(Path(), f"{run}: {stage}", [workspaces.head(Path())])
        needed = _needed(repo, _stage(repo, stage))
        if needed:
            patiently(lambda: repo.push(targets=needed), f"inputs of {stage} do not reach the DVC remote")
    if refused := workspaces.publish(Path(), commit, reference(run, stage)):
        typer.echo(f"only workers in this project's folder will find this run: {refused}")
    typer.echo(commit)


@app.command()
def take(stage: str) -> None:
    """Pull the inputs of a stage, and print the hash of all that decides it."""
    with _opened() as (repo, _):
        needed = _needed(repo, _stage(repo, stage))
        if needed:
            patiently(lambda: repo.pull(targets=needed), f"inputs of {stage} do not come from the DVC remote")
        typer.echo(_key(_stage(repo, stage)))


@app.command()
def answer(stage: str) -> None:
    """Push the outputs of a stage that has run."""
    with _opened() as (repo, remote):
        target, local, folder = _entry(repo, stage)
        patiently(lambda: repo.push(targets=[target.addressing]), f"outputs of {stage} do not reach the DVC remote")
        for path in sorted((local / folder).iterdir()):
            name = f"{folder}/{path.name}"
            patiently(partial(remote.put, path, name), f"{stage} does not reach the DVC remote")


@app.command()
def accept(stage: str) -> None:
    """Fetch the outputs of a stage that was sent, so that DVC restores them and does not run it."""
    with _opened() as (repo, remote):
        target, local, folder = _entry(repo, stage)
        names = patiently(lambda: remote.names(folder), f"the DVC remote does not say what it has of {stage}")
        if not names:
            raise DataError(
                f"{stage} ran with other inputs than it was sent with: what it depends on differs between the folders "
                "of conductor and worker, or is in no commit"
            )
        for name in names:
            patiently(partial(remote.get, name, local / name), f"{stage} does not come from the DVC remote")
        # NOTE: DVC's own restore would take the outputs of the last dvc.lock for those of the inputs of now.
        cache = repo.stage_cache
        outputs = cache._create_stage(cache._load(target), wdir=target.wdir).get_used_objs()
        for objects in outputs.values():
            patiently(partial(repo.cloud.pull, objects), f"outputs of {stage} do not come from the DVC remote")


def _key(stage: Any) -> str:
    """The hash of all that decides a stage, as in DVC's run-cache.

    Raises:
        DataError: Something that it depends on is missing.
    """
    from dvc.stage.cache import _get_stage_hash

    try:
        stage.save_deps()
    except DvcException as error:
        raise DataError(f"{stage.addressing}: {error}") from error
    return str(_get_stage_hash(stage))


def _entry(repo: Any, name: str) -> tuple[Any, Path, str]:
    """A stage, the folder of the run-cache, and the stage's own place in it, here and on the remote."""
    target = _stage(repo, name)
    key = _key(target)
    return target, Path(repo.cache.legacy.path), f"runs/{key[:2]}/{key}"


def main() -> None:
    """Run the command; what went wrong is one line."""
    try:
        app()
    except (DegrainError, StageFailed, DvcException) as error:
        typer.echo(f"degrain: {' '.join(str(error).split())}", err=True)
        raise SystemExit(2 if isinstance(error, DegrainError) else 1) from None


if __name__ == "__main__":
    main()
