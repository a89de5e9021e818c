"""A flow that is run by hand: with the server that is set, or one that ends with it; a mistake is one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import typer
from filelock import FileLock
from prefect.exceptions import TerminationSignal
from prefect.flows import Flow

from degrain.errors import DegrainError, OutputError, printable
from degrain.programs import leashed
from pipelines import addresses
from pipelines.ends import End
from pipelines.workspaces import project_folder

# Seconds for which the end of a run waits for what is on its way to Prefect, and for an own server.
_FLUSH = 5.0
# Services of Prefect's server that one run of its own does not need.
_IDLE = ("SCHEDULER", "LATE_RUNS", "FOREMAN", "PAUSE_EXPIRATIONS", "CANCELLATION_CLEANUP", "TRIGGERS", "REPOSSESSOR")


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
        addresses.refuse_silent(chosen)
        with temporary_settings({getattr(settings, name): value for name, value in addresses.RESILIENT.items()}):
            yield chosen
        return
    port = addresses.free_port()
    url = f"http://{addresses.HOST}:{port}/api"
    command = addresses.prefect("server", "start", "--host", addresses.HOST, "--port", str(port), "--no-ui")
    # NOTE: without the service that records tasks Prefect forgets them; with the scheduler it would start other runs.
    idle = {f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false" for service in _IDLE}
    environment = addresses.environment(project, PREFECT_SERVER_LOGGING_LEVEL="WARNING", **idle)
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
            addresses.wait_for(f"{url}/health", lambda: server.poll() is not None, "Prefect's server")
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
