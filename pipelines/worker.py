"""What takes runs of a pool: Prefect's process worker, kept from a fault that ends it."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from prefect.logging.configuration import setup_logging
from prefect.utilities.processutils import setup_signal_handlers_worker
from prefect.workers.process import ProcessWorker


async def take(pool: str, limit: int, name: str) -> None:
    """Take runs of a pool until SIGINT or SIGTERM.

    Args:
        pool: Of which pool.
        limit: How many at once.
        name: Of the worker.
    """
    setup_logging()
    setup_signal_handlers_worker(os.getpid(), "the process worker", print)
    worker = ProcessWorker(work_pool_name=pool, limit=limit, name=name, create_pool_if_not_found=False)
    leave_held(worker)
    await worker.start(printer=print)


def leave_held(worker: ProcessWorker) -> None:
    """Have a worker leave a run whose slot it still holds for the next time it asks.

    A suspended run gives its slot back when its process has ended, a few seconds later. If a person answers sooner, the
    run is due again while the slot is held, and Prefect's worker (3.8) ends with an error of the slot.
    """
    ask = worker._get_scheduled_flow_runs

    async def asked() -> list[Any]:
        due = await ask()
        held = worker.limiter.statistics().borrowers
        return [response for response in due if response.flow_run.id not in held]

    worker._get_scheduled_flow_runs = asked  # type: ignore[method-assign]


if __name__ == "__main__":
    asyncio.run(take(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
