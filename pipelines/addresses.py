"""How a server is asked: ports on loopback, whether it answers, and the variables that it is started with."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx

from degrain.errors import OutputError
from degrain.machine import variables

HOST = "127.0.0.1"
# The command of servers and workers, for messages; make has the same by shorter names.
SERVERS = "python -m pipelines.servers"
# Seconds until a server must answer.
_START = 120.0
# Seconds before each try to reach a server that is set.
_PAUSES = (0.0, 1.0, 2.0)
# Seconds between two heartbeats of a flow; Prefect takes no fewer.
BEAT = 30.0
# Heartbeats tell that a worker died together with its run; 500 is what a server says whose database is away.
RESILIENT = {
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": f"{BEAT:g}",
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
    "PREFECT_CLIENT_MAX_RETRIES": "8",
    "PREFECT_WORKER_QUERY_SECONDS": "5",
}


def environment(project: Path, **more: str) -> dict[str, str]:
    """Variables of servers and workers: Prefect keeps its things in the project, and nothing calls home."""
    home = {"PREFECT_HOME": str(project / ".degrain" / "prefect"), "DEGRAIN_PROJECT": str(project)}
    code = {"PYTHONPATH": os.pathsep.join([str(project / "src"), str(project)])}
    return os.environ | dict(variables.OFF_SWITCHES) | RESILIENT | home | code | more


def prefect(*arguments: str) -> list[str]:
    """Return a command of Prefect that asks nothing."""
    return [sys.executable, "-m", "prefect", "--no-prompt", *arguments]


def free_port() -> int:
    """Return a port on loopback that nothing has at present."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, has_ended: Callable[[], bool], what: str) -> None:
    """Wait until a server answers.

    Raises:
        OutputError: It does not, or has ended.
    """
    deadline = time.monotonic() + _START
    # NOTE: one client, since each reads all certificates.
    with httpx.Client(timeout=5, trust_env=False) as client:
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                if client.get(url).is_success:
                    return
            if has_ended():
                raise OutputError(f"{what} ended before it answered at {url}")
            time.sleep(0.2)
    raise OutputError(f"{what} did not answer at {url} within {_START:g} s")


def refuse_silent(url: str) -> None:
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
    raise OutputError(
        f"PREFECT_API_URL: nobody answers at {url} ({last}); start that server with {SERVERS} up, or unset it"
    )
