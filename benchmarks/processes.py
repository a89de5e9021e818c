"""Contenders in processes of their own: started together, their memory watched, their answers read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
READY = "ready"


def measure(
    commands: Sequence[Sequence[str]], together: bool = False, **variables: str
) -> tuple[list[dict[str, Any]], float]:
    """Run commands side by side.

    Args:
        commands: Each prints JSON as its last line.
        together: Each says "ready" first and waits for a line before it goes on, so that all measure at the same time.
        variables: For their environment.

    Returns:
        The answers, and the peak memory of all processes and their descendants, in MB.
    """
    with tempfile.TemporaryFile("w+") as errors:
        running = [
            subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
            for command in commands
        ]
        with _watched([process.pid for process in running]) as peak:
            pipes = [(process.stdin, process.stdout) for process in running]
            if together and all(out and out.readline().strip() == READY for _, out in pipes):
                for told, _ in pipes:
                    assert told
                    told.write("go\n")
                    told.flush()
            outputs = [process.communicate()[0] for process in running]
        if any(process.returncode for process in running):
            errors.seek(0)
            sys.exit(f"{' '.join(commands[0])} failed:\n{errors.read()[-4000:]}")
    return [json.loads(output.splitlines()[-1]) for output in outputs], max(peak)


def module(name: str, told: Mapping[str, Any], python: str | Path = sys.executable) -> list[str]:
    """The command that runs a module of these benchmarks with something to do, as JSON."""
    return [str(python), "-m", f"benchmarks.{name}", json.dumps(told)]


@contextmanager
def _watched(pids: Sequence[int], every: float = 0.2) -> Iterator[list[float]]:
    """Sums, over the processes alive at one moment, of the most memory that each has had (VmHWM).

    Pages that processes share are counted in each. 0 where there is no /proc.
    """
    sums, stop = [0.0], threading.Event()

    def watch() -> None:
        while not stop.wait(every):
            sums.append(sum(_peak_mb(pid) for root in pids for pid in _family(root)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield sums
    finally:
        stop.set()
        watcher.join()


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                yield from _family(int(child))


def _peak_mb(pid: int) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1000
    return 0.0
