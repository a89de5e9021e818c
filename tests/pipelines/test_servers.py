"""Servers, deployments and a worker on one machine: the schedule makes runs, and a worker does them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL

from degrain.errors import OutputError
from pipelines import addresses, by_hand, remembered, servers
from tests.conftest import ROOT, Project
from tests.pipelines.conftest import running, until


def command(*arguments: str) -> tuple[str, ...]:
    return ("python", "-m", "pipelines.servers", *arguments)


def ask(url: str, what: str, **query: Any) -> Any:
    return httpx.post(f"{url}/{what}/filter", json=query, timeout=30).json()


def test_each_deployment_of_a_study_runs_the_revision_that_is_set() -> None:
    deployed = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    studies = [made for made in deployed if made["entrypoint"] == "pipelines/reproduce.py:reproduce"]
    assert {made["name"] for made in studies} == {"by-hand", "nightly"}
    assert {made["parameters"]["revision"] for made in studies} == {"{{ $DEGRAIN_REVISION }}"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_worker_does_what_is_deployed_and_down_leaves_nothing(copy: Project) -> None:
    ports = {"PREFECT_PORT": str(addresses.free_port()), "MLFLOW_PORT": str(addresses.free_port())}
    url = f"http://127.0.0.1:{ports['PREFECT_PORT']}/api"
    worker = None
    try:
        done = copy.run(*command("up"), **ports)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines()[0] == f"Prefect  {url.removesuffix('/api')}"
        assert httpx.get(f"http://127.0.0.1:{ports['MLFLOW_PORT']}/health", timeout=30).is_success
        assert copy.run(*command("up"), **ports).returncode == 0, "a second time there is nothing to do"
        done = copy.run(*command("deploy"))
        assert done.returncode == 0, done.stdout + done.stderr
        assert {found["name"] for found in ask(url, "deployments")} == {"by-hand", "nightly", "weekly", "cpu", "gpu"}
        scheduled = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
        assert until(lambda: ask(url, "flow_runs", **scheduled), 90), "the schedule makes runs"
        worker = subprocess.Popen(
            command("worker", "--pool", "cpu"),
            cwd=copy.folder,
            env=copy.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        by_hand = httpx.get(f"{url}/deployments/name/reproduce/by-hand", timeout=30).json()
        parameters = {"overrides": ["evaluate.baselines=[]"], "publish": "branch:by-hand"}
        made = httpx.post(f"{url}/deployments/{by_hand['id']}/create_flow_run", json={"parameters": parameters}).json()

        def state() -> str:
            return str(httpx.get(f"{url}/flow_runs/{made['id']}", timeout=30).json()["state_name"])

        assert until(lambda: state() in ("Completed", "Failed", "Mistake", "Crashed", "Cancelled"), 480), state()
        assert state() == "Completed", ask(url, "logs")[-5:]
        assert copy.run("git", "rev-parse", "--verify", "by-hand").returncode == 0
        tasks = {task["name"]: task["state_name"] for task in ask(url, "task_runs")}
        assert tasks["train@unet"] == "Cached"
        assert tasks["register"] == "Completed"
    finally:
        done = copy.run(*command("down"))
        if worker is not None:
            worker.wait(60)
            if worker.stdout:
                worker.stdout.close()
    assert done.returncode == 0, done.stderr
    assert "prefect, mlflow" in done.stdout
    assert until(lambda: not [pid for pid in running(str(copy.folder)) if pid != os.getpid()], 30)
    assert copy.run(*command("down")).stdout == "nothing was running\n"


def test_a_restart_of_the_server_ends_no_run_that_holds_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.setenv("DEGRAIN_PROJECT", str(tmp_path))
    given: dict[str, dict[str, str]] = {}
    monkeypatch.setattr(
        servers, "_start", lambda _, name, command, environment, *more: given.update({name: environment})
    )
    servers.up(1, 2)
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["prefect"]["environment"]
    for environment in (given["prefect"], compose):
        storage = environment["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"]
        assert import_module(storage).ConcurrencyLeaseStorage(tmp_path).storage_path == tmp_path, "it is on disk"


def test_a_port_that_is_taken_is_said(copy: Project) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        done = copy.run(*command("up"), PREFECT_PORT=str(other.getsockname()[1]))
    assert done.returncode == 2
    assert "is taken; choose another one: PREFECT_PORT=... python -m pipelines.servers up" in done.stderr


def test_without_a_server_nothing_is_deployed(copy: Project) -> None:
    for arguments in (("deploy",), ("worker",)):
        done = copy.run(*command(*arguments))
        assert done.returncode == 2
        assert (
            done.stderr
            == "servers: there is no Prefect server: run python -m pipelines.servers up, or set PREFECT_API_URL\n"
        )


TALKS = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        print("much " * 50_000, flush=True)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_): pass
HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


def test_an_own_server_that_prints_much_still_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(addresses, "prefect", lambda *arguments: [sys.executable, "-c", TALKS, *arguments])
    with by_hand.own(tmp_path) as url:
        for _ in range(3):
            assert httpx.get(f"{url}/health", timeout=10).is_success


def test_an_own_server_that_dies_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(addresses, "prefect", lambda *_: [sys.executable, "-c", "raise SystemExit('no database')"])
    with pytest.raises(OutputError, match=r"ended before it answered at http.*: no database"), by_hand.own(tmp_path):
        pass


STOPPED = """
import threading, time
from contextlib import nullcontext
from pathlib import Path
from pipelines import by_hand

def asks_for_ever():
    # As a thread of Prefect that tries to reach a server which is gone.
    threading.Thread(target=time.sleep, args=(200,)).start()
    raise KeyboardInterrupt

def flow(*_, return_state):
    asks_for_ever()

flow.name = "reproduce"
by_hand.own = lambda _: nullcontext()
by_hand.run_flow(flow, Path())
"""


def test_a_run_that_is_stopped_ends_even_if_threads_do_not(small: Project) -> None:
    began = time.monotonic()
    command = [sys.executable, "-c", STOPPED]
    done = small.run(*command, PYTHONPATH=os.pathsep.join(map(str, (ROOT / "src", ROOT))))
    assert done.returncode == 130, done.stderr
    assert "reproduce: stopped" in done.stderr
    assert time.monotonic() - began < 30


def test_what_is_on_its_way_reaches_the_own_server_before_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(addresses, "prefect", lambda *arguments: [sys.executable, "-c", TALKS, *arguments])
    reached: list[bool] = []

    def flush(_: APILogHandler) -> None:
        reached.append(httpx.get(f"{PREFECT_API_URL.value()}/health", timeout=10).is_success)

    monkeypatch.setattr(APILogHandler, "flush", flush)
    with pytest.raises(KeyboardInterrupt), by_hand.own(tmp_path):
        raise KeyboardInterrupt
    assert reached == [True]


def test_a_process_is_ended_only_where_it_is_the_one_that_was_started(tmp_path: Path) -> None:
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        remembered.write(tmp_path, "prefect", child.pid, 1)
        path = tmp_path / remembered.FOLDER / "prefect.json"
        path.write_text(path.read_text().replace('"began": ', '"began": 1'))
        assert not remembered.end(tmp_path, "prefect")
        assert child.poll() is None
        remembered.write(tmp_path, "prefect", child.pid, 1)
        assert remembered.end(tmp_path, "prefect")
        assert child.wait(5) == -signal.SIGTERM
    finally:
        child.kill()
        child.wait()


# Stands for a worker: it leaves its run alone and goes; the run needs a moment for what it has to tidy up.
RUN = """
import signal, sys, time
from pathlib import Path

def end(*_):
    time.sleep(1)
    Path({0!r}).touch()
    sys.exit()

signal.signal(signal.SIGTERM, end)
print("up", flush=True)
time.sleep(600)
"""
WORKER = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]]).wait()"


def test_the_runs_of_a_worker_are_ended_with_it_and_before_the_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.setenv("DEGRAIN_PROJECT", str(tmp_path))
    tidied = tmp_path / "tidied"
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, RUN.format(str(tidied))],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    server = subprocess.Popen(["sleep", "600"], start_new_session=True)
    ended: list[tuple[str, bool]] = []

    def end(project: Path, name: str) -> bool:
        ended.append((name, tidied.exists()))
        return one(project, name)

    one = remembered.end
    monkeypatch.setattr(remembered, "end", end)
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "up\n"
        worker.stdout.close()
        for name, process in (("worker-zz", worker), ("prefect", server), ("mlflow", server)):
            remembered.write(tmp_path, name, process.pid, 1)
        servers.down()
    finally:
        for process in (worker, server):
            process.kill()
            process.wait()
    assert ended == [("worker-zz", False), ("prefect", True), ("mlflow", True)]
