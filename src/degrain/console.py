"""What a person watches: log lines and progress bars on standard error."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich import filesize
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from degrain.errors import printable
from degrain.machine import variables

log = logging.getLogger(__name__)

console = Console(stderr=True)
# What a person asked to see, as opposed to what happens meanwhile.
output = Console()

# Smaller transfers are over before a line about them is read.
WORTH_A_LINE = 20_000_000  # bytes


class Lines(logging.Formatter):
    """One printable line for each message; a traceback below it has several."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        """Return the message, escaped."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Return the lines of a traceback, each escaped."""
        return "\n".join(map(printable, super().formatException(ei).split("\n")))


def set_up_logging(debug: bool = False) -> None:
    """Send degrain's log to standard error: in color to a terminal, as plain lines elsewhere."""
    handler: logging.Handler
    if variables.interactive():
        handler = RichHandler(console=console, show_path=False, show_time=False, show_level=debug, markup=False)
    else:
        handler = logging.StreamHandler()
    handler.setFormatter(Lines("%(message)s"))
    root = logging.getLogger("degrain")
    root.handlers = [handler]
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    root.propagate = False


def bars() -> Progress:
    """Return progress bars with room for a note; invisible where nobody watches."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not variables.interactive(),
    )


@contextmanager
def progress(description: str, total: int) -> Iterator[Callable[..., None]]:
    """Show one bar while the block runs; call what it yields after each step, or with how many steps are done."""
    with bars() as shown:
        task = shown.add_task(description, total=total, note="")

        def advance(steps: int = 1) -> None:
            shown.advance(task, steps)

        yield advance


@contextmanager
def transfer(description: str, total: int | None = None) -> Iterator[Callable[[int, int | None], None]]:
    """Show one bar of bytes while the block runs.

    Where nobody watches, the log says when a big transfer begins and when it has ended.

    Args:
        description: What is transferred.
        total: Size in bytes, if known yet.

    Yields:
        A function to call with the bytes that are there so far and the size in bytes, or None while nobody knows it.
        The first call sets where the transfer starts; a smaller number than before starts again.
    """
    watched = variables.interactive()
    shown = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not watched,
    )
    task = shown.add_task(description, total=total)
    first = latest = -1
    started = time.monotonic()

    def show(done: int, size: int | None) -> None:
        nonlocal first, latest
        if first < 0 or done < latest:
            # NOTE: an update would count the bytes of an earlier run as transferred just now, in speed and time left.
            shown.reset(task, completed=done, total=size)
            if not watched and first < 0 and (size is None or size - done >= WORTH_A_LINE):
                log.info("%s: %s to go", description, "unknown size" if size is None else filesize.decimal(size - done))
            first = done
        else:
            shown.update(task, completed=done, total=size)
        latest = done

    with shown:
        yield show
    if not watched and latest - first >= WORTH_A_LINE:
        log.info("%s: %s in %.0f s", description, filesize.decimal(latest - first), time.monotonic() - started)
