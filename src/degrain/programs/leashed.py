"""Child processes that end with whoever started them, even if that is killed: each on a leash."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from degrain.errors import OutputError
from degrain.machine.variables import of_its_folder
from degrain.programs import leash

# What stops a child is given so much time beyond the leash's patience, in seconds.
_GRACE = 5.0
# How often it is looked whether a child that prints nothing has ended, in milliseconds.
_LOOK = 200
# Bytes; no pipe holds more.
_PIPE = 2**20


def started(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    output: IO[bytes] | int = subprocess.PIPE,
    errors: IO[bytes] | int | None = subprocess.STDOUT,
) -> subprocess.Popen[str]:
    """Start a command on a leash whose end is the standard input of what is returned.

    The programs of this Python's environment come first on its PATH, and git works in the repository of the folder.

    Args:
        command: Program and arguments.
        folder: Where.
        environment: Variables beside the present ones.
        output: File for what it prints. Otherwise that is a pipe, which has to be read: a command whose pipe is full
            waits for ever.
        errors: Where its standard error goes: beside the output, to a file, or to this process's own if None.

    Raises:
        OutputError: There is no such folder.
    """
    if not folder.is_dir():
        raise OutputError(f"{folder} is no folder, and nothing can run there; make it first")
    path = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    return subprocess.Popen(  # noqa: S603
        [sys.executable, leash.__file__, *command],
        cwd=folder,
        env=of_its_folder(os.environ | path | dict(environment)),
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=errors,
        text=True,
        errors="replace",
        start_new_session=True,
    )


@contextmanager
def ending(child: subprocess.Popen[str], seconds: float | None = None) -> Iterator[threading.Event]:
    """End a child at the latest when the block is left.

    Args:
        child: On its leash.
        seconds: When it is let go in any case.

    Yields:
        An event that tells whether it took too long.
    """
    late = threading.Event()

    def stop() -> None:
        # NOTE: what has ended in time is not late, even if its output is still being read.
        if child.poll() is None:
            late.set()
        let_go(child)

    alarm = threading.Timer(seconds, stop) if seconds else None
    if alarm:
        alarm.start()
    try:
        yield late
    finally:
        if alarm:
            alarm.cancel()
        let_go(child)
        reap([child])
        if child.stdout:
            child.stdout.close()


def lines(child: subprocess.Popen[str]) -> Iterator[str]:
    """Yield the lines that a child prints, until it has ended or closed its output.

    A process that it has left behind may hold its output open; that is not waited for.
    """
    assert child.stdout is not None  # noqa: S101  (it is a pipe)
    pipe, rest, more = child.stdout.fileno(), b"", True
    waiting = select.poll()
    waiting.register(pipe)
    while more:
        ended = child.poll() is not None
        ready = waiting.poll(0 if ended else _LOOK)
        read = os.read(pipe, _PIPE) if ready else b""
        *whole, rest = (rest + read).replace(b"\r", b"\n").split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
        # NOTE: what it has printed itself is in the pipe when it ends, and one read takes all of that.
        more = not ended and (bool(read) or not ready)
    yield rest.decode(errors="replace")


def let_go(child: subprocess.Popen[str]) -> None:
    """Close a child's leash, which ends it."""
    if child.stdin and not child.stdin.closed:
        child.stdin.close()


def reap(children: Sequence[subprocess.Popen[str]]) -> None:
    """Wait for children that were let go; kill the leashes themselves of those that do not end."""
    deadline = time.monotonic() + leash.PATIENCE + _GRACE
    for child in children:
        try:
            child.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
