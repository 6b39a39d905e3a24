"""Jobs that a person asks for: told as they go, stopped at any time, few at once, and kept."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tocsin.flows.jobs import KEPT_MOST, RUNNING_MOST, Job, Jobs, Work
from tocsin.testing.memory import TestHost
from tocsin.vocabulary import Conflict, InputError, NotFound

PATIENCE_S = 20.0


class Place:
    def __init__(self, folder: Path) -> None:
        self.told: list[Job] = []
        self.over = threading.Semaphore(0)
        self.jobs = Jobs(folder, TestHost().clock, self._told)

    def _told(self, job: Job) -> None:
        self.told.append(job)
        if job.state != "running":
            self.over.release()

    def wait(self) -> None:
        assert self.over.acquire(timeout=PATIENCE_S)


def test_a_job_tells_how_far_it_is_and_what_came_of_it(tmp_path: Path) -> None:
    place = Place(tmp_path / "jobs")

    def work(job: Work) -> dict[str, int]:
        job.tell("counting", 1, 2)
        job.show({"so_far": 1})
        return {"sum": 2}

    job = place.jobs.start("count", "to two", "ada", work)
    place.wait()
    done = place.jobs.find(job.id)
    assert (done.state, done.result, done.by, done.ended is not None) == ("done", {"sum": 2}, "ada", True)
    assert [(j.task, j.done, dict(j.result)) for j in place.told] == [
        ("", 0, {}),
        ("counting", 1, {}),
        ("counting", 1, {"so_far": 1}),
        ("counting", 1, {"sum": 2}),
    ]


def endless(begun: threading.Event) -> object:
    def work(job: Work) -> dict[str, int]:
        begun.set()
        while True:
            job.tell("waiting", 0, 1)

    return work


def test_a_job_that_is_cancelled_stops_at_its_next_step_and_a_second_time_is_refused(tmp_path: Path) -> None:
    place, begun = Place(tmp_path / "jobs"), threading.Event()
    job = place.jobs.start("wait", "for ever", "ada", endless(begun))  # type: ignore[arg-type]
    assert begun.wait(PATIENCE_S)
    place.jobs.cancel(job.id)
    place.wait()
    assert place.jobs.find(job.id).state == "cancelled"
    with pytest.raises(Conflict, match="is cancelled"):
        place.jobs.cancel(job.id)
    with pytest.raises(NotFound):
        place.jobs.cancel("99")


def test_no_more_than_a_few_run_at_once_and_the_next_is_told_which(tmp_path: Path) -> None:
    place = Place(tmp_path / "jobs")
    for _ in range(RUNNING_MOST):
        begun = threading.Event()
        place.jobs.start("wait", "for ever", "ada", endless(begun))  # type: ignore[arg-type]
        assert begun.wait(PATIENCE_S)
    with pytest.raises(Conflict, match="1: wait of ada"):
        place.jobs.start("wait", "one more", "bob", endless(threading.Event()))  # type: ignore[arg-type]
    place.jobs.close()
    assert {job.state for job in place.jobs.all()} == {"cancelled"}
    assert len(place.jobs.all()) == RUNNING_MOST


def test_a_fault_is_told_and_a_bug_ends_its_own_job_only(tmp_path: Path) -> None:
    place = Place(tmp_path / "jobs")

    def refused(_job: Work) -> dict[str, int]:
        raise InputError("no such water; there are: lake")

    def broken(_job: Work) -> dict[str, int]:
        raise ZeroDivisionError

    for work in (refused, broken):
        place.jobs.start("try", "it", "ada", work)
        place.wait()
    bug, fault = place.jobs.all()
    assert (fault.state, fault.why) == ("failed", "no such water; there are: lake")
    assert bug.state == "failed"
    assert "bug of Tocsin" in bug.why


def test_what_is_done_is_known_after_a_restart_and_the_oldest_go(tmp_path: Path) -> None:
    folder = tmp_path / "jobs"
    place = Place(folder)
    for n in range(KEPT_MOST + 2):
        place.jobs.start("count", str(n), "ada", lambda _job: {})
        place.wait()
        place.jobs.close()
    (folder / "7.json").write_text("{")  # a file that was damaged is no job, and stops nothing
    again = Place(folder)
    told = [job.asked for job in again.jobs.all()]
    assert told == [str(n) for n in range(KEPT_MOST + 1, 1, -1) if n != 6]
    job = again.jobs.start("count", "on", "ada", lambda _job: {})
    assert int(job.id) == KEPT_MOST + 3
    again.wait()
    again.jobs.close()
