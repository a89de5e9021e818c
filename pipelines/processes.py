"""Running stages as child processes that end with the flow, unless the flow itself is killed outright."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

# degrain exits with 2 for a mistake in params or data: trying again would not mend it.
_MISTAKE = re.compile(r"failed to run: .*, exited with 2$")


class StageFailed(Exception):  # noqa: N818  (reads as what happened)
    """A stage ended with an error.

    Attributes:
        mistake: Whether params or data are wrong, so that trying again is useless.
    """

    def __init__(self, message: str, mistake: bool) -> None:
        super().__init__(message)
        self.mistake = mistake


class Children:
    """Child processes, each the head of a process group of its own; leaving the block stops those still running.

    DVC ignores SIGINT while its child runs, so the whole group has to be signalled.

    Args:
        limit: How many may run side by side; others wait.
    """

    def __init__(self, limit: int) -> None:
        self._slots = threading.BoundedSemaphore(limit)
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def reproduce(self, stage: str, folder: Path, log: Callable[[str], None], timeout: float | None) -> bool:
        """Run `dvc repro -s` for one stage.

        Args:
            stage: Its name.
            folder: The project's folder.
            log: Called with each line of output.
            timeout: Seconds after which it is stopped, or None.

        Returns:
            Whether the stage ran; False when nothing had changed.

        Raises:
            StageFailed: It ended with an error or was stopped.
        """
        with self._slots:
            return self._reproduce(stage, folder, log, timeout)

    def _reproduce(self, stage: str, folder: Path, log: Callable[[str], None], timeout: float | None) -> bool:
        here = Path(sys.executable).parent
        environment = os.environ | {"PATH": f"{here}{os.pathsep}{os.environ.get('PATH', '')}"}
        with self._lock:
            if self._closed:
                raise StageFailed(f"{stage}: the flow is being stopped", mistake=True)
            child = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", stage],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            self._running.add(child)
        alarm = threading.Timer(timeout, _stop, [child]) if timeout else None
        if alarm:
            alarm.start()
        try:
            lines = []
            assert child.stdout is not None  # noqa: S101  (it is a pipe)
            for line in child.stdout:
                if line.strip():
                    lines.append(line.rstrip())
                    log(lines[-1])
            code = child.wait()
        finally:
            if alarm:
                alarm.cancel()
            _stop(child)
            if child.stdout:
                child.stdout.close()
            with self._lock:
                self._running.discard(child)
        if code:
            errors = [line for line in lines if line.startswith(("ERROR:", "degrain:"))] or lines[-1:]
            raise StageFailed(f"{stage}: {' '.join(errors)}", mistake=any(_MISTAKE.search(line) for line in lines))
        return f"Stage '{stage}' didn't change, skipping" not in lines

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
            left = list(self._running)
        for child in left:
            _stop(child)


def _stop(child: subprocess.Popen[str], patience: float = 10) -> None:
    """End a child's process group: politely, then by force."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is not None:
            return
        try:
            os.killpg(child.pid, number)
            child.wait(patience)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
