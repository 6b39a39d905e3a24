"""Work that a person asks of the running platform: in the background, told as it goes, stopped at any time, and kept when it is done.

Few run at once, because the automatic assessment must not wait for them; what is too much is refused and never queued behind one's back.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from tocsin.host import Clock
from tocsin.vocabulary import Conflict, NotFound, TocsinError, Unavailable

log = logging.getLogger(__name__)

RUNNING_MOST = 2
KEPT_MOST = 50
STOP_WITHIN_S = 10.0
Tell = Callable[[str, int, int], None]


class Job(msgspec.Struct, frozen=True):
    """Something that was asked for, by whom and when, how far it is, and what came of it: ids of records, suggested plans, or why it failed."""

    id: str
    kind: str
    asked: str
    by: str
    began: datetime
    state: Literal["running", "done", "failed", "cancelled"] = "running"
    task: str = ""
    done: int = 0
    total: int = 0
    ended: datetime | None = None
    why: str = ""
    result: Mapping[str, Any] = {}


class Stopped(Unavailable):
    """The job was cancelled, or the platform stops."""


class Work:
    """What a job is given: to tell how far it is, and to show what it has so far. Both raise Stopped where it was cancelled."""

    def __init__(self, tell: Tell, show: Callable[[Mapping[str, Any]], None]) -> None:
        self.tell, self.show = tell, show


class Jobs:
    """All jobs of this platform, the newest last; what is done is kept in a folder, a file each. Safe to use from several threads."""

    def __init__(self, folder: Path, clock: Clock, told: Callable[[Job], None]) -> None:
        self._folder, self._clock, self._told = folder, clock, told
        self._lock = threading.Lock()
        self._stop: dict[str, threading.Event] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._jobs = {job.id: job for job in _kept(folder)}
        self._numbers = itertools.count(max((int(i) for i in self._jobs), default=0) + 1)

    def all(self) -> list[Job]:
        """Every job that is known, newest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def find(self, job_id: str) -> Job:
        """One job; raises NotFound."""
        with self._lock:
            if job_id not in self._jobs:
                raise NotFound(f"no job {job_id!r}; the newest {KEPT_MOST} are kept")
            return self._jobs[job_id]

    def check_room(self) -> None:
        """Raise Conflict where as many run as may."""
        with self._lock:
            running = [job for job in self._jobs.values() if job.state == "running"]
        if len(running) >= RUNNING_MOST:
            told = "; ".join(f"{job.id}: {job.kind} of {job.by}, {job.done} of {job.total}" for job in running)
            raise Conflict(f"{RUNNING_MOST} jobs are running ({told}); wait for one, or cancel it")

    def start(self, kind: str, asked: str, by: str, work: Callable[[Work], Mapping[str, Any]]) -> Job:
        """Begin; `work` says what came of it. Raises Conflict where as many run as may."""
        self.check_room()
        with self._lock:
            job = Job(str(next(self._numbers)), kind, asked, by, self._clock.now())
            self._jobs[job.id] = job
            self._stop[job.id] = threading.Event()
            thread = threading.Thread(target=self._run, args=(job.id, work), name=f"tocsin-job-{job.id}", daemon=True)
            self._threads[job.id] = thread
        self._told(job)
        thread.start()
        return job

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop at its next step; raises NotFound, or Conflict where it is over."""
        job = self.find(job_id)
        if job.state != "running":
            raise Conflict(f"job {job_id}: is {job.state}; only a running one can be cancelled")
        self._stop[job_id].set()
        return job

    def close(self) -> None:
        """Stop all that runs; returns when it has ended, or after a while."""
        for stop in list(self._stop.values()):
            stop.set()
        for thread in list(self._threads.values()):
            thread.join(STOP_WITHIN_S)

    def _run(self, job_id: str, work: Callable[[Work], Mapping[str, Any]]) -> None:
        stop = self._stop[job_id]

        def tell(task: str, done: int, total: int) -> None:
            if stop.is_set():
                raise Stopped(f"job {job_id}: was cancelled")
            self._change(job_id, task=task, done=done, total=total)

        def show(result: Mapping[str, Any]) -> None:
            if stop.is_set():
                raise Stopped(f"job {job_id}: was cancelled")
            self._change(job_id, result=result)

        try:
            end: dict[str, Any] = {"state": "done", "result": work(Work(tell, show))}
        except Stopped:
            end = {"state": "cancelled"}
        except TocsinError as fault:
            end = {"state": "failed", "why": str(fault)}
        except Exception as fault:  # a bug of ours ends this job, and is told; the platform goes on
            log.exception("job_failed", extra={"job": job_id})
            end = {"state": "failed", "why": f"this is a bug of Tocsin; its log says more: {type(fault).__name__}"}
        end["ended"] = self._clock.now()
        self._keep(msgspec.structs.replace(self.find(job_id), **end))
        self._change(job_id, **end)
        with self._lock:
            del self._stop[job_id], self._threads[job_id]

    def _change(self, job_id: str, **fields: Any) -> None:
        with self._lock:
            job = self._jobs[job_id] = msgspec.structs.replace(self._jobs[job_id], **fields)
        self._told(job)

    def _keep(self, job: Job) -> None:
        """Write a finished job down; what the disk does not take is told and not kept: its records are in the ledger."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished = self._folder / f".{job.id}.unfinished"
            unfinished.write_bytes(msgspec.json.encode(job))
            unfinished.rename(self._folder / f"{job.id}.json")
        except OSError as fault:
            log.warning("job_not_kept", extra={"job": job.id, "reason": str(fault)})
        with self._lock:
            over = [i for i, one in self._jobs.items() if one.state != "running"][
                : 1 - KEPT_MOST
            ]  # with this one they are as many as are kept
            for old in over:
                del self._jobs[old]
        for old in over:
            (self._folder / f"{old}.json").unlink(missing_ok=True)


def _kept(folder: Path) -> list[Job]:
    """The jobs that were done before, oldest first; a file that cannot be read is none."""
    found = []
    for path in folder.glob("[0-9]*.json"):
        try:
            job = msgspec.json.decode(path.read_bytes(), type=Job)
        except (OSError, msgspec.MsgspecError) as fault:
            log.warning("job_not_read", extra={"file": str(path), "reason": str(fault)})
            continue
        if job.id == path.stem and job.id.isascii() and job.id.isdigit():
            found.append(job)
    return sorted(found, key=lambda job: int(job.id))
