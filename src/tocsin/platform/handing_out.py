"""Work is handed out a second's worth at a time, no more than can soon run; what a dead worker had is handed out again, a few times."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

import msgspec

from tocsin.host import Fault
from tocsin.vocabulary.errors import TocsinError, Unavailable

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")

TASK_S = 1.0  # a Dask task costs some 3 ms and a process's some 0.3 ms: a second of work makes both small
ATTEMPTS = 3  # of an item whose worker dies; a third death is the item's own doing
LOOK_EVERY_S = 5.0
BATCH_MOST = 1_000


class WorkerLost(Exception):
    """The worker that had a batch is gone; the batch may be tried again."""


class Batch(msgspec.Struct, Generic[T], frozen=True):
    """Items that go to one worker together, by number, and how often they were handed out before."""

    numbers: tuple[int, ...]
    items: tuple[T, ...]
    before: int = 0


class Ran(msgspec.Struct, frozen=True):
    """What came of a batch, item by item, and how long it took."""

    results: tuple[Any, ...]
    seconds: float


Done = Callable[[Batch[Any], Callable[[], Ran]], None]


def run_batch(work: Callable[[S, T], R], shared: S, items: Sequence[T]) -> Ran:
    """Work through a batch, wherever this runs. An error belongs to its item, and the others go on."""
    began = time.perf_counter()
    return Ran(tuple(_try(work, shared, item) for item in items), time.perf_counter() - began)


def _try(work: Callable[[S, T], R], shared: S, item: T) -> R | Fault:
    try:
        return work(shared, item)
    except TocsinError as fault:
        return Fault(fault)
    except Exception as fault:  # whatever a model does wrong is told with its item, and stops no other
        return Fault(Unavailable(f"{type(fault).__name__}: {fault}"))


def drive(
    hand_out: Callable[[Batch[T], Done], None],
    items: Iterable[T],
    *,
    slots: int,
    in_batches: bool,
    look: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, Any]]:
    """Hand out batches such that `slots` of them are out, and yield what comes back.

    `hand_out` says of each batch when it is done, from any thread, and how to get its result, which raises WorkerLost where there is none.
    `look` is called now and then while nothing comes, and raises where nothing ever will.
    """
    queue: SimpleQueue[tuple[Batch[T], Callable[[], Ran]]] = SimpleQueue()
    again: deque[Batch[T]] = deque()
    source, size, out = _batches(items), 1, 0
    item_s: float | None = None
    next(source)
    while True:
        while out < slots:
            batch = again.popleft() if again else source.send(size)
            if batch is None:
                break
            hand_out(batch, lambda *told: queue.put(told))
            out += 1
        if not out:
            return
        try:
            batch, result = queue.get(timeout=LOOK_EVERY_S)
        except Empty:
            look()
            continue
        out -= 1
        try:
            ran = result()
        except WorkerLost as lost:
            if batch.before + 1 < ATTEMPTS:  # each by itself, so that one that kills its worker takes no other with it
                again.extend(Batch((n,), (i,), batch.before + 1) for n, i in zip(batch.numbers, batch.items, strict=True))
                continue
            told = Fault(Unavailable(f"its worker died {ATTEMPTS} times: {lost}"))
            ran = Ran((told,) * len(batch.numbers), 0.0)
        else:
            spent = ran.seconds / len(batch.numbers)
            item_s = spent if item_s is None else 0.7 * item_s + 0.3 * spent
            size = 1 if not in_batches else min(BATCH_MOST, max(1, round(TASK_S / max(item_s, 1e-9))))
        yield from zip(batch.numbers, ran.results, strict=True)


def _batches(items: Iterable[T]) -> Any:
    """A generator that is sent a size and gives a batch of at most so many items, None where there are no more."""
    numbered = enumerate(items)
    batch: Batch[T] | None = None
    while True:
        size = yield batch
        taken = []
        for pair in numbered:
            taken.append(pair)
            if len(taken) >= size:
                break
        batch = Batch(tuple(n for n, _ in taken), tuple(i for _, i in taken)) if taken else None
