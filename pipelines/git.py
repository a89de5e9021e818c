"""Git, as the flows call it: what it refuses raises, or counts as no answer."""

from __future__ import annotations

from pathlib import Path

from degrain.programs import commands

ORIGIN = "origin"


def git(folder: Path, *arguments: str, fails: bool = False) -> str:
    """Run git, and return what it prints.

    Args:
        folder: Where.
        arguments: Of git.
        fails: Whether it may refuse; then nothing is returned.

    Raises:
        OutputError: It refuses, and may not.
    """
    ended = commands.git(folder, *arguments)
    return "" if fails and ended.code else commands.require(ended, f"git {arguments[0]}")


def has_origin(folder: Path) -> bool:
    """Tell whether a repository has a remote named origin."""
    return ORIGIN in git(folder, "remote").splitlines()


def at_origin(folder: Path, command: str, *arguments: str, fails: bool = False) -> str:
    """Run a command of git that talks to the remote origin, and return what it prints; see `git`.

    It runs in the repository's main worktree: git reads a relative address such as "../origin.git" from where it runs.
    Refs are those of all worktrees.
    """
    return git(worktrees(folder)[0], command, *arguments, fails=fails)


def worktrees(folder: Path, fails: bool = False) -> list[Path]:
    """Return the folders of a repository's worktrees, the main one first; see `git`."""
    listed = git(folder, "worktree", "list", "--porcelain", fails=fails).splitlines()
    return [Path(line.removeprefix("worktree ")) for line in listed if line.startswith("worktree ")]
