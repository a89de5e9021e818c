"""The Prefect flow that runs DVC's graph: a task per stage, side by side where they can be, with retries and artifacts.

    python -m pipelines.reproduce                               the study in params.yaml, as committed
    python -m pipelines.reproduce mnist -S train.epochs=2       another one, changed
    python -m pipelines.reproduce --target evaluate             a part of the graph
    python -m pipelines.reproduce --publish branch:nightly      results as a commit on a branch
    python -m pipelines.reproduce --publish here                in this folder, like `dvc repro`
    python -m pipelines.reproduce --pools gpu                   training on the workers of a pool

Without PREFECT_API_URL it runs on a server of its own that ends with it; .degrain/prefect keeps what that remembers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from degrain.artifacts.registration import Registration
from degrain.errors import ParamsError, nearest
from degrain.machine import compute
from degrain.stages import REGISTRATION
from pipelines import artifacts, automations, by_hand, graph, publishing, runs, workspaces
from pipelines.addresses import SERVERS
from pipelines.artifacts import Outcome
from pipelines.ends import End
from pipelines.pools import run_on_pool
from pipelines.processes import Children, Log, StageFailed, degrain
from pipelines.workspaces import Workspace

BRANCH = "branch:"
CACHED = "Cached"
REGISTER = "register"


def _worth_retrying(_task: Any, _run: Any, state: Any) -> bool:
    try:
        state.result()
    except StageFailed as failure:
        return not failure.mistake
    except Exception:  # a stage may fail in ways that only another try can tell
        return True
    return False


@task(task_run_name="{stage.name}", retry_condition_fn=_worth_retrying, cache_policy=NO_CACHE, persist_result=False)
def run_stage(stage: graph.Stage, workspace: Workspace, children: Children, run: str, sent: bool) -> Outcome:
    """Run one stage in this process's workspace, or on a worker of its pool if it is sent."""
    log, started = get_run_logger().info, time.monotonic()
    if sent:
        how = run_on_pool(run, stage, workspace, children, log)
    else:
        followed = artifacts.followed(stage.name, log)
        how = children.reproduce(stage.name, workspace.folder, followed, stage.meta.timeout)
    return Outcome(stage.name, how, time.monotonic() - started)


@task(task_run_name="{stage.name}", cache_policy=NO_CACHE, persist_result=False)
def up_to_date(stage: graph.Stage) -> State[Outcome]:
    """Show a stage of which nothing has changed; nothing is started for it."""
    return Completed(
        name=CACHED, message="nothing that it depends on has changed", data=Outcome(stage.name, "unchanged", 0)
    )


@flow(name="reproduce", task_runner=ThreadPoolTaskRunner(), persist_result=False)  # type: ignore[arg-type]
def reproduce(
    study: str = "",
    overrides: list[str] | None = None,
    targets: list[str] | None = None,
    publish: str = "experiment",
    jobs: int = 0,
    pools: str = "",
    revision: str = "",
) -> Any:
    """Reproduce a study.

    Args:
        study: A file of conf/study, such as "mnist"; params.yaml as it is committed if empty.
        overrides: Changes of its parameters, such as ["train.epochs=2"].
        targets: Stages to run, with all that they need; all if there are none.
        publish: Where results go: "experiment" of DVC, "branch:NAME" for a commit on a branch, or "here": the stages
            run in the project's own folder.
        jobs: How many stages may run side by side here; 0 is as many as there are cores.
        pools: Work pools, such as "gpu" or "cpu,gpu": stages that dvc.yaml gives to one of these run on its workers,
            and all others here.
        revision: Branch, commit or experiment to run; "origin/main" is fetched first. The project's present commit if
            empty.

    Returns:
        What became of each stage, or the state Failed with what went wrong. One stage's failure stops what depends on
        it and nothing else.
    """
    log = get_run_logger()
    try:
        project = workspaces.project_folder(None)
        run = runs.name()
        commit = refuse(project, publish, pools, revision, log.info)
        with _workspace(project, publish, run, commit, log.info) as workspace:
            return _reproduce(workspace, run, study, overrides or [], targets or [], publish, jobs, _pools(pools))
    except runs.EXPECTED as error:
        return runs.failed(error)


def _pools(text: str) -> frozenset[str]:
    """The pools that stages are to be sent to."""
    return frozenset(filter(None, (name.strip() for name in text.split(","))))


def _sent(stages: Sequence[graph.Stage], pools: frozenset[str]) -> frozenset[str]:
    """The pools to which stages are sent, of those that are asked for.

    Not the conductor's own: with all of its slots taken by conductors that wait for its workers, nothing would go on.

    Raises:
        ParamsError: No stage is given to one of them, or the Prefect server has no such pool.
    """
    if not pools:
        return pools
    given = {stage.meta.pool for stage in stages} - {""}
    own = _own_pool()
    for pool in sorted(pools - {own}):
        if pool not in given:
            raise ParamsError(f"pools: no stage of dvc.yaml is given to the pool {pool!r}{nearest(pool, given)}")
        with get_client(sync_client=True) as client:
            try:
                client.read_work_pool(pool)
            except ObjectNotFound:
                raise ParamsError(f"pools: the Prefect server has no pool {pool!r}; run: {SERVERS} deploy") from None
    return pools - {own}


def _own_pool() -> str:
    """The pool whose worker runs this flow, or nothing."""
    with get_client(sync_client=True) as client:
        return client.read_flow_run(UUID(str(flow_run.id))).work_pool_name or ""


def refuse(project: Path, publish: str, pools: str, revision: str, log: Log) -> str:
    """Refuse what could not be published in the end, before anything runs.

    Args:
        project: The project's folder.
        publish: As for the flow.
        pools: As for the flow.
        revision: As for the flow.
        log: Called with what a person should know.

    Returns:
        The commit that runs.

    Raises:
        ParamsError: It could not.
        OutputError: Somebody has the branch checked out, or the origin does not answer.
    """
    if publish == "here" and revision:
        raise ParamsError("revision: publish=here runs what lies in the project's folder")
    commit = workspaces.resolve(project, revision) if revision else "HEAD"
    if publish.startswith(BRANCH):
        publishing.refuse(project, publish.removeprefix(BRANCH), commit, log)
    elif publish not in ("experiment", "here"):
        raise ParamsError(f"publish: {publish!r} is neither 'experiment' nor 'here' nor 'branch:NAME'")
    if publish != "here" or pools:
        publishing.refuse_nobody(project)
    return commit


@contextmanager
def _workspace(project: Path, publish: str, run: str, commit: str, log: Log) -> Iterator[Workspace]:
    if publish == "here":
        with workspaces.claimed(project, run):
            yield Workspace(project, project)
        return
    with workspaces.opened(project, run, log, commit) as workspace:
        yield workspace


def _reproduce(
    workspace: Workspace,
    run: str,
    study: str,
    overrides: Sequence[str],
    targets: Sequence[str],
    publish: str,
    jobs: int,
    pools: frozenset[str],
) -> Any:
    log = get_run_logger()
    with ThreadPoolExecutor(1) as beside, Children(1, workspace.environment) as children:
        workspaces.compose(workspace, study, overrides)
        # NOTE: Prefect's settings and the run whose log it is belong to a context, which a thread has only by a copy.
        checking = beside.submit(copy_context().run, children.run, degrain("check"), workspace.folder, log.info)
        workspaces.restore(workspace, children)
        known = graph.read(workspace.folder)
        sent, stages = _sent(known, pools), graph.chosen(known, targets)
        # Where only what register publishes is looked at again there is nothing to check, and it is not waited for.
        if any(stage.stale and stage.name != REGISTER for stage in stages):
            checked = checking.result()
            if checked.code:
                raise StageFailed(checked.complaint(), mistake=True)
    outcomes, failures = _run(stages, workspace, jobs, run, sent)
    if len(outcomes) < len(stages):
        published = _kept(workspace, publish)
        log.warning("results: %s", published)
    elif publish == "experiment" and not (study or overrides) and not _news(outcomes):
        published = "none; nothing has changed since the commit"
    elif publish != "here":
        published = _publish(workspace, run, told_of(study, overrides, targets), outcomes, publish)
    else:
        published = f"in {workspace.project}"
    artifacts.publish(workspace.folder, run, workspace.project, outcomes, published)
    if any(outcome.stage == REGISTER and outcome.how == "ran" for outcome in outcomes):
        made = Registration.read(workspace.folder / REGISTRATION)
        if made.is_new:
            automations.promoted(made)
    if failures:
        mistake = all(isinstance(failure, StageFailed) and failure.mistake for failure in failures)
        return Failed(message="; ".join(map(str, failures)), name=End.of(mistake))
    return outcomes


def _kept(workspace: Workspace, publish: str) -> str:
    """Where a run that has not done all that it should leaves what it did; it is published nowhere."""
    if publish == "here":
        return f"unfinished, in {workspace.project}"
    return "none, since not all stages ended well; what did is in DVC's cache, and the next run goes on from there"


def told_of(study: str, overrides: Sequence[str], targets: Sequence[str]) -> str:
    """Say in a line what a run was asked for."""
    only = [f"only {' '.join(targets)}"] if targets else []
    return f"Run: {', '.join([study or 'the study in params.yaml', *overrides, *only])}"


def _news(outcomes: Sequence[Outcome]) -> bool:
    """Whether a stage has left something else than the commit has; register always runs, and leaves it elsewhere."""
    return any(outcome.how != "unchanged" and outcome.stage != REGISTER for outcome in outcomes)


def _run(
    stages: Sequence[graph.Stage], workspace: Workspace, jobs: int, run: str, pools: frozenset[str]
) -> tuple[list[Outcome], list[BaseException]]:
    """Run what is stale; return what became of the stages that ended well, and the failures."""
    cores = compute.threads()
    limit = max(1, min(jobs or cores, graph.beside([stage for stage in stages if stage.meta.pool not in pools])))
    threads = {"DEGRAIN_THREADS": str(max(1, cores // limit))}
    futures: dict[str, PrefectFuture[Outcome]] = {}
    with Children(limit, workspace.environment | threads) as children:
        for stage in stages:
            needed = [futures[name] for name in stage.needs if name in futures]
            if stage.stale:
                submit: Any = run_stage.with_options(
                    retries=stage.meta.retries, retry_delay_seconds=stage.delays or 0
                ).submit
                sent = stage.meta.pool in pools
                futures[stage.name] = submit(stage, workspace, children, run, sent, wait_for=needed)
            else:
                cached: Any = up_to_date.submit
                futures[stage.name] = cached(stage, wait_for=needed)
        # NOTE: all are awaited before the first failure is looked at, so that stages that do not need it still end.
        for future in futures.values():
            future.wait()
    outcomes, failures = [], []
    for future in futures.values():
        if future.state.is_completed():
            outcomes.append(future.result())
        elif future.state.is_failed() or future.state.is_crashed() or future.state.is_cancelled():
            failures.append(_reason(future.state))
    return outcomes, failures


def _reason(state: State[Any]) -> BaseException:
    try:
        state.result()
    except Exception as error:
        return error
    return StageFailed(state.message or "a stage ended without a reason", mistake=False)


def _publish(workspace: Workspace, run: str, message: str, outcomes: Sequence[Outcome], publish: str) -> str:
    """Bring the results out of the workspace; return where they are, in words."""
    log = get_run_logger()
    with Children(1, workspace.environment) as children:
        if publish.startswith(BRANCH):
            name = publish.removeprefix(BRANCH)
            commit, pushed = publishing.to_branch(workspace, name, message, children, log.info)
            told = f"commit {commit[:10]} on the branch {name}"
        else:
            stages = [outcome.stage for outcome in outcomes]
            told = f"DVC experiment {publishing.save_experiment(workspace, run, message, stages, children, log.info)}"
            if pushed := publishing.push(workspace, children, log.info):
                publishing.push_experiment(workspace.folder, run, log.info)
    return f"{told}, pushed to the DVC remote" if pushed else told


def main(
    study: Annotated[str, typer.Argument(help="A file of conf/study; params.yaml as committed if not given.")] = "",
    overrides: Annotated[
        list[str] | None, typer.Option("-S", "--set", help="Change a parameter, such as train.epochs=2.")
    ] = None,
    targets: Annotated[list[str] | None, typer.Option("--target", help="Only this stage and what it needs.")] = None,
    publish: Annotated[str, typer.Option(help="experiment, branch:NAME, or here.")] = "experiment",
    jobs: Annotated[int, typer.Option(min=0, help="How many stages may run side by side; 0: as many as cores.")] = 0,
    pools: Annotated[str, typer.Option(help="Send stages to the workers of these work pools, such as gpu.")] = "",
    revision: Annotated[str, typer.Option(help="Branch, commit or experiment; the present commit if not given.")] = "",
    folder: Annotated[Path | None, typer.Option(help="The project's folder, with dvc.yaml.")] = None,
) -> None:
    """Run DVC's graph as a Prefect flow, in a workspace of its own.

    Example: `python -m pipelines.reproduce mnist -S train.epochs=2 --publish branch:mnist`
    """
    if pools and not PREFECT_API_URL.value():
        typer.echo(
            f"reproduce: pools: no Prefect server is set, whose workers could take stages; run {SERVERS} up, and set "
            "PREFECT_API_URL to what it prints",
            err=True,
        )
        raise typer.Exit(2)

    def before(project: Path) -> None:
        # NOTE: what it would log the flow logs.
        refuse(project, publish, pools, revision, lambda _: None)

    arguments = (study, overrides or [], targets or [], publish, jobs, pools, revision)
    by_hand.run_flow(reproduce, folder, *arguments, before=before)


if __name__ == "__main__":
    typer.run(main)
