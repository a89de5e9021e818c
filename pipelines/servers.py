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
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Annotated, Any

import httpx
import typer
from filelock import FileLock
from prefect.exceptions import TerminationSignal
from prefect.flows import Flow

from degrain import files
from degrain.errors import DegrainError, OutputError, printable
from degrain.machine import variables
from degrain.programs import leashed
from pipelines.ends import End
from pipelines.workspaces import project_folder

HOST = "127.0.0.1"
PREFECT_PORT, MLFLOW_PORT = 4200, 5000
FOLDER = Path(".degrain") / "servers"
_WORKER = "worker-"
POOLS = ("cpu", "gpu")
# Seconds until a server must answer, and until what is ended must be gone.
_START, _END = 120.0, 40.0
# Seconds before each try to reach a server that is set.
_PAUSES = (0.0, 1.0, 2.0)
# Seconds for which the end of a run waits for what is on its way to Prefect, and for an own server.
_FLUSH = 5.0
# Seconds between two heartbeats of a flow; Prefect takes no fewer.
BEAT = 30.0
# Heartbeats tell that a worker died together with its run; 500 is what a server says whose database is away.
RESILIENT = {
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": f"{BEAT:g}",
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
    "PREFECT_CLIENT_MAX_RETRIES": "8",
    "PREFECT_WORKER_QUERY_SECONDS": "5",
}
# Of a server that stays: it else forgets on a restart which runs hold the place of a deployment with a limit, such as
# nightly, and these end as crashed within four minutes.
LEASES = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem"}

# Services of Prefect's server that one run of its own does not need.
_IDLE = ("SCHEDULER", "LATE_RUNS", "FOREMAN", "PAUSE_EXPIRATIONS", "CANCELLATION_CLEANUP", "TRIGGERS", "REPOSSESSOR")

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)


def _environment(project: Path, **more: str) -> dict[str, str]:
    """Variables of servers and workers: Prefect keeps its things in the project, and nothing calls home."""
    home = {"PREFECT_HOME": str(project / ".degrain" / "prefect"), "DEGRAIN_PROJECT": str(project)}
    code = {"PYTHONPATH": os.pathsep.join([str(project / "src"), str(project)])}
    return os.environ | dict(variables.OFF_SWITCHES) | RESILIENT | home | code | more


def _prefect(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "prefect", "--no-prompt", *arguments]


# ---- a server for one run -------------------------------------------------------------------------------------------


@contextmanager
def own(project: Path) -> Iterator[str]:
    """Give the address of Prefect's API: of the server that is set, or of one that ends with this process.

    Raises:
        OutputError: It does not start, or the one that is set does not answer.
    """
    from prefect import settings
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogHandler
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

    if chosen := PREFECT_API_URL.value():
        _refuse_silent(chosen)
        with temporary_settings({getattr(settings, name): value for name, value in RESILIENT.items()}):
            yield chosen
        return
    port = free_port()
    url = f"http://{HOST}:{port}/api"
    command = _prefect("server", "start", "--host", HOST, "--port", str(port), "--no-ui")
    # NOTE: without the service that records tasks Prefect forgets them; with the scheduler it would start other runs.
    idle = {f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false" for service in _IDLE}
    environment = _environment(project, PREFECT_SERVER_LOGGING_LEVEL="WARNING", **idle)
    home = Path(environment["PREFECT_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    # NOTE: two that start at once would both make or migrate the database.
    lock = FileLock(home / "starting.lock")
    lock.acquire()
    # NOTE: not a pipe, which would be full some day, and nobody reads it; a file without a name goes with the run.
    output = tempfile.TemporaryFile()  # noqa: SIM115
    server = leashed.started(command, project, environment, output)
    try:
        try:
            _wait_for(f"{url}/health", lambda: server.poll() is not None, "Prefect's server")
        except OutputError as error:
            raise OutputError(f"{error}: {_end_of(output)}") from None
        lock.release()
        with temporary_settings({PREFECT_API_URL: url, PREFECT_HOME: home}):
            try:
                yield url
            finally:
                # NOTE: also of a run that is stopped: these threads would ask a server that has ended again and again.
                APILogHandler().flush()
                EventsWorker.drain_all(timeout=_FLUSH)
    finally:
        lock.release()
        leashed.let_go(server)
        # NOTE: one that does not end by itself its leash kills, also when this process is gone.
        with suppress(subprocess.TimeoutExpired):
            server.wait(_FLUSH)
        output.close()


def _end_of(output: IO[bytes]) -> str:
    """The last lines of a file, as one."""
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - 2_000))
    lines = output.read().decode(errors="replace").splitlines()
    return " ".join(" ".join(lines[-5:]).split()) or "it said nothing"


def _refuse_silent(url: str) -> None:
    """Refuse the address of a server that does not answer; what it answers does not matter.

    Raises:
        OutputError: It does not.
    """
    last = ""
    for pause in _PAUSES:
        time.sleep(pause)
        try:
            httpx.get(f"{url.rstrip('/')}/health", timeout=10, verify=False)  # noqa: S501  (nothing is told or believed)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            last = " ".join(str(error).split()) or type(error).__name__
        else:
            return
    raise OutputError(f"PREFECT_API_URL: nobody answers at {url} ({last}); start that server with make up, or unset it")


def free_port() -> int:
    """Return a port on loopback that nothing has at present."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str, has_ended: Callable[[], bool], what: str) -> None:
    """Wait until a server answers.

    Raises:
        OutputError: It does not, or has ended.
    """
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            if httpx.get(url, timeout=5, trust_env=False).is_success:
                return
        if has_ended():
            raise OutputError(f"{what} ended before it answered at {url}")
        time.sleep(0.2)
    raise OutputError(f"{what} did not answer at {url} within {_START:g} s")


def run_flow(
    flow: Flow[..., Any], folder: Path | None, *arguments: object, before: Callable[[Path], object] = lambda _: None
) -> None:
    """Run a flow by hand, and leave with an exit code: 2 after a mistake, 130 if it was stopped.

    Args:
        flow: Which.
        folder: The project's, or the present one.
        arguments: The flow's.
        before: Called with the project's folder before a server is started; it raises what is wrong.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        project = project_folder(folder)
        os.environ["DEGRAIN_PROJECT"] = str(project)
        before(project)
        with own(project):
            # NOTE: Prefect types what a flow returns as if it could be awaited.
            state: Any = flow(*arguments, return_state=True)
    except (KeyboardInterrupt, TerminationSignal):
        typer.echo(f"{flow.name}: stopped; what is finished is kept, run the same command again to go on", err=True)
        _end_soon(130)
        raise typer.Exit(130) from None
    except DegrainError as error:
        typer.echo(f"{flow.name}: {error}", err=True)
        raise typer.Exit(2) from None
    if not state.is_completed():
        typer.echo(f"{flow.name}: {printable(state.message or state.name or 'it failed')}", err=True)
        raise typer.Exit(2 if state.name == End.MISTAKE else 1)


def _end_soon(code: int) -> None:
    """End this process after some seconds, even if threads of Prefect still wait for an answer that will not come."""

    def end() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    alarm = threading.Timer(_FLUSH, end)
    alarm.daemon = True
    alarm.start()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


# ---- servers that stay ----------------------------------------------------------------------------------------------


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
    prefect = _prefect("server", "start", "--host", HOST, "--port", str(prefect_port))
    # NOTE: its pages ask for the API where the browser finds it.
    own_address = {"PREFECT_SERVER_UI_API_URL": f"{address}/api"} | LEASES
    _start(project, "prefect", prefect, _environment(project, **own_address), prefect_port, f"{address}/api/health")
    mlflow = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(mlflow_port)]
    store = ["--backend-store-uri", variables.tracking_uri()]
    _start(
        project, "mlflow", [*mlflow, *store], _environment(project), mlflow_port, f"http://{HOST}:{mlflow_port}/health"
    )
    typer.echo(f"Prefect  {address}\nMLflow   http://{HOST}:{mlflow_port}")
    typer.echo(f"For commands in this shell: export PREFECT_API_URL={address}/api")


@app.command()
def deploy() -> None:
    """Make the work pools and the deployments of prefect.yaml, or bring them up to date."""
    project = project_folder(None)
    environment = _environment(project, PREFECT_API_URL=_api(project))
    for pool in POOLS:
        _do(_prefect("work-pool", "create", pool, "--type", "process", "--overwrite"), project, environment)
    # NOTE: prefect.yaml names these, and a name without a value would be taken for a value.
    chosen = {name: os.environ.get(name, "") for name in ("DEGRAIN_POOLS", "DEGRAIN_REVISION")}
    _do(_prefect("deploy", "--all"), project, environment | chosen)
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: environment["PREFECT_API_URL"]}):
        from pipelines import automations

        automations.make(os.environ.get("DEGRAIN_NOTIFY", ""))
    typer.echo("Start a worker with: make worker POOL=cpu")


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
    _remember(project, f"{_WORKER}{name}", os.getpid(), 0)
    os.chdir(project)
    os.execve(command[0], command, _environment(project, PREFECT_API_URL=_api(project)))  # noqa: S606


@app.command()
def down() -> None:
    """End the servers and workers that were started here."""
    project = project_folder(None)
    # NOTE: workers first, whose runs tell the servers how they end.
    order = sorted(_names(project), key=lambda name: (not name.startswith(_WORKER), name != "prefect", name))
    ended = [name for name in order if _end(project, name)]
    typer.echo(f"ended: {', '.join(ended)}" if ended else "nothing was running")


def _api(project: Path) -> str:
    """The address of Prefect's API: PREFECT_API_URL, or that of the server that `up` has started.

    Raises:
        OutputError: There is none, or it does not answer.
    """
    if chosen := os.environ.get("PREFECT_API_URL"):
        _refuse_silent(chosen)
        return chosen
    if _runs(project, "prefect"):
        return f"http://{HOST}:{_read(project, 'prefect')['port']}/api"
    raise OutputError("there is no Prefect server: run make up, or set PREFECT_API_URL")


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
    if _runs(project, name):
        if _read(project, name)["port"] != port:
            raise OutputError(f"{name} runs on port {_read(project, name)['port']} already; make down ends it")
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise OutputError(f"port {port} is taken; choose another one: make up {name.upper()}_PORT=...") from None
    log = project / FOLDER / f"{name}.log"
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
    _remember(project, name, server.pid, port)
    try:
        _wait_for(health, lambda: server.poll() is not None, f"{name} (log: {log})")
    except BaseException:
        _end(project, name)
        raise


def _remember(project: Path, name: str, pid: int, port: int) -> None:
    files.write_json(project / FOLDER / f"{name}.json", {"pid": pid, "began": _began(pid), "port": port})


def _names(project: Path) -> list[str]:
    return [path.stem for path in (project / FOLDER).glob("*.json")]


def _read(project: Path, name: str) -> dict[str, int]:
    try:
        found = files.parse_json((project / FOLDER / f"{name}.json").read_text())
        return {key: int(found[key]) for key in ("pid", "began", "port")}
    except (OSError, ValueError, TypeError, KeyError):
        return {"pid": 0, "began": 0, "port": 0}


def _runs(project: Path, name: str) -> bool:
    told = _read(project, name)
    return bool(told["pid"]) and _began(told["pid"]) == told["began"] != 0


def _began(pid: int) -> int:
    """When a process began, in ticks since the machine did; 0 if there is none, or it has ended."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if state == "Z" else int(rest[18])


def _end(project: Path, name: str) -> bool:
    """End what was started under a name, with the runs of a worker; tell whether it ran."""
    ran, pid = _runs(project, name), _read(project, name)["pid"]
    if ran:
        left = _end_runs(pid) if name.startswith(_WORKER) else {}
        for number, patience in ((signal.SIGTERM, _END), (signal.SIGKILL, 5.0)):
            _signal(pid, number, with_group=not name.startswith(_WORKER))
            deadline = time.monotonic() + patience
            while _runs(project, name) and time.monotonic() < deadline:
                _wait_a_little(pid)
        for child in _alive(left):
            _signal(child, signal.SIGKILL, with_group=False)
    (project / FOLDER / f"{name}.json").unlink(missing_ok=True)
    return ran


def _end_runs(worker: int) -> dict[int, int]:
    """End the runs of a worker, and give them time to clean up; return all of their processes and when these began."""
    # NOTE: it must take no other run meanwhile, and read what these print; a worker that ends first leaves its runs.
    _signal(worker, signal.SIGSTOP, with_group=False)
    try:
        family = _family(worker)
        began = {child: _began(child) for child in family}
        for child, parent in family.items():
            if parent == worker:
                # NOTE: not its group: a run that gets a second signal breaks off its cleaning up.
                _signal(child, signal.SIGTERM, with_group=False)
        deadline = time.monotonic() + _END
        while _alive(began) and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        _signal(worker, signal.SIGCONT, with_group=False)
    return began


def _alive(began: Mapping[int, int]) -> list[int]:
    """Those of some processes that still are the ones that began then."""
    return [pid for pid, then in began.items() if _began(pid) == then != 0]


def _family(pid: int) -> dict[int, int]:
    """The processes that have come of one, each with its parent."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(place.parent.name)] = int(place.read_text().rpartition(")")[2].split()[1])
    family: dict[int, int] = {}
    pending = [pid]
    while pending:
        parent = pending.pop()
        children = [child for child, of in parents.items() if of == parent]
        family |= dict.fromkeys(children, parent)
        pending += children
    return family


def _signal(pid: int, number: int, with_group: bool) -> None:
    """Signal a process, on demand with its group if it leads one."""
    with suppress(ProcessLookupError):
        os.killpg(pid, number) if with_group and os.getpgid(pid) == pid else os.kill(pid, number)


def _wait_a_little(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    time.sleep(0.1)


def main() -> None:
    """Run the command; a mistake is one line."""
    try:
        app()
    except DegrainError as error:
        typer.echo(f"servers: {error}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
