"""Git worktrees in which something is run: each with a lock beside it that is held however its process ends."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from degrain.errors import OutputError
from degrain.programs.commands import git

# Held while dead worktrees are looked for, and while a lock is made.
SWEEPING = ".sweeping.lock"


@contextmanager
def held(lock: Path, otherwise: str) -> Iterator[None]:
    """Hold the lock of a worktree; its file goes at the end.

    Raises:
        OutputError: Another process holds it.
    """
    holding = FileLock(lock)
    try:
        # NOTE: else a sweep could remove the file after it was made and before it is locked.
        with FileLock(lock.with_name(SWEEPING)):
            holding.acquire(timeout=0)
    except Timeout:
        raise OutputError(otherwise) from None
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        holding.release()


def remove(project: Path, folder: Path) -> None:
    """Remove a worktree, and what git has written down of it; of other worktrees nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    # NOTE: forced twice for one that is locked since its making was broken off; `git worktree prune` takes others too.
    git(project, "worktree", "remove", "--force", "--force", str(folder))
    # NOTE: git knows nothing of one that was broken off so early that it does not say yet where it is.
    common = (project.resolve() / git(project, "rev-parse", "--git-common-dir").output.rstrip("\n")).resolve()
    for left in (common / "worktrees").glob("*"):
        if re.fullmatch(rf"{re.escape(folder.name)}\d*", left.name) and not (left / "gitdir").exists():
            shutil.rmtree(left, ignore_errors=True)
