"""A worker runs a stage only while somebody waits for it."""

from __future__ import annotations

import logging
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Cancelling, Completed, Crashed, Failed, Pending, Running

from pipelines import pools, run_stage
from tests.conftest import Project


class Client:
    """Of a server that gives a run a state, or raises."""

    def __init__(self, told: State[Any] | Exception) -> None:
        self._told = told

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None: ...

    def read_flow_run(self, _: object) -> Client:
        if isinstance(self._told, Exception):
            raise self._told
        return self

    @property
    def state(self) -> State[Any] | Exception:
        return self._told


@pytest.mark.parametrize(
    ("told", "over"),
    [
        (Running(), False),
        (Pending(), False),
        (Completed(), True),
        (Failed(), True),
        (Cancelled(), True),
        (Cancelling(), True),
        (Crashed(), True),
        (ObjectNotFound(Exception()), True),
        (httpx.ConnectError("away"), False),
    ],
)
def test_a_conductor_is_over_when_its_run_has_ended(
    monkeypatch: pytest.MonkeyPatch, told: State[Any] | Exception, over: bool
) -> None:
    monkeypatch.setattr(run_stage, "get_client", lambda **_: Client(told))
    monkeypatch.setattr(pools, "is_dead", lambda *_: True)
    assert run_stage._is_over(str(uuid4()), lambda: False) is over


def test_a_stage_that_nobody_waits_for_is_not_begun(monkeypatch: pytest.MonkeyPatch, small: Project) -> None:
    monkeypatch.setenv("DEGRAIN_PROJECT", str(small.folder))
    monkeypatch.setattr(run_stage, "get_client", lambda **_: Client(Completed()))
    monkeypatch.setattr(run_stage, "get_run_logger", logging.getLogger)
    ended = run_stage.run_stage.fn("made", "1" * 40, "refs/degrain/runs/r/made", str(uuid4()))
    assert ended.is_cancelled()
