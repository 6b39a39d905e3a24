"""The bus: what happens is told to those who listen now, from any thread, and nobody who listens slowly holds up the rest."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

QUEUE_LENGTH = 1_000
END = "end"  # the last event: the platform stops

Event = tuple[str, Any]  # kind, data


class Bus:
    """Listeners of one process. A listener that falls QUEUE_LENGTH events behind loses the oldest and hears `lost` first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[tuple[asyncio.AbstractEventLoop, asyncio.Queue[Event]]] = []

    def tell(self, kind: str, data: Any) -> None:
        """Tell all listeners; may be called from any thread, never waits."""
        with self._lock:
            listeners = list(self._listeners)
        for loop, queue in listeners:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_offer, queue, (kind, data))

    @contextmanager
    def listen(self) -> Iterator[asyncio.Queue[Event]]:
        """A queue of what is told from now on; call it inside a running event loop."""
        listener = (asyncio.get_running_loop(), asyncio.Queue[Event](QUEUE_LENGTH))
        with self._lock:
            self._listeners.append(listener)
        try:
            yield listener[1]
        finally:
            with self._lock:
                self._listeners.remove(listener)


def _offer(queue: asyncio.Queue[Event], event: Event) -> None:
    if queue.full():
        queue.get_nowait()
        queue.get_nowait()
        queue.put_nowait(("lost", {}))
    queue.put_nowait(event)
