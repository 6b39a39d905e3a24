"""A Dask cluster by its scheduler's address: the same work as here, on other machines. A worker that dies costs its tasks only."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import CancelledError
from importlib import import_module
from typing import Any, TypeVar

from tocsin import __version__
from tocsin.host import Fault
from tocsin.platform.compute import LocalCompute
from tocsin.platform.handing_out import Batch, Done, Ran, WorkerLost, drive, run_batch
from tocsin.vocabulary.errors import InputError, Unavailable

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")

CONNECT_S = 10.0
AHEAD = 2  # tasks for each thread: one that runs and one that waits, so that no worker waits for the scheduler
NOBODY_S = 60.0  # so long may a cluster be without any worker before it is given up


class DaskCompute(LocalCompute):
    """The workers of a Dask scheduler. `map`, which takes any function, stays on this machine."""

    def __init__(self, address: str) -> None:
        try:
            distributed: Any = import_module("distributed")
        except ImportError as fault:
            raise Unavailable(
                f"compute {address}: Dask is not installed here; `python -m pip install 'tocsin[dask]'`, or take --compute threads"
            ) from fault
        self._killed: type[Exception] = distributed.KilledWorker
        try:
            self._client: Any = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as fault:
            raise Unavailable(
                f"compute {address}: no Dask scheduler answers there: {fault}; start one, or take threads"
            ) from fault
        self.address = address
        try:
            self._check()
        except BaseException:
            self._client.close()
            raise
        super().__init__(max(1, sum(self._threads().values())))

    @property
    def workers(self) -> int:
        return max(1, sum(self._threads().values()))

    def close(self) -> None:
        """Leave the cluster; it stays."""
        self._client.close()

    def each(self, work: Callable[[S, T], R], shared: S, items: Iterable[T]) -> Generator[tuple[int, R | Fault], None, None]:
        """(number, result) as they are finished; see `tocsin.host.Compute`."""
        out: set[Any] = set()
        sent = self._send(shared)
        seen_s = time.monotonic()

        def hand_out(batch: Batch[T], done: Done) -> None:
            nonlocal sent
            if sent.status != "finished":  # all who had it are gone
                sent = self._send(shared)
            running = self._client.submit(run_batch, work, sent, batch.items, pure=False)
            out.add(running)
            running.add_done_callback(lambda future: done(batch, lambda: self._result(future, batch, out)))

        def look() -> None:
            nonlocal seen_s
            if self._client.status != "running":
                raise Unavailable(
                    f"compute {self.address}: the Dask scheduler is gone; start it again, or take --compute threads"
                )
            if self._threads():
                seen_s = time.monotonic()
            elif time.monotonic() - seen_s > NOBODY_S:
                raise Unavailable(
                    f"compute {self.address}: no worker for {NOBODY_S:.0f} s; start some, or take --compute threads"
                )

        try:
            yield from drive(hand_out, items, slots=AHEAD * self.workers, in_batches=True, look=look)
        finally:
            if out and self._client.status == "running":
                self._client.cancel(list(out), force=True)

    def _send(self, shared: S) -> Any:
        """Put what all tasks share on every worker, once for each call."""
        try:
            return self._client.scatter([shared], broadcast=True, hash=False, timeout=NOBODY_S)[0]
        except TypeError as fault:
            raise InputError(f"compute: what is to be sent to the cluster cannot be: {fault}; take --compute threads") from fault
        except Exception as fault:  # Dask has no error of its own for a cluster that does not take it
            raise Unavailable(f"compute {self.address}: the workers do not take the world: {fault}") from fault

    def _result(self, future: Any, batch: Batch[Any], out: set[Any]) -> Ran:
        out.discard(future)
        try:
            ran: Ran = future.result()
        except self._killed as fault:  # the scheduler has tried it on several workers already
            if len(batch.items) == 1:
                return Ran((Fault(Unavailable(f"every worker that had it died: {fault}")),), 0.0)
            raise WorkerLost(str(fault)) from fault
        except (CancelledError, OSError) as fault:  # the world or the result was on a worker that is gone
            raise WorkerLost(str(fault)) from fault
        return ran

    def _threads(self) -> dict[str, int]:
        """How many threads each worker has."""
        return dict(self._client.nthreads())

    def _check(self) -> None:
        """Raise Unavailable where there is nobody, or somebody has another version: its answers could differ."""
        if not self._threads():
            raise Unavailable(f"compute {self.address}: the scheduler has no workers; start some: dask worker {self.address}")
        for worker, version in self._client.run(_version, on_error="return").items():
            if version != __version__:
                raise Unavailable(
                    f"compute {self.address}: worker {worker} has Tocsin {version}, here is {__version__}; install the same"
                )


def _version() -> str:
    return __version__
