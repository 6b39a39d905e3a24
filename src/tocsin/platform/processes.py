"""Processes of this machine, for models that hold the interpreter's lock. Each is its own pool, so that one that dies costs its tasks only."""

from __future__ import annotations

import itertools
import multiprocessing
import pickle
import signal
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from tocsin.host import Fault
from tocsin.platform.compute import LocalCompute
from tocsin.platform.handing_out import Batch, Done, Ran, WorkerLost, drive, run_batch
from tocsin.vocabulary.errors import InputError

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")

WORLDS_KEPT = 2

_worlds: dict[int, Any] = {}  # in a worker: what was sent to it once, by number, the latest few


class ProcessCompute(LocalCompute):
    """Spawned processes that stay between calls. `close` ends them."""

    def __init__(self, workers: int | None = None) -> None:
        super().__init__(workers)
        self._staff = [_Worker() for _ in range(self.workers)]
        self._numbers = itertools.count()

    def close(self) -> None:
        """End the processes; what runs in them is given up."""
        for worker in self._staff:
            worker.end()

    def each(self, work: Callable[[S, T], R], shared: S, items: Iterable[T]) -> Generator[tuple[int, R | Fault], None, None]:
        """(number, result) as they are finished; see `tocsin.host.Compute`."""
        number, packed = next(self._numbers), _packed(work, shared)
        out: set[Future[Any]] = set()

        def hand_out(batch: Batch[T], done: Done) -> None:
            worker = min(
                self._staff, key=lambda w: w.out
            )  # one batch each: a batch that waited behind a killer would be charged with it
            running = worker.submit(number, packed, batch.items)
            out.add(running)

            def ended(future: Future[Any]) -> None:
                worker.out -= 1
                out.discard(future)
                if not future.cancelled():
                    done(batch, lambda: _result(future))

            running.add_done_callback(ended)

        try:
            yield from drive(hand_out, items, slots=self.workers, in_batches=True)
        finally:
            for running in tuple(out):
                running.cancel()


class _Worker:
    """One process, started when it is first needed and again when it has died."""

    def __init__(self) -> None:
        self.out = 0
        self._pool: ProcessPoolExecutor | None = None
        self._has: set[int] = set()

    def submit(self, number: int, packed: bytes, items: tuple[Any, ...]) -> Future[Any]:
        """Send a batch, and with the first of a call what all of them share."""
        for _ in range(2):
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._pool, self._has = ProcessPoolExecutor(1, mp_context=context, initializer=_begin), set()
            try:
                future = self._pool.submit(_run, number, None if number in self._has else packed, items)
                break
            except (BrokenProcessPool, RuntimeError):  # it died since; a new one begins
                self._pool = None
        else:
            raise InputError("compute: a process cannot be started; take --compute threads")
        self._has = {n for n in self._has if n > number - WORLDS_KEPT} | {number}
        self.out += 1
        return future

    def end(self) -> None:
        """Stop the process at once."""
        if self._pool is not None:
            processes = list((self._pool._processes or {}).values())
            self._pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
            for process in processes:
                process.join(5.0)
            self._pool = None


def _packed(work: Callable[..., Any], shared: object) -> bytes:
    try:
        return pickle.dumps((work, shared), protocol=5)
    except (pickle.PicklingError, AttributeError, TypeError) as fault:
        raise InputError(
            f"compute: what is to be sent to another process cannot be: {fault}; wanted a function of a module, or take --compute threads"
        ) from fault


def _result(future: Future[Ran]) -> Ran:
    try:
        return future.result()
    except BrokenProcessPool as fault:
        raise WorkerLost(str(fault)) from fault


# -- what runs in a worker -------------------------------------------------------------------------------------------------


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to hear: it ends its workers itself


def _run(number: int, packed: bytes | None, items: tuple[Any, ...]) -> Ran:
    if packed is not None:
        _worlds[number] = pickle.loads(packed)
        for old in [n for n in _worlds if n <= number - WORLDS_KEPT]:
            del _worlds[old]
    work, shared = _worlds[number]
    return run_batch(work, shared, items)
