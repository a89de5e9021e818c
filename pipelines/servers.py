"""Prefect's and MLflow's servers and workers on one machine, without docker.

    python -m pipelines.servers up                   start both servers, or say where they are
    python -m pipelines.servers deploy               work pools and the deployments of prefect.yaml
    python -m pipelines.servers worker --pool gpu    take runs of a pool until Ctrl-C
    python -m pipelines.servers down                 end what was started here

All of them listen on loopback only. What runs is remembered in .degrain/servers; a process is ended only where its
number and the time of its start are those that were written down.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from degrain.errors import DegrainError, OutputError
from degrain.machine import variables
from pipelines import addresses, remembered
from pipelines.addresses import HOST, SERVERS
from pipelines.workspaces import project_folder

PREFECT_PORT, MLFLOW_PORT = 4200, 5000
POOLS = ("cpu", "gpu")
# Of a server that stays: it else forgets on a restart which runs hold the place of a deployment with a limit, such as
# nightly, and these end as crashed within four minutes.
LEASES = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem"}

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)


@app.command()
def up(
    prefect_port: Annotated[int, typer.Option(envvar="PREFECT_PORT", min=1, max=65_535)] = PREFECT_PORT,
    mlflow_port: Annotated[int, typer.Option(envvar="MLFLOW_PORT", min=1, max=65_535)] = MLFLOW_PORT,
) -> None:
    """Start Prefect's and MLflow's servers, and print where they are.

    Example: `make up PREFECT_PORT=4201`
    """
    project = project_folder(None)
    address = f"http://{HOST}:{prefect_port}"
    command = addresses.prefect("server", "start", "--host", HOST, "--port", str(prefect_port))
    # NOTE: its pages ask for the API where the browser finds it.
    own_address = {"PREFECT_SERVER_UI_API_URL": f"{address}/api"} | LEASES
    environment = addresses.environment(project, **own_address)
    _start(project, "prefect", command, environment, prefect_port, f"{address}/api/health")
    mlflow_address = f"http://{HOST}:{mlflow_port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(mlflow_port)]
    command += ["--backend-store-uri", variables.tracking_uri()]
    _start(project, "mlflow", command, addresses.environment(project), mlflow_port, f"{mlflow_address}/health")
    typer.echo(f"Prefect  {address}\nMLflow   {mlflow_address}")
    typer.echo(f"For commands in this shell: export PREFECT_API_URL={address}/api")


@app.command()
def deploy() -> None:
    """Make the work pools and the deployments of prefect.yaml, or bring them up to date."""
    project = project_folder(None)
    environment = addresses.environment(project, PREFECT_API_URL=_api(project))
    for pool in POOLS:
        _do(addresses.prefect("work-pool", "create", pool, "--type", "process", "--overwrite"), project, environment)
    # NOTE: prefect.yaml names these, and a name without a value would be taken for a value.
    chosen = {name: os.environ.get(name, "") for name in ("DEGRAIN_POOLS", "DEGRAIN_REVISION")}
    _do(addresses.prefect("deploy", "--all"), project, environment | chosen)
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: environment["PREFECT_API_URL"]}):
        from pipelines import automations

        automations.make(os.environ.get("DEGRAIN_NOTIFY", ""))
    typer.echo(f"Start a worker with: {SERVERS} worker --pool cpu")


@app.command()
def worker(
    pool: Annotated[str, typer.Option(envvar="POOL", help="Of which pool it takes runs.")] = POOLS[0],
    limit: Annotated[int, typer.Option(min=1, help="How many runs at once; one for each GPU.")] = 1,
) -> None:
    """Take runs of a pool until Ctrl-C.

    Example: `CUDA_VISIBLE_DEVICES=0 make worker POOL=gpu`
    """
    project = project_folder(None)
    name = f"{pool}-{socket.gethostname()}-{secrets.token_hex(3)}"
    command = [sys.executable, "-m", "pipelines.worker", pool, str(limit), name]
    # NOTE: a script's shell starts background commands with SIGINT ignored, and the worker would never end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    remembered.write(project, f"{remembered.WORKER}{name}", os.getpid(), 0)
    os.chdir(project)
    os.execve(command[0], command, addresses.environment(project, PREFECT_API_URL=_api(project)))  # noqa: S606


@app.command()
def down() -> None:
    """End the servers and workers that were started here."""
    project = project_folder(None)
    # NOTE: workers first, whose runs tell the servers how they end.
    ended = [name for name in sorted(remembered.names(project), key=_turn) if remembered.end(project, name)]
    typer.echo(f"ended: {', '.join(ended)}" if ended else "nothing was running")


def _turn(name: str) -> tuple[bool, bool, str]:
    return not name.startswith(remembered.WORKER), name != "prefect", name


def _api(project: Path) -> str:
    """The address of Prefect's API: PREFECT_API_URL, or that of the server that `up` has started.

    Raises:
        OutputError: There is none, or it does not answer.
    """
    if chosen := os.environ.get("PREFECT_API_URL"):
        addresses.refuse_silent(chosen)
        return chosen
    if remembered.runs(project, "prefect"):
        return f"http://{HOST}:{remembered.read(project, 'prefect')['port']}/api"
    raise OutputError(f"there is no Prefect server: run {SERVERS} up, or set PREFECT_API_URL")


def _do(command: Sequence[str], project: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(command, cwd=project, env=dict(environment), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        text = " ".join((done.stderr or done.stdout).split())[-400:]
        raise OutputError(f"prefect {command[4]}: {text}")


def _start(
    project: Path, name: str, command: Sequence[str], environment: Mapping[str, str], port: int, health: str
) -> None:
    """Start a server that stays, unless it runs already.

    Raises:
        OutputError: Something else has the port, or it does not answer.
    """
    if remembered.runs(project, name):
        if (present := remembered.read(project, name)["port"]) != port:
            raise OutputError(f"{name} runs on port {present} already; {SERVERS} down ends it")
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            free = f"{name.upper()}_PORT=... {SERVERS} up"
            raise OutputError(f"port {port} is taken; choose another one: {free}") from None
    log = project / remembered.FOLDER / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        server = subprocess.Popen(  # noqa: S603
            command,
            cwd=project,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    remembered.write(project, name, server.pid, port)
    try:
        addresses.wait_for(health, lambda: server.poll() is not None, f"{name} (log: {log})")
    except BaseException:
        remembered.end(project, name)
        raise


def main() -> None:
    """Run the command; a mistake is one line."""
    try:
        app()
    except DegrainError as error:
        typer.echo(f"servers: {error}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
