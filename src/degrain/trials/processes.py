"""Running jobs in processes of their own: news from each while it runs, and none takes another with it."""

from __future__ import annotations

import multiprocessing
import multiprocessing.context
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

from degrain.errors import DegrainError, Stopped
from degrain.machine import variables
from degrain.trials.ledger import Busy

# How long a process may take to finish its step and save, once asked to stop.
PATIENCE = 300.0  # seconds

Tell = Callable[[Any], None]
Job = Callable[..., None]


def _context() -> multiprocessing.context.ForkServerContext:
    """Workers are forked from a server that has imported what they need and has no threads."""
    context = multiprocessing.get_context("forkserver")
    # NOTE: the first optimizer of a process imports torch._dynamo, which takes longer than a short trial.
    context.set_forkserver_preload(["degrain.trials.grid", "albumentations", "torch._dynamo"])
    return context


def prepare() -> None:
    """Start importing what workers need, in the background, while this process does something else."""
    _context()
    forkserver.ensure_running()


@dataclass
class Stop:
    """Whether somebody has asked to stop, and by which signal."""

    number: int = 0

    def __call__(self) -> bool:
        """Tell whether to stop."""
        return self.number != 0

    def check(self) -> None:
        """Raise what ends the command.

        Raises:
            Stopped: Somebody has asked to stop.
        """
        if self.number:
            raise Stopped(128 + self.number)


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Let the first Ctrl-C or SIGTERM ask to stop; a second Ctrl-C interrupts at once."""
    stop = Stop()

    def ask(number: int, _frame: FrameType | None) -> None:
        if stop.number and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.number = number

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(
    function: Job,
    jobs: Mapping[str, tuple[Any, ...]],
    workers: int,
    show: Callable[[str, Any], None],
    failed: Callable[[str, str, str], bool],
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Run a function once per job, each in a process of its own, several at a time.

    Args:
        function: Takes a job's arguments, then a function to tell news with, then one that says whether to stop. It
            may raise Busy: then it is called again later.
        jobs: For each name, the arguments.
        workers: How many processes at a time.
        show: Called in this process with (name, news), in the order in which each job's news came.
        failed: Called with (name, reason, traceback) when a job raised or was killed; says whether to run it again.
        stop: When it says so, the processes are asked to stop, and no other starts.

    Raises:
        DegrainError: Whatever of that kind a job raised: the others would meet it, too, so they are asked to stop.
    """
    waiting, running = _Queue(jobs), dict[Connection, _Worker]()
    refusal: DegrainError | None = None
    try:
        while running or (waiting and not stop() and not refusal):
            while len(running) < workers and not stop() and not refusal and (name := waiting.take()):
                worker = _start(function, name, jobs)
                running[worker.news] = worker
            if stop() or refusal:
                for worker in running.values():
                    worker.ask_to_stop()
            for news in wait(list(running), timeout=0.2) if running else _nothing():
                assert isinstance(news, Connection)  # noqa: S101  (nothing else is waited for)
                worker = running[news]
                if worker.listen(show):
                    continue
                del running[news]
                refusal = refusal or worker.refusal
                if worker.busy:
                    waiting.put(worker.name, after=1.0)
                elif worker.problem and not (stop() or refusal) and failed(worker.name, *worker.problem):
                    waiting.put(worker.name)
    finally:
        for worker in running.values():
            worker.process.kill()
    if refusal:
        raise refusal


class _Queue:
    """Names of jobs that are to be started, in order, some of them not before a certain time."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = [(0.0, name) for name in names]

    def __len__(self) -> int:
        return len(self._names)

    def put(self, name: str, after: float = 0.0) -> None:
        """Add a name, to be taken after so many seconds."""
        self._names.append((time.monotonic() + after, name))

    def take(self) -> str | None:
        """Take the first name whose time has come."""
        for place, (when, name) in enumerate(self._names):
            if when <= time.monotonic():
                del self._names[place]
                return name
        return None


def _nothing() -> list[Any]:
    time.sleep(0.1)
    return []


@dataclass
class _Worker:
    """A running process and what it has said of itself."""

    name: str
    process: BaseProcess
    news: Connection
    busy: bool = False
    refusal: DegrainError | None = None
    problem: tuple[str, str] | None = None
    asked: float = field(default=0.0)

    def listen(self, show: Callable[[str, Any], None]) -> bool:
        """Take one message; tell whether there may be more."""
        try:
            kind, content = self.news.recv()
        except (EOFError, OSError):
            self._end()
            return False
        if kind == "news":
            show(self.name, content)
        elif kind == "busy":
            self.busy = True
        elif kind == "refused":
            self.refusal = content
        else:
            self.problem = content
        return True

    def ask_to_stop(self) -> None:
        """Ask once, and insist when nothing comes of it."""
        if not self.asked:
            self.asked = time.monotonic()
            self.process.terminate()
        elif time.monotonic() - self.asked > PATIENCE:
            self.process.kill()

    def _end(self) -> None:
        self.process.join()
        self.news.close()
        code = self.process.exitcode
        if code and not self.problem:
            how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            hint = ", perhaps for want of memory" if code == -signal.SIGKILL else ""
            self.problem = f"its process was {how}{hint}" if code < 0 else f"its process {how}", ""


def _start(function: Job, name: str, jobs: Mapping[str, tuple[Any, ...]]) -> _Worker:
    context = _context()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(function, jobs[name], sender), name=name, daemon=True)
    process.start()
    # NOTE: while this process held the other end, the end of the worker would not be noticed.
    sender.close()
    return _Worker(name, process, receiver)


def _work(function: Job, arguments: tuple[Any, ...], sender: Connection) -> None:
    """What runs in the worker: it leaves Ctrl-C to its parent, stops when asked, and ends when the parent is gone."""
    variables.switch_off_telemetry()
    stop = Stop()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _: setattr(stop, "number", number))
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    # NOTE: news that nobody reads any more are no reason to fail.
    with suppress(BrokenPipeError):
        try:
            function(*arguments, lambda news: sender.send(("news", news)), stop)
        except Busy:
            sender.send(("busy", None))
        except Stopped:
            pass
        except DegrainError as error:
            sender.send(("refused", error))
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            sender.send(("failed", (reason, traceback.format_exc())))


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
