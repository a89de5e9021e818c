"""A worker and a run that is resumed before its process has ended."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import anyio
import pytest
from prefect.workers.process import ProcessWorker

from pipelines import worker as workers


def test_a_run_whose_slot_is_held_is_left_for_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    resumed, other = uuid4(), uuid4()

    async def due(_: ProcessWorker) -> list[Any]:
        return [SimpleNamespace(flow_run=SimpleNamespace(id=run)) for run in (resumed, other)]

    async def asked(worker: ProcessWorker) -> list[UUID]:
        return [response.flow_run.id for response in await worker._get_scheduled_flow_runs()]

    async def main() -> None:
        worker = ProcessWorker(work_pool_name="cpu")
        workers.leave_held(worker)
        worker._limiter = anyio.CapacityLimiter(2)
        assert await asked(worker) == [resumed, other]
        worker.limiter.acquire_on_behalf_of_nowait(resumed)
        assert await asked(worker) == [other]
        worker.limiter.release_on_behalf_of(resumed)
        assert await asked(worker) == [resumed, other]

    monkeypatch.setattr(ProcessWorker, "_get_scheduled_flow_runs", due)
    anyio.run(main)
