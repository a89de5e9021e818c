"""The Prefect flow that a worker runs for a conductor elsewhere: one stage, with what it needs and what it leaves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Cancelled

from degrain.trials.ledger import Ledger
from pipelines import artifacts, exchange, pools, runs, workspaces
from pipelines.mirror import Mirror
from pipelines.pools import AWAY
from pipelines.processes import Children
from pipelines.remote import Remote
from pipelines.workspaces import Workspace

# Seconds between two looks at the conductor.
_LOOK = 5.0


@flow(name=pools.FLOW, persist_result=False)
def run_stage(stage: str, commit: str, reference: str, conductor: str = "", timeout: float | None = None) -> Any:
    """Run one stage of a workspace that a conductor has sent, and leave its outputs on the DVC remote.

    Args:
        stage: Its name, such as "train@unet".
        commit: Of the workspace.
        reference: Name in git under which it is found where this clone does not have it.
        conductor: Id of the flow run that asks for it; when that ends, so does this. Nobody's if empty.
        timeout: Seconds after which the stage is stopped.

    Returns:
        "ran", "restored" from DVC's cache, or "unchanged"; the state Failed with what went wrong, or Cancelled when
        nobody waits for it any more.
    """
    log, over = get_run_logger(), threading.Event()
    try:
        project = workspaces.project_folder(None)
        if conductor and _is_over(conductor, over.is_set):
            return _unwanted()
        workspaces.bring(project, commit, reference)
        name = f"{stage}-{str(flow_run.id)[:8]}"
        with (
            workspaces.opened(project, name, log.info, commit) as workspace,
            Children(1, workspace.environment) as children,
            _for(conductor, children, over),
        ):
            return _run(workspace, stage, timeout, children)
    except runs.EXPECTED as error:
        return _unwanted() if over.is_set() else runs.failed(error)


def _unwanted() -> State[Any]:
    return Cancelled(message="the run that asked for it has ended")


def _run(workspace: Workspace, stage: str, timeout: float | None, children: Children) -> str:
    log = get_run_logger()
    decides = exchange.hand(children, workspace.folder, log.debug, "take", stage)
    with Remote.of(workspace.folder) as remote:
        mirror = Mirror(remote, Ledger(workspace.home / "trials"), decides)
        if came := mirror.restore():
            log.info("%d trials that another worker has begun go on from where they were", came)
        with mirror.kept():
            how = children.reproduce(stage, workspace.folder, artifacts.followed(stage, log.info), timeout)
        exchange.hand(children, workspace.folder, log.debug, "answer", stage)
        mirror.forget()
    return how


@contextmanager
def _for(conductor: str, children: Children, gone: threading.Event) -> Iterator[None]:
    """End the children when the conductor's run is over, for example cancelled: nobody would take what they make.

    Args:
        conductor: Id of its run; nobody's if empty.
        children: Which.
        gone: Set when it is over.
    """
    ending = threading.Event()

    def watch() -> None:
        while not ending.wait(_LOOK):
            if _is_over(conductor, ending.is_set):
                gone.set()
                children.end()
                break

    watcher = threading.Thread(target=watch, daemon=True)
    if conductor:
        watcher.start()
    try:
        yield
    finally:
        ending.set()
        if conductor:
            watcher.join()


def _is_over(conductor: str, stop: Callable[[], bool]) -> bool:
    """Tell whether a conductor's run has ended, or is about to; not if the server does not say.

    Args:
        conductor: Id of its run.
        stop: Asked all the time; once it says so, the answer is False.
    """
    with get_client(sync_client=True) as client:
        try:
            state = client.read_flow_run(UUID(conductor)).state
            if state is not None and state.is_crashed():
                return pools.is_dead(client, UUID(conductor), state, stop)
        except ObjectNotFound:
            return True
        except AWAY:
            return False
    return state is not None and (state.is_final() or state.is_cancelling())
