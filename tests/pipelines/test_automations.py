"""What a Prefect server does by itself, on a server."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from degrain.programs.leashed import started
from pipelines import automations, servers
from tests.pipelines.conftest import until


@pytest.mark.slow
def test_a_run_that_a_worker_claimed_and_never_began_has_crashed(tmp_path: Path) -> None:
    port = servers.free_port()
    url = f"http://127.0.0.1:{port}/api"
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-ui",
    ]
    with (tmp_path / "log").open("wb") as output:
        server = started(command, tmp_path, {"PREFECT_HOME": str(tmp_path)}, output)
    try:

        def answers() -> bool:
            try:
                return httpx.get(f"{url}/health").is_success
            except httpx.HTTPError:
                return False

        assert until(answers, 120), (tmp_path / "log").read_text()[-2000:]
        with temporary_settings({PREFECT_API_URL: url}):
            automations._make(automations._claimed(10))
        flow = httpx.post(f"{url}/flows/", json={"name": "reproduce"}).json()["id"]
        runs = {}
        for name in ("claimed", "begun", "queued"):
            runs[name] = httpx.post(f"{url}/flow_runs/", json={"flow_id": flow, "name": name}).json()["id"]

        def enter(name: str, state: str) -> None:
            body = {"state": {"type": state, "name": state.title()}, "force": True}
            assert httpx.post(f"{url}/flow_runs/{runs[name]}/set_state", json=body).is_success

        def now(name: str) -> str:
            return str(httpx.get(f"{url}/flow_runs/{runs[name]}").json()["state"]["type"])

        for name in runs:
            enter(name, "PENDING")
        enter("begun", "RUNNING")
        enter("queued", "SCHEDULED")
        assert until(lambda: now("claimed") == "CRASHED", 60), now("claimed")
        assert (now("begun"), now("queued")) == ("RUNNING", "SCHEDULED")
    finally:
        if server.stdin:
            server.stdin.close()
        server.wait(30)
