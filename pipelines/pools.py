"""A stage on a worker of a pool, seen from the conductor: sent, waited for, taken back; sent again if its worker dies.

A worker that dies tells nobody. Its run's heartbeats stop, and an automation that `make deploy` sets up calls the run
crashed. That automation errs after the server itself was away, so a death is believed only when no heartbeat has come
for so long that one must have.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.events.filters import EventFilter, EventNameFilter, EventOccurredFilter, EventResourceFilter
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.runtime import flow_run, task_run
from prefect.states import Cancelling, Crashed

from degrain.errors import ParamsError
from pipelines import exchange, graph, workspaces
from pipelines.addresses import BEAT, SERVERS
from pipelines.automations import HEARTBEAT
from pipelines.ends import End
from pipelines.processes import Children, Log, StageFailed
from pipelines.workspaces import Workspace

FLOW = "run-stage"

# Seconds: between two looks at a run; after which a worker that has said nothing is none; that a run may take from
# a worker that has claimed it to its start; by how much later than due a heartbeat is still believed in.
_LOOK, _SILENT, _PENDING, _GRACE = 2.0, 60.0, 300.0, 10.0
# How often a stage is sent again because a worker died; a stage that kills its workers must end some day.
_DEATHS = 3
AWAY = (httpx.HTTPError, PrefectHTTPStatusError)


def run_on_pool(run: str, stage: graph.Stage, workspace: Workspace, children: Children, log: Log) -> str:
    """Run a stage on some worker of its pool, and bring its outputs back.

    Args:
        run: Name of the conductor's run.
        stage: Which.
        workspace: Of the conductor.
        children: Ends what is started here; when it is closed, the stage's run is cancelled.
        log: Called with what a person should know.

    Returns:
        "restored", since the outputs come out of DVC's cache.

    Raises:
        StageFailed: It failed there, or its workers died.
        ParamsError: There is no such pool, or no DVC remote.
    """
    pool = stage.meta.pool
    commit = exchange.hand(children, workspace.folder, log, "send", stage.name, "--run", run)
    reference = exchange.reference(run, stage.name)
    parameters = {
        "stage": stage.name,
        "commit": commit,
        "reference": reference,
        "conductor": str(flow_run.id),
        "timeout": stage.meta.timeout,
    }
    try:
        for start in count():
            # NOTE: a request that is sent twice because its answer was lost must not start a stage twice.
            token = f"{task_run.id}-{task_run.run_count}-{start}"
            made = _started(pool, f"{run}-{stage.name}", parameters, token)
            log(f"{stage.name} is sent to the pool {pool} as {made.name}")
            state = _ended(made.id, pool, children, log)
            if not state.is_crashed():
                break
            if start == _DEATHS:
                raise StageFailed(f"{stage.name}: {_DEATHS + 1} workers died over it; see {made.name}", mistake=True)
            log(f"{stage.name}: its worker is dead; it is sent again")
    finally:
        workspaces.forget(workspace.project, reference)
    if not state.is_completed():
        raise StageFailed(state.message or f"{stage.name}: {state.name}", mistake=state.name == End.MISTAKE)
    exchange.hand(children, workspace.folder, log, "accept", stage.name)
    return children.reproduce(stage.name, workspace.folder, log, stage.meta.timeout)


def _started(pool: str, name: str, parameters: dict[str, Any], token: str) -> FlowRun:
    try:
        made: Any = run_deployment(
            f"{FLOW}/{pool}", parameters=parameters, flow_run_name=name, timeout=0, idempotency_key=token
        )
    except ObjectNotFound:
        raise ParamsError(
            f"there is no deployment {FLOW}/{pool} on the Prefect server; run: {SERVERS} deploy"
        ) from None
    found: FlowRun = made
    return found


def _ended(run: UUID, pool: str, children: Children, log: Log) -> State[Any]:
    """Wait for the end of a run; a crash counts only if it is one."""
    waiting = Waiting(pool, log)
    with get_client(sync_client=True) as client:
        while True:
            if children.closed:
                client.set_flow_run_state(run, Cancelling())
                raise StageFailed("the flow is being stopped", mistake=True)
            try:
                state = client.read_flow_run(run).state
                if state is None or state.is_scheduled() or state.is_pending():
                    waiting.look(client)
                    if state and state.is_pending() and _age(state) > _PENDING:
                        return _given_up(client, run)
                elif state.is_crashed():
                    if is_dead(client, run, state, lambda: children.closed):
                        return state
                elif state.is_final():
                    return state
            except AWAY as error:
                logging.getLogger(__name__).info("Prefect's server does not answer: %s", error)
            time.sleep(_LOOK)


def _given_up(client: SyncPrefectClient, run: UUID) -> State[Any]:
    state: State[Any] = Crashed(message="its worker claimed it and never began")
    client.set_flow_run_state(run, state, force=True)
    return state


def _age(state: State[Any]) -> float:
    return (datetime.now(UTC) - state.timestamp).total_seconds()


def is_dead(client: SyncPrefectClient, run: UUID, state: State[Any], stop: Callable[[], bool] = lambda: False) -> bool:
    """Tell whether a run that is called crashed is dead: its heartbeats stay away, and it takes no other state.

    Args:
        client: Of the Prefect server.
        run: Its id.
        state: That it has.
        stop: Asked all the time; once it says so, the answer is False.
    """
    deadline = time.monotonic() + BEAT + _GRACE
    while time.monotonic() < deadline:
        if stop():
            return False
        time.sleep(_LOOK)
        present = client.read_flow_run(run).state
        if present is None or present.id != state.id:
            return False
    heard = client.read_events(
        EventFilter(
            event=EventNameFilter(name=[HEARTBEAT]),
            resource=EventResourceFilter(id=[f"prefect.flow-run.{run}"]),
            occurred=EventOccurredFilter(since=state.timestamp - timedelta(hours=1)),
        ),
        limit=1,
    )
    # NOTE: a server that was away gets heartbeats late: it is when they came that counts.
    return not any(event.received > state.timestamp for event in heard.events)


class Waiting:
    """Says that nobody takes a run, with the command that helps; again only after somebody was there.

    Args:
        pool: From which it is to be taken.
        log: Called with the line.
    """

    def __init__(self, pool: str, log: Log) -> None:
        self._pool, self._log = pool, log
        self._said = False

    def look(self, client: SyncPrefectClient) -> None:
        """Look whether a worker of the pool has been heard of lately."""
        since = datetime.now(UTC) - timedelta(seconds=_SILENT)
        workers = client.read_workers_for_work_pool(self._pool)
        there = any(worker.last_heartbeat_time and worker.last_heartbeat_time > since for worker in workers)
        if not there and not self._said:
            self._log(f"no worker on the pool {self._pool}: start one with: {SERVERS} worker --pool {self._pool}")
        self._said = not there
