"""What a Prefect server does by itself, on a server."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect.events.schemas.automations import EventTrigger
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed

from pipelines import automations
from pipelines.ends import End
from tests.conftest import ROOT
from tests.pipelines.conftest import until

# Prefect's, with which a flow's code says how its run ends.
STATES = ("Completed", "Failed", "Cancelled")


def ends() -> set[str]:
    """Names of the states that the flows' own code can return."""
    found = set()
    for path in (ROOT / "pipelines").glob("*.py"):
        tree = ast.parse(path.read_text())
        tasks = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and "task(" in decorated(node)]
        inside = {id(node) for task in tasks for node in ast.walk(task)}
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and id(call) not in inside and ast.unparse(call.func) in STATES:
                named = [ast.unparse(given.value) for given in call.keywords if given.arg == "name"]
                found.add(named[0] if named else f"End.{ast.unparse(call.func).upper()}")
    return found


def decorated(function: ast.FunctionDef) -> str:
    return " ".join(map(ast.unparse, function.decorator_list))


def test_all_ends_of_flows_are_waited_for() -> None:
    prefects = {"End.COMPLETED", "End.FAILED", "End.MISTAKE", "End.CRASHED"}
    assert ends() - {"End.of(mistake)"} | prefects == {f"End.{end.name}" for end in End}
    assert {End.of(mistake) for mistake in (True, False)} == {End.MISTAKE, End.FAILED}
    for automation in (automations._heartbeats(), automations._claimed()):
        assert isinstance(automation.trigger, EventTrigger)
        assert {f"prefect.flow-run.{end}" for end in End} <= automation.trigger.expect
    assert Completed(name=End.DRIFT).model_dump(mode="json")["name"] == "Drift"


def made(url: str, *names: str) -> dict[str, str]:
    """Runs of a deployed flow by their names, with their ids."""
    flow = httpx.post(f"{url}/flows/", json={"name": "reproduce"}).json()["id"]
    deployment = httpx.post(f"{url}/deployments/", json={"name": "by-hand", "flow_id": flow}).json()["id"]
    make = f"{url}/deployments/{deployment}/create_flow_run"
    return {name: httpx.post(make, json={"name": name}).json()["id"] for name in names}


def enter(url: str, run: str, state: str, name: str = "", **details: Any) -> None:
    told = {"type": state, "name": name or state.title(), "state_details": details}
    body = {"state": told, "force": True}
    assert httpx.post(f"{url}/flow_runs/{run}/set_state", json=body).is_success


def now(url: str, run: str) -> str:
    return str(httpx.get(f"{url}/flow_runs/{run}").json()["state"]["type"])


@pytest.mark.slow
def test_a_run_that_a_worker_claimed_and_never_began_has_crashed(url: str) -> None:
    with temporary_settings({PREFECT_API_URL: url}):
        automations._make(automations._claimed(10))
    runs = made(url, "claimed", "begun", "queued")
    for run in runs.values():
        enter(url, run, "PENDING")
    enter(url, runs["begun"], "RUNNING")
    enter(url, runs["queued"], "SCHEDULED")
    assert until(lambda: now(url, runs["claimed"]) == "CRASHED", 60), now(url, runs["claimed"])
    assert (now(url, runs["begun"]), now(url, runs["queued"])) == ("RUNNING", "SCHEDULED")


@pytest.mark.slow
def test_a_run_that_waits_for_a_person_has_not_crashed(url: str) -> None:
    with temporary_settings({PREFECT_API_URL: url}):
        automations._make(automations._heartbeats(10))
    runs = made(url, "suspended", "killed")
    for run in runs.values():
        enter(url, run, "RUNNING")
        resource = {"prefect.resource.id": f"prefect.flow-run.{run}"}
        beat = {"id": str(uuid4()), "occurred": datetime.now(UTC).isoformat(), "event": automations.HEARTBEAT}
        assert httpx.post(f"{url}/events", json=[{**beat, "resource": resource}]).is_success
    # NOTE: as the flow promote does, whose process ends then.
    week = (datetime.now(UTC) + timedelta(days=7)).isoformat()
    enter(url, runs["suspended"], "PAUSED", "Suspended", pause_reschedule=True, pause_timeout=week)
    assert until(lambda: now(url, runs["killed"]) == "CRASHED", 60), now(url, runs["killed"])
    assert not until(lambda: now(url, runs["suspended"]) != "PAUSED", 10)
