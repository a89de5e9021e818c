"""Running jobs in processes of their own, with news from each while it runs."""

from __future__ import annotations

import multiprocessing
import multiprocessing.context
import os
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from typing import Any

from degrain import environment
from degrain.errors import TrainingError

_END = ""


def _context() -> multiprocessing.context.ForkServerContext:
    """Workers are forked from a server that has imported what they need and has no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["degrain.trials.grid", "albumentations"])
    return context


def prepare() -> None:
    """Start importing what workers need, in the background, while this process does something else."""
    _context()
    forkserver.ensure_running()


def run(
    function: Callable[..., None],
    jobs: Mapping[str, tuple[Any, ...]],
    workers: int,
    show: Callable[[str, Any], None],
) -> None:
    """Run a function once per job, several at a time.

    Args:
        function: Takes a job's arguments and, last, a function to tell news with.
        jobs: For each name, the arguments.
        workers: How many processes.
        show: Called in this process with (name, news), in the order in which the news came.

    Raises:
        TrainingError: A process was killed from outside, or ran out of memory.
        Exception: Whatever a job raised; the other jobs end first.
    """
    context = _context()
    news: SimpleQueue[tuple[str, Any]] = context.SimpleQueue()
    reader = threading.Thread(target=_read, args=(news, show), daemon=True)
    reader.start()
    pool = ProcessPoolExecutor(workers, context, initializer=_start, initargs=(news,))
    try:
        futures: list[Future[None]] = [pool.submit(_run, function, name, arguments) for name, arguments in jobs.items()]
        errors = [future.exception() for future in futures]
    except BaseException:
        # NOTE: workers ignore Ctrl-C, so that the one process that reports it is this one.
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    if not any(isinstance(error, BrokenProcessPool) for error in errors):
        # NOTE: a killed worker may have left half a message, and then the reader would wait for the rest forever.
        news.put((_END, None))
        reader.join()
    for error in errors:
        if isinstance(error, BrokenProcessPool):
            raise TrainingError(
                "a training process was killed, perhaps for want of memory; what had ended is kept, run again to go on"
            ) from error
        if error:
            raise error


_news: SimpleQueue[tuple[str, Any]] | None = None


def _start(news: SimpleQueue[tuple[str, Any]]) -> None:
    """Set up a worker: it leaves Ctrl-C to its parent and ends when the parent is gone."""
    global _news  # noqa: PLW0603  (an initializer has no other way to hand things on)
    _news = news
    environment.switch_off_telemetry()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _run(function: Callable[..., None], name: str, arguments: tuple[Any, ...]) -> None:
    queue = _news
    function(*arguments, lambda event: queue.put((name, event)) if queue else None)


def _read(news: SimpleQueue[tuple[str, Any]], show: Callable[[str, Any], None]) -> None:
    while (item := news.get())[0] != _END:
        show(*item)
