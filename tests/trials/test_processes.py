"""Jobs in processes of their own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from degrain.errors import OutputError
from degrain.trials import processes
from degrain.trials.ledger import Busy

Tell = Callable[[Any], None]
Stopping = Callable[[], bool]


def refused(*_: Any) -> bool:
    raise AssertionError("nothing was to fail")


def greeting(word: str, tell: Tell, _: Stopping) -> None:
    tell(word)
    tell(os.getpid())


def test_each_job_has_a_process_of_its_own_and_its_news_come_in_order() -> None:
    news: dict[str, list[Any]] = {"a": [], "b": [], "c": []}
    processes.run(greeting, {name: (name * 2,) for name in news}, 2, lambda name, new: news[name].append(new), refused)
    assert [news[name][0] for name in news] == ["aa", "bb", "cc"]
    assert len({os.getpid(), *(new[1] for new in news.values())}) == 4


def failing(how: str, tell: Tell, _: Stopping) -> None:
    tell("begun")
    if how == "raises":
        raise ValueError("a bug\nof two lines")
    if how == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "exits":
        os._exit(3)


def test_what_fails_is_reported_and_run_again_when_that_is_asked_for() -> None:
    failures: list[tuple[str, str]] = []

    def failed(name: str, reason: str, _trace: str) -> bool:
        failures.append((name, reason))
        return len([one for one, _ in failures if one == name]) < 2

    news: list[str] = []
    jobs = {name: (name,) for name in ("is fine", "raises", "is killed", "exits")}
    processes.run(failing, jobs, 2, lambda name, _: news.append(name), failed)
    expected = {
        "exits": "its process ended with exit code 3",
        "is killed": "its process was killed by SIGKILL, perhaps for want of memory",
        "raises": "ValueError: a bug of two lines",
    }
    assert sorted(failures) == sorted(2 * list(expected.items()))
    assert sorted(news) == ["exits", "exits", "is fine", "is killed", "is killed", "raises", "raises"]


def patient(tell: Tell, stopping: Stopping) -> None:
    tell("begun")
    while not stopping():
        time.sleep(0.01)
    tell("saved")


def test_jobs_that_are_asked_to_stop_may_save_first() -> None:
    news: list[str] = []
    stop = processes.Stop()

    def show(_name: str, new: str) -> None:
        news.append(new)
        stop.number = signal.SIGTERM

    processes.run(patient, {"a": (), "never started": ()}, 1, show, refused, stop)
    assert news == ["begun", "saved"]


def deaf(tell: Tell, _: Stopping) -> None:
    tell("begun")
    time.sleep(60)


def test_jobs_that_do_not_stop_are_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PATIENCE", 0.3)
    stop = processes.Stop()
    began = time.monotonic()
    processes.run(deaf, {"a": ()}, 1, lambda *_: setattr(stop, "number", 15), refused, stop)
    assert time.monotonic() - began < 50


def busy_at_first(marks: str, tell: Tell, _: Stopping) -> None:
    with open(marks, "a+") as file:  # noqa: PTH123
        file.write("x")
        file.seek(0)
        if len(file.read()) < 3:
            raise Busy
    tell("done")


def test_busy_jobs_are_run_again_later(tmp_path: Any) -> None:
    news: list[str] = []
    processes.run(busy_at_first, {"a": (str(tmp_path / "marks"),)}, 1, lambda _, new: news.append(new), refused)
    assert news == ["done"]
    assert (tmp_path / "marks").read_text() == "xxx"


def out_of_disk(tell: Tell, stopping: Stopping, name: str = "") -> None:
    raise OutputError("cannot write x: no space left on device")


def test_an_error_that_concerns_everybody_ends_all() -> None:
    with pytest.raises(OutputError, match="no space left"):
        processes.run(out_of_disk, {str(i): () for i in range(9)}, 2, lambda *_: None, refused)


def test_a_second_interrupt_does_not_wait() -> None:
    before = signal.getsignal(signal.SIGINT)
    with processes.stoppable() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
