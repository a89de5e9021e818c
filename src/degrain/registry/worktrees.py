"""A git worktree in which a registered version is trained again.

    .degrain/rebuilds/NAME         the worktree
    .degrain/rebuilds/NAME.lock    held by the process that works in it, however that ends

A worktree whose lock nobody holds is removed by the next rebuild; one that was kept has no lock, and stays.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from filelock import FileLock, Timeout

from degrain.errors import OutputError, Stopped
from degrain.programs.commands import git, require
from degrain.programs.worktrees import SWEEPING, held, remove

FOLDER = Path(".degrain") / "rebuilds"


@contextmanager
def opened(project: Path, name: str, commit: str, keep: bool) -> Iterator[Path]:
    """Make a worktree, and remove it at the end, also on Ctrl-C and SIGTERM.

    Args:
        project: The project's folder, which git knows.
        name: Of the worktree.
        commit: What it holds.
        keep: Whether it stays.

    Yields:
        Its folder.

    Raises:
        OutputError: It cannot be made, or there is one of that name, which is in use or was kept.
        Stopped: SIGTERM has come.
    """
    base = project.resolve() / FOLDER
    base.mkdir(parents=True, exist_ok=True)
    _sweep(project, base)
    folder = base / name
    with held(base / f"{name}.lock", f"{name} is being rebuilt by another process"), _stoppable():
        if folder.exists():
            way_out = f"git worktree remove --force {FOLDER / name}"
            raise OutputError(f"{FOLDER / name} is there already, kept by another rebuild; remove it: {way_out}")
        try:
            require(git(project, "worktree", "add", "--quiet", "--detach", str(folder), commit), "git worktree add")
            yield folder
        finally:
            if not keep:
                remove(project, folder)


def _sweep(project: Path, base: Path) -> None:
    """Remove the worktrees of processes that were killed."""
    with FileLock(base / SWEEPING):
        for lock in sorted(base.glob("*.lock")):
            if lock.name != SWEEPING:
                with suppress(Timeout), FileLock(lock).acquire(timeout=0):
                    remove(project, lock.with_suffix(""))
                    lock.unlink(missing_ok=True)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM raise, so that what was begun is cleaned up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        raise Stopped(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
