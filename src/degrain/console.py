"""What a person watches: log lines and progress bars on standard error."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from degrain import environment

console = Console(stderr=True)


def set_up_logging(debug: bool = False) -> None:
    """Send degrain's log to standard error: in color to a terminal, as plain lines elsewhere."""
    handler: logging.Handler
    if environment.interactive():
        handler = RichHandler(console=console, show_path=False, show_time=False, show_level=debug, markup=False)
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
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
        disable=not environment.interactive(),
    )


@contextmanager
def progress(description: str, total: int) -> Iterator[Callable[[], None]]:
    """Show one bar while the block runs; call what it yields after each step."""
    with bars() as shown:
        task = shown.add_task(description, total=total, note="")
        yield lambda: shown.advance(task)
