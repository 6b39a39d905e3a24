"""Many futures at once: a pure function over many inputs, in threads, in processes, or on a Dask cluster, by one setting."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from tocsin.host import Fault
from tocsin.platform.handing_out import Batch, Done, drive, run_batch
from tocsin.vocabulary.errors import InputError, TocsinError, Unavailable

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")

SETTINGS = "threads, processes, or a Dask scheduler's address such as tcp://10.0.0.5:8786"


def open_compute(setting: str = "threads", *, workers: int | None = None) -> LocalCompute:
    """Where futures are computed: "threads", "processes", or the address of a Dask scheduler (tcp:// or tls://). Close it in the end.

    Raises InputError for another word, and Unavailable where the scheduler does not answer or Dask is not installed.
    """
    if setting == "threads":
        return LocalCompute(workers)
    if setting == "processes":
        from tocsin.platform.processes import ProcessCompute

        return ProcessCompute(workers)
    if setting.partition("://")[0] in ("tcp", "tls", "ucx"):
        from tocsin.platform.dask import DaskCompute

        return DaskCompute(setting)
    raise InputError(f"compute {setting!r}; wanted {SETTINGS}")


def cores() -> int:
    """The cores that this process may use."""
    return max(1, len(os.sched_getaffinity(0)))


class LocalCompute:
    """Threads of this process; one future of a hazard per core scales better than two cores on one."""

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers if workers is not None else cores()
        if self._workers < 1:
            raise InputError(f"compute: {workers} workers; wanted one or more")

    @property
    def workers(self) -> int:
        return self._workers

    def close(self) -> None:
        """Let go of what is held between calls: nothing, with threads."""

    def __enter__(self) -> LocalCompute:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def each(self, work: Callable[[S, T], R], shared: S, items: Iterable[T]) -> Generator[tuple[int, R | Fault], None, None]:
        """(number, result) as they are finished; see `tocsin.host.Compute`."""
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="tocsin-compute")

        def hand_out(batch: Batch[T], done: Done) -> None:
            running = pool.submit(run_batch, work, shared, batch.items)
            running.add_done_callback(lambda f: None if f.cancelled() else done(batch, f.result))

        try:
            yield from drive(hand_out, items, slots=self._workers + 1, in_batches=False)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def map(self, work: Callable[[T], R], items: Sequence[T], *, on_done: Callable[[int], None] | None = None) -> list[R]:
        """Results in the order of `items`, the same whatever the number of workers; `on_done` hears how many are finished.

        The first error stops the rest: a TocsinError as it is, anything else as Unavailable that names the item's number.
        """
        results: dict[int, R] = {}
        numbers = iter(range(len(items)))
        running: dict[Future[R], int] = {}
        with ThreadPoolExecutor(max(1, min(self._workers, cores())), thread_name_prefix="tocsin-compute") as pool:
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
