"""Git, as the flows call it: without hooks, without questions, and in the repository that they name."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from degrain.errors import OutputError

ORIGIN = "origin"
# What git itself sets for hooks and aliases, and what would send a command to another repository than its folder's.
_ELSEWHERE = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
)


def git(folder: Path, *arguments: str, fails: bool = False) -> str:
    """Run git, and return what it prints.

    Args:
        folder: Where.
        arguments: Of git.
        fails: Whether it may refuse; then nothing is returned.

    Raises:
        OutputError: It refuses, and may not.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    done = subprocess.run(  # noqa: S603
        # NOTE: hooks are made for the folder of a person; those of `dvc install` fail in a workspace that is half made.
        ["git", "-c", f"core.hooksPath={os.devnull}", *arguments],  # noqa: S607
        cwd=folder,
        # NOTE: nobody is there to type a password.
        env=inherited | {"GIT_TERMINAL_PROMPT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and not fails:
        raise OutputError(f"git {arguments[0]}: {' '.join(done.stderr.split())}")
    return "" if done.returncode else done.stdout.rstrip("\n")


def has_origin(folder: Path) -> bool:
    """Tell whether a repository has a remote named origin."""
    return ORIGIN in git(folder, "remote").splitlines()
