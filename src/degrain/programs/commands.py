"""Git, DVC and degrain as other programs: in the folder that is named, and ended with this one."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from degrain import extras
from degrain.errors import OutputError
from degrain.programs import leashed

# How DVC and git begin the line that says what is wrong; others are warnings and advice.
_ERRORS = ("ERROR: ", "fatal: ", "error: ")


@dataclass(frozen=True)
class Ended:
    """How a command has ended.

    Attributes:
        code: Its exit code; None if it took too long.
        output: What it printed.
        errors: What it printed on standard error; empty where that was shown.
    """

    code: int | None
    output: str
    errors: str

    @property
    def reason(self) -> str:
        """Why it failed, in one line."""
        if self.code is None:
            return "it does not answer"
        lines = [line.strip() for line in self.errors.splitlines() if line.strip()] or [f"exit code {self.code}"]
        said = next((line for line in lines if line.startswith(_ERRORS)), lines[-1])
        return said.removeprefix("ERROR: ")[:300]


def run(
    folder: Path,
    *command: str,
    settings: Mapping[str, str] | None = None,
    shown: bool = False,
    seconds: float | None = None,
) -> Ended:
    """Run a command to its end.

    Args:
        folder: Where.
        command: Program and arguments.
        settings: Environment variables beside the present ones.
        shown: Whether a person sees its standard error.
        seconds: How long it may take; as long as it likes if absent.
    """
    # NOTE: a pipe could be held open for ever by a process that the command has left behind.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = leashed.started(
            command,
            folder,
            {"GIT_TERMINAL_PROMPT": "0", **(settings or {})},
            output,
            errors=None if shown else errors,
        )
        with leashed.ending(child, seconds) as late:
            code = child.wait()
        if late.is_set():
            return Ended(None, "", "")
        return Ended(code, _written(output), _written(errors))


def _written(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def git(folder: Path, *arguments: str) -> Ended:
    """Run git, without hooks.

    Raises:
        OutputError: It is not installed.
    """
    if shutil.which("git") is None:
        raise OutputError("git is not installed; install it")
    return run(folder, "git", "-c", f"core.hooksPath={os.devnull}", *arguments)


def dvc(
    folder: Path,
    *arguments: str,
    settings: Mapping[str, str] | None = None,
    shown: bool = False,
    seconds: float | None = None,
) -> Ended:
    """Run DVC, as it is installed beside this Python; see `run`.

    Raises:
        MissingExtra: It is not installed.
    """
    extras.require("dvc")
    return run(folder, sys.executable, "-m", "dvc", *arguments, settings=settings, shown=shown, seconds=seconds)


def require(ended: Ended, what: str) -> str:
    """Return what a command printed.

    Raises:
        OutputError: It failed.
    """
    if ended.code != 0:
        raise OutputError(f"{what}: {ended.reason}")
    return ended.output.rstrip("\n")


def cache_folder(project: Path) -> Path:
    """Return the folder of a project's DVC cache.

    Raises:
        OutputError: DVC does not say.
    """
    return project / require(dvc(project, "cache", "dir"), "dvc cache dir")


def default_remote(project: Path) -> str:
    """Return the name of a project's default DVC remote; empty without one."""
    asked = dvc(project, "config", "core.remote")
    return asked.output.strip() if asked.code == 0 else ""
