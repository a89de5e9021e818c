"""Work on all cores, results in order, and never more of them in memory than there are cores."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from degrain.machine import compute

Item = TypeVar("Item")
Result = TypeVar("Result")


# Of images with fewer pixels so little is work outside Python's lock that two threads are slower than one.
TINY = 128 * 128


def threads_for(pixels: int) -> int:
    """Return how many threads are fastest for decoding images of so many pixels."""
    return 1 if pixels < TINY else compute.threads()


def ordered(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield work(item) for each item, in order, computed in threads that run at most one item ahead.

    Args:
        work: Called in threads. What it spends its time in should release the GIL, as decoders and NumPy do.
        items: Taken one by one, as there is room.
        threads: How many.

    Raises:
        Whatever work raises, when its turn comes; items after it may have been worked on.
    """
    if threads == 1:
        yield from map(work, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
