"""A team: PostgreSQL, S3, Prefect and MLflow on them, a conductor's clone and workers' clones. Started once for all."""

from __future__ import annotations

import io
import os
import secrets
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from degrain.artifacts.checkpoint import CheckpointRecord
from degrain.artifacts.history import Epoch
from degrain.artifacts.trial import CHECKPOINT
from degrain.trials.ledger import UNFINISHED
from pipelines.addresses import free_port
from pipelines.servers import LEASES
from tests.conftest import Project, clone, merged
from tests.pipelines.conftest import running
from tests.services.processes import HOST, Door, Hook, Postgres, Process, until

# Trains for about ten seconds on two cores, and leaves a checkpoint every second; LONG is a minute of it.
LONG = "train.epochs=20"
STUDY = {
    "study": {"name": "team"},
    "train": {
        "models": ["unet"],
        "optimizers": ["adam"],
        "epochs": 3,
        "patches_per_epoch": 400,
        "batch_size": 8,
        "checkpoint_seconds": 1,
    },
    "evaluate": {"baselines": []},
}
# Saves the block that DEGRAIN_NOTIFY names.
BLOCK = """
import sys
from prefect.blocks.notifications import CustomWebhookNotificationBlock
CustomWebhookNotificationBlock(
    name="team", url=sys.argv[1], json_data={"subject": "{{subject}}", "body": "{{body}}"}, allow_private_urls=True
).save("team", overwrite=True)
"""
FINAL = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}


@dataclass
class Team:
    """What runs, and how to ask it.

    Attributes:
        base: Folder of everything.
        postgres, prefect, mlflow: Servers.
        store: S3's server; others reach it by the door.
        door: To the store.
        url: Of Prefect's API.
        auth: User and password of it.
        origin: The bare repository that all clones know.
        workers: Those that run, by name.
        hook: What the webhook was told.
        variables: What commands of the team need.
        conductor: The clone that flows run in.
    """

    base: Path
    postgres: Postgres
    prefect: Process
    mlflow: Process
    store: Process
    door: Door
    url: str
    auth: tuple[str, str]
    variables: dict[str, str]
    conductor: Project
    origin: Path
    workers: dict[str, tuple[Project, Process]] = field(default_factory=dict)
    hook: Hook = field(default_factory=Hook)

    def ask(self, what: str, body: Any = None, **query: Any) -> Any:
        """Post a question to Prefect's API."""
        answer = httpx.post(f"{self.url}/{what}", json=query if body is None else body, timeout=30, auth=self.auth)
        assert answer.is_success, answer.text
        return answer.json()

    def deploy(self) -> None:
        """Make pools, deployments and automations."""
        chosen = {"DEGRAIN_POOLS": "gpu", "DEGRAIN_NOTIFY": "custom-webhook/team"}
        done = self.conductor.run(sys.executable, "-m", "pipelines.servers", "deploy", **chosen, **self.variables)
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, run: str) -> Any:
        return httpx.get(f"{self.url}/flow_runs/{run}", timeout=30, auth=self.auth).json()

    def deployment(self, name: str) -> Any:
        return httpx.get(f"{self.url}/deployments/name/{name}", timeout=30, auth=self.auth).json()

    def begin(self, name: str = "reproduce/by-hand", **parameters: Any) -> str:
        """Start a deployed flow; returns its run's id."""
        made = self.ask(f"deployments/{self.deployment(name)['id']}/create_flow_run", parameters=parameters)
        return str(made["id"])

    def ended(self, run: str, seconds: float = 400) -> Any:
        """Wait for the end of a run; returns it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                found = self.run(run)
                # NOTE: a run that is called crashed may go on, and then says so.
                if found["state_type"] in FINAL - {"CRASHED"}:
                    return found
            except (httpx.HTTPError, ValueError, KeyError):
                pass
            time.sleep(1)
        raise AssertionError(f"still {self.run(run)['state_name']} after {seconds:g} s\n{self.log(run)}")

    def unschedule(self, deployment: str, schedule: str) -> None:
        httpx.delete(f"{self.url}/deployments/{deployment}/schedules/{schedule}", timeout=30, auth=self.auth)

    def lines(self, run: str) -> list[Any]:
        """What a run and those that it has started have said, oldest first; nothing while the server is away."""
        try:
            runs = [run, *(child["id"] for child in self.children(run))]
            return list(self.ask("logs/filter", logs={"flow_run_id": {"any_": runs}}, sort="TIMESTAMP_ASC", limit=200))
        except (httpx.HTTPError, AssertionError):
            return []

    def log(self, run: str) -> str:
        """The same, as text."""
        return "\n".join(line["message"] for line in self.lines(run))

    def children(self, run: str) -> list[Any]:
        """The runs of stages on workers that a conductor has started, oldest first."""
        found = self.ask("flow_runs/filter", flow_runs={"parent_flow_run_id": {"any_": [run]}}, sort="START_TIME_ASC")
        return list(found)

    def artifacts(self, run: str, kind: str) -> list[Any]:
        """What a run has left on Prefect's pages of one kind, such as "progress"."""
        found = self.ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [run]}, "type": {"any_": [kind]}})
        return list(found)

    def tasks(self, run: str) -> dict[str, str]:
        found = self.ask("task_runs/filter", task_runs={"flow_run_id": {"any_": [run]}})
        return {task["name"]: task["state_name"] for task in found}

    def clone(self, name: str) -> Project:
        """A clone of the team's repository with a DVC remote, as a person or a worker has one."""
        folder = self.base / name
        if not folder.exists():
            subprocess.run(["git", "clone", "-q", str(self.origin), str(folder)], check=True)
        return Project(folder)

    def worker(self, name: str, pool: str) -> Process:
        """Start a worker in a clone of its own."""
        project = self.clone(name)
        process = Process(
            [sys.executable, "-m", "pipelines.servers", "worker", "--pool", pool],
            self.base / f"{name}.log",
            project.environment(**self.variables),
            project.folder,
        )
        process.start()
        self.workers[name] = project, process
        return process

    def kill(self, name: str) -> None:
        """Kill a worker and the flows that it runs; what those have started is not killed here."""
        project, process = self.workers.pop(name)
        for pid in running(str(project.folder)):
            if b"prefect" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, 9)
        process.end(9)
        until(lambda: not running(str(project.folder)), 30, f"something of {name} is left")

    def dismiss(self, name: str) -> None:
        """End a worker as `make down` does."""
        self.workers.pop(name)[1].end()

    def idle(self, name: str) -> bool:
        """Whether a worker runs nothing."""
        folder = self.clone(name).folder / ".degrain" / "workspaces"
        return not running(str(folder)) and not [path for path in folder.glob("*") if path.is_dir()]

    def unfinished(self) -> list[str]:
        """Files of unfinished trials on the DVC remote."""
        found = self.client().list_objects_v2(Bucket="dvc", Prefix="degrain/unfinished/").get("Contents", [])
        return [entry["Key"] for entry in found]

    def mirrored(self) -> list[Epoch]:
        """The epochs in the checkpoint of the only unfinished trial on the DVC remote; none if there is no such."""
        found = [name for name in self.unfinished() if name.endswith(f"{UNFINISHED}.tar")]
        if not found:
            return []
        packed = io.BytesIO(self.client().get_object(Bucket="dvc", Key=found[0])["Body"].read())
        with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=packed) as archive:
            archive.extractall(folder, filter="data")
            return CheckpointRecord.read(Path(folder) / CHECKPOINT).history

    def client(self) -> Any:
        return boto3.client("s3", **_client(self.variables))


def _client(variables: dict[str, str]) -> dict[str, str]:
    return {
        "endpoint_url": variables["MLFLOW_S3_ENDPOINT_URL"],
        "region_name": "us-east-1",
        "aws_access_key_id": variables["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": variables["AWS_SECRET_ACCESS_KEY"],
    }


@pytest.fixture(scope="session")
def team(tiny: dict[str, Any]) -> Iterator[Team]:
    """The whole team."""
    # NOTE: PostgreSQL's own user must be able to enter it.
    base = Path(tempfile.mkdtemp(prefix="degrain-team-"))
    base.chmod(0o755)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_", "AWS_", "GIT_"))}
    postgres = Postgres(base / "postgres", inherited, ["prefect", "mlflow"])
    started: list[Process] = [postgres]
    made: Team | None = None
    try:
        made = _team(base, postgres, inherited, merged(tiny, STUDY), started)
        yield made
    finally:
        for _, worker in made.workers.values() if made else ():
            worker.end()
        for each in reversed(started):
            each.end()
        if made:
            made.door.shut()
            made.hook.close()
        left = [pid for pid in running(str(base)) if pid != os.getpid()]
        shutil.rmtree(base, ignore_errors=True)
    assert not left, "something is left of the team"


def _team(
    base: Path, postgres: Postgres, inherited: dict[str, str], study: dict[str, Any], started: list[Process]
) -> Team:
    inner, prefect, mlflow = free_port(), free_port(), free_port()
    store = Process(
        [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(inner)],
        base / "s3.log",
        inherited,
        base,
        lambda: httpx.get(f"http://{HOST}:{inner}/").status_code,
    )
    store.start()
    started.append(store)
    door = Door(inner)
    user, password = "team", secrets.token_urlsafe(12)
    url = f"http://{HOST}:{prefect}/api"
    variables = {
        "PREFECT_API_URL": url,
        "PREFECT_API_AUTH_STRING": f"{user}:{password}",
        "MLFLOW_TRACKING_URI": f"http://{HOST}:{mlflow}",
        "MLFLOW_S3_ENDPOINT_URL": f"http://{HOST}:{door.port}",
        "AWS_ACCESS_KEY_ID": "team",
        "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(12),
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    client = boto3.client("s3", **_client(variables))
    for bucket in ("dvc", "mlflow"):
        client.create_bucket(Bucket=bucket)
    of_servers = inherited | variables | {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    servers = of_servers | {
        **LEASES,
        "PREFECT_HOME": str(base / "prefect-home"),
        "PREFECT_SERVER_API_AUTH_STRING": f"{user}:{password}",
        "PREFECT_API_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://degrain@{HOST}:{postgres.port}/prefect",
    }
    del servers["PREFECT_API_URL"]
    prefect_server = Process(
        [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(prefect)],
        base / "prefect.log",
        servers,
        base,
        lambda: httpx.get(f"{url}/health").is_success,
    )
    prefect_server.start()
    started.append(prefect_server)
    store_uri = f"postgresql+psycopg2://degrain@{HOST}:{postgres.port}/mlflow"
    mlflow_server = Process(
        [
            *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(mlflow), "--workers", "1"),
            *("--backend-store-uri", store_uri, "--artifacts-destination", "s3://mlflow"),
        ],
        base / "mlflow.log",
        {name: value for name, value in of_servers.items() if name != "MLFLOW_TRACKING_URI"},
        base,
        lambda: httpx.get(f"http://{HOST}:{mlflow}/health").is_success,
    )
    mlflow_server.start()
    started.append(mlflow_server)
    origin, conductor = _repository(base, study, door.port)
    team = Team(
        base, postgres, prefect_server, mlflow_server, store, door, url, (user, password), variables, conductor, origin
    )
    done = conductor.run(sys.executable, "-c", BLOCK, team.hook.url, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    team.deploy()
    team.worker("conductor", "cpu")
    return team


def _repository(base: Path, study: dict[str, Any], port: int) -> tuple[Path, Project]:
    """A bare repository that all clones push to and fetch from, and the conductor's clone, whose data is prepared."""
    (base / "seed").mkdir()
    first = clone(base / "seed", study)
    remote = ("dvc", "remote", "add", "--default", "s3", "s3://dvc")
    for command in (remote, ("dvc", "remote", "modify", "s3", "endpointurl", f"http://{HOST}:{port}")):
        done = first.run(*command)
        assert done.returncode == 0, done.stderr
    origin = base / "origin.git"
    for command in (
        ("git", "commit", "-qam", "A DVC remote"),
        ("git", "clone", "-q", "--bare", str(first.folder), str(origin)),
    ):
        done = first.run(*command)
        assert done.returncode == 0, done.stderr
    subprocess.run(["git", "clone", "-q", str(origin), str(base / "conductor")], check=True)
    conductor = Project(base / "conductor")
    for name, value in (("user.name", "conductor"), ("user.email", "conductor@example.com")):
        conductor.run("git", "config", name, value)
    return origin, conductor
