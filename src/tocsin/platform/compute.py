"""Many futures on one machine: a pure function over many inputs, in threads, for kernels that release the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from tocsin.vocabulary.errors import InputError, TocsinError, Unavailable

T = TypeVar("T")
R = TypeVar("R")


class LocalCompute:
    """Threads of this process; one future of a hazard per core scales better than two cores on one."""

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers if workers is not None else max(1, len(os.sched_getaffinity(0)))
        if self._workers < 1:
            raise InputError(f"compute: {workers} workers; wanted one or more")

    @property
    def workers(self) -> int:
        return self._workers

    def map(self, work: Callable[[T], R], items: Sequence[T], *, on_done: Callable[[int], None] | None = None) -> list[R]:
        """Results in the order of `items`, the same whatever the number of workers; `on_done` hears how many are finished.

        The first error stops the rest: a TocsinError as it is, anything else as Unavailable that names the item's number.
        """
        results: dict[int, R] = {}
        numbers = iter(range(len(items)))
        running: dict[Future[R], int] = {}
        with ThreadPoolExecutor(self._workers, thread_name_prefix="tocsin-compute") as pool:
            try:
                for number in numbers:  # no more are handed out than can run, so that stopping is quick
                    running[pool.submit(work, items[number])] = number
                    if len(running) >= self._workers:
                        break
                while running:
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        number = running.pop(future)
                        results[number] = _result(future, number)
                        if on_done is not None:
                            on_done(len(results))
                        if (following := next(numbers, None)) is not None:
                            running[pool.submit(work, items[following])] = following
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [results[number] for number in range(len(items))]


def _result(future: Future[R], number: int) -> R:
    try:
        return future.result()
    except TocsinError:
        raise
    except Exception as fault:
        raise Unavailable(f"compute: item {number} failed: {type(fault).__name__}: {fault}") from fault
