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
