"""Child processes that end with whoever started them, even if that is killed."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from degrain.programs import leashed

# degrain exits with 2 for a mistake in params or data: trying again would not mend it.
_MISTAKE = re.compile(r"failed to run: .*, exited with 2$")
# What DVC tells people to do after each stage; whoever reads a flow's log has nothing of that to do.
_HINT = re.compile(
    r"To track the changes with git, run:|\tgit add .*|To enable auto staging, run:|\tdvc config core\.autostage true|"
    r"Use `dvc push` to send your updates to remote storage\."
)

Log = Callable[[str], None]


class StageFailed(Exception):  # noqa: N818  (reads as what happened)
    """A stage ended with an error.

    Attributes:
        mistake: Whether params or data are wrong, so that trying again is useless.
    """

    def __init__(self, message: str, mistake: bool) -> None:
        super().__init__(message)
        self.mistake = mistake


@dataclass(frozen=True)
class Ended:
    """A command that has ended.

    Attributes:
        code: Its exit code; that of one that a signal ended is 128 and the signal's number.
        lines: What it printed, without empty lines.
        timed_out: Whether it was stopped for taking too long.
    """

    code: int
    lines: list[str]
    timed_out: bool

    def complaint(self) -> str:
        """What it printed of errors, or its last line."""
        if self.timed_out:
            return "it took longer than its timeout"
        errors = [line for line in self.lines if line.startswith(("ERROR:", "degrain:"))] or self.lines[-1:]
        return " ".join(errors) or f"exit code {self.code}"


class Children:
    """Child processes, each on a leash; leaving the block ends those that still run.

    Args:
        limit: How many stages may run side by side; others wait.
        environment: Variables that all of them get beside the present ones.
    """

    def __init__(self, limit: int, environment: Mapping[str, str] | None = None) -> None:
        self._slots = threading.BoundedSemaphore(limit)
        self._environment = dict(environment or {})
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def closed(self) -> bool:
        """Whether nothing else may start."""
        return self._closed

    def end(self) -> None:
        """End all that run, and let nothing else start."""
        with self._lock:
            self._closed = True
            left = list(self._running)
        for child in left:
            leashed.let_go(child)
        leashed.reap(left)

    def reproduce(self, stage: str, folder: Path, log: Log, timeout: float | None) -> str:
        """Run `dvc repro -s` for one stage.

        Args:
            stage: Its name.
            folder: The project's folder.
            log: Called with each line of output.
            timeout: Seconds after which it is stopped, or None.

        Returns:
            "ran", "restored" from DVC's cache, or "unchanged".

        Raises:
            StageFailed: It ended with an error or was stopped.
        """
        with self._slots:
            command = dvc("--wait-for-lock", "repro", "--single-item", stage)
            ended = self.run(command, folder, log, timeout)
        if self._closed:
            raise StageFailed(f"{stage}: the flow is being stopped", mistake=True)
        if ended.code or ended.timed_out:
            mistake = any(_MISTAKE.search(line) for line in ended.lines)
            raise StageFailed(f"{stage}: {ended.complaint()}", mistake)
        if f"Stage '{stage}' didn't change, skipping" in ended.lines:
            return "unchanged"
        return "restored" if f"Stage '{stage}' is cached - skipping run, checking out outputs" in ended.lines else "ran"

    def run(self, command: Sequence[str], folder: Path, log: Log, timeout: float | None = None) -> Ended:
        """Run a command to its end.

        Args:
            command: Program and arguments.
            folder: Where.
            log: Called with each line of output but DVC's hints.
            timeout: Seconds after which it is stopped, or None.

        Raises:
            StageFailed: The block is being left.
        """
        with self._lock:
            if self._closed:
                raise StageFailed(f"{command[-1]}: the flow is being stopped", mistake=True)
            child = leashed.started(command, folder, self._environment)
            self._running.add(child)
        lines: list[str] = []
        try:
            with leashed.ending(child, timeout) as late:
                for line in leashed.lines(child):
                    if line.strip():
                        lines.append(line.rstrip())
                        if not _HINT.fullmatch(lines[-1]):
                            log(lines[-1])
                code = child.wait()
        finally:
            with self._lock:
                self._running.discard(child)
        return Ended(code, lines, late.is_set())


def dvc(*arguments: str) -> list[str]:
    """Return the command line of DVC as it is installed beside this Python."""
    return [sys.executable, "-m", "dvc", *arguments]


def module(name: str, *arguments: str) -> list[str]:
    """Return the command line of a module of this package."""
    return [sys.executable, "-m", name, *arguments]


def degrain(*arguments: str) -> list[str]:
    """Return the command line of degrain, of the code that PYTHONPATH names."""
    return [sys.executable, "-m", "degrain", *arguments]
