"""A command that ends when whoever started it ends: python leash.py COMMAND [ARGUMENT ...]

Its standard input is a pipe whose other end the starter holds. When that closes, however the starter came to its end,
or on SIGTERM, SIGINT or SIGHUP, all processes of the command's group get SIGTERM, and SIGKILL if they still run after
`PATIENCE` seconds. DVC ignores SIGINT while a stage runs, so it is the group that has to be ended.

This file imports nothing of the project: it starts in 30 ms, and it is the same in every workspace.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

PATIENCE = 15.0  # seconds; Prefect gives a cancelled flow 30


def main(command: list[str]) -> int:
    """Run a command; returns its exit code, 128 and the signal's number if one ended it."""
    # NOTE: a shell starts background commands with SIGINT ignored, and a child would inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
    ending = threading.Lock()

    def end(*_: object) -> None:
        if ending.acquire(blocking=False):
            threading.Thread(target=_end_group, args=(child.pid,), daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    threading.Thread(target=_watch, args=(end,), daemon=True).start()
    code = child.wait()
    _kill(child.pid, signal.SIGKILL)
    return code if code >= 0 else 128 - code


def _watch(end: Callable[[], None]) -> None:
    """Wait for the end of standard input."""
    while os.read(0, 4096):
        pass
    end()


def _end_group(group: int) -> None:
    _kill(group, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and _kill(group, 0):
        time.sleep(0.05)
    _kill(group, signal.SIGKILL)


def _kill(group: int, number: int) -> bool:
    """Signal a process group; tell whether there is one."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
