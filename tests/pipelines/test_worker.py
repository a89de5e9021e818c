"""Workers: one has a GPU for one run at a time, runs that overlap wait, and what Prefect's own worker ends of."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import anyio
import httpx
import pytest
import yaml
from filelock import FileLock
from prefect.workers.process import ProcessWorker

from degrain.programs.worktrees import SWEEPING
from pipelines import worker as workers
from pipelines import workspaces
from tests.conftest import Project, clone
from tests.pipelines.conftest import commit, until

SERVERS = (sys.executable, "-m", "pipelines.servers")
# Fails where another one runs on the same GPU, and leaves which one that is.
STAGE = (
    "mkdir $DEGRAIN_PROJECT/busy && echo $CUDA_VISIBLE_DEVICES >> $DEGRAIN_PROJECT/gpus && sleep 3"
    " && rmdir $DEGRAIN_PROJECT/busy && cp params.yaml data/{}.txt"
)


@pytest.fixture(scope="module")
def deployed(url: str, tmp_path_factory: pytest.TempPathFactory, tiny: dict[str, Any]) -> Project:
    """A project with two stages and a DVC remote, whose deployments are on the server."""
    base = tmp_path_factory.mktemp("deployed")
    (base / "project").mkdir()
    project = clone(base / "project", tiny)
    stages = {
        name: {"cmd": STAGE.format(name), "deps": ["params.yaml"], "outs": [f"data/{name}.txt"]}
        for name in ("left", "right")
    }
    (project.folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    assert project.run("dvc", "remote", "add", "--default", "shared", str(base / "remote")).returncode == 0
    commit(project)
    done = project.run(*SERVERS, "deploy", PREFECT_API_URL=url)
    assert done.returncode == 0, done.stdout + done.stderr
    return project


@contextmanager
def worker(url: str, project: Project, *options: str, **variables: str) -> Iterator[None]:
    """Have a worker meanwhile."""
    with (project.folder.parent / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [*SERVERS, "worker", *options],
            cwd=project.folder,
            env=project.environment(PREFECT_API_URL=url, **variables),
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def begin(url: str, deployment: str, **parameters: Any) -> str:
    """Start a deployed flow; returns its run's id."""
    found = httpx.get(f"{url}/deployments/name/{deployment}", timeout=30).json()
    made = httpx.post(f"{url}/deployments/{found['id']}/create_flow_run", json={"parameters": parameters}, timeout=30)
    return str(made.json()["id"])


def states(url: str, runs: list[str]) -> list[str]:
    """The names of the states of runs, sorted."""
    return sorted(httpx.get(f"{url}/flow_runs/{run}", timeout=30).json()["state"]["name"] for run in runs)


def said(url: str, runs: list[str]) -> str:
    """What runs have logged."""
    found = httpx.post(f"{url}/logs/filter", json={"logs": {"flow_run_id": {"any_": runs}}}, timeout=30).json()
    return "\n".join(line["message"] for line in found)


@pytest.mark.slow
def test_a_worker_has_its_gpu_for_one_stage_at_a_time(url: str, deployed: Project) -> None:
    sent = {"commit": workspaces.head(deployed.folder), "reference": "refs/degrain/runs/none/made"}
    runs = [begin(url, "run-stage/gpu", stage=stage, **sent) for stage in ("left", "right")]
    with worker(url, deployed, "--pool", "gpu", CUDA_VISIBLE_DEVICES="3"):
        ended = until(lambda: set(states(url, runs)) <= {"Completed", "Failed", "Mistake", "Crashed"}, 240)
    assert ended, states(url, runs)
    assert states(url, runs) == ["Completed", "Completed"], said(url, runs)
    assert deployed.read("gpus") == b"3\n3\n"


@pytest.mark.slow
def test_a_refresh_waits_for_the_one_that_still_runs(url: str, deployed: Project) -> None:
    base = deployed.folder / workspaces.FOLDER
    base.mkdir(parents=True, exist_ok=True)
    # One worker would take both.
    with worker(url, deployed, "--pool", "cpu", "--limit", "2"):
        # As long as another process makes a workspace, the first one goes no farther.
        with FileLock(base / SWEEPING):
            runs = [begin(url, "refresh/weekly") for _ in range(2)]
            begun = until(lambda: states(url, runs) == ["AwaitingConcurrencySlot", "Running"], 240)
            assert begun, states(url, runs)
        assert until(lambda: states(url, runs) == ["Unchanged", "Unchanged"], 240), states(url, runs)


def test_a_run_whose_slot_is_held_is_left_for_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    resumed, other = uuid4(), uuid4()

    async def due(_: ProcessWorker) -> list[Any]:
        return [SimpleNamespace(flow_run=SimpleNamespace(id=run)) for run in (resumed, other)]

    async def asked(worker: ProcessWorker) -> list[UUID]:
        return [response.flow_run.id for response in await worker._get_scheduled_flow_runs()]

    async def main() -> None:
        worker = ProcessWorker(work_pool_name="cpu")
        workers.leave_held(worker)
        worker._limiter = anyio.CapacityLimiter(2)
        assert await asked(worker) == [resumed, other]
        worker.limiter.acquire_on_behalf_of_nowait(resumed)
        assert await asked(worker) == [other]
        worker.limiter.release_on_behalf_of(resumed)
        assert await asked(worker) == [resumed, other]

    monkeypatch.setattr(ProcessWorker, "_get_scheduled_flow_runs", due)
    anyio.run(main)
