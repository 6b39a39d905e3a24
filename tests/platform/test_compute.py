"""Threads, processes and a Dask cluster give the same answer bit for bit, and a worker that dies costs its tasks only."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tocsin.decision.futures import foresee
from tocsin.host import Fault
from tocsin.pack import Scenario, Spread, find_pack
from tocsin.platform.compute import LocalCompute, open_compute
from tocsin.platform.handing_out import ATTEMPTS, Batch, Ran, WorkerLost, drive
from tocsin.platform.processes import ProcessCompute
from tocsin.testing.memory import OneByOne
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import InputError, Series, Unavailable

MODEL = find_pack("flood").models[0]
SCENARIO = Scenario(
    1800.0,
    9,
    3,
    {"rain_factor": Spread(0.5, 1.0, 2.0), "manning_factor": Spread(0.7, 1.0, 1.5)},
    {"rain": Series.constant(60.0), "level@lake": Series.constant(0.5)},
)


# -- work for other processes: functions of a module that a worker can import ------------------------------------------------


def double(shared: int, item: int) -> int:
    return shared * item


def break_on_three(shared: str, item: int) -> int:
    if item == 3:
        raise ZeroDivisionError(shared)
    if item == 4:
        raise InputError("four is no number")
    return item


def die_once(shared: str, item: int) -> int:
    """The first worker that has item 2 is killed; whoever has it next is not."""
    mark = Path(shared)
    if item == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def always_die(shared: int, item: int) -> int:
    if item == shared:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def who(shared: bytes, item: int) -> int:
    time.sleep(0.05)
    return os.getpid()


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessCompute]:
    with ProcessCompute(2) as compute:
        yield compute


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A real Dask cluster: a scheduler, and two workers that are processes of their own and are started again when they die."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            worker_dashboard_address=None,
        ) as cluster,
    ):
        yield cluster.scheduler_address


def answers(compute: LocalCompute | OneByOne, work: object, shared: object, items: object) -> dict[int, object]:
    return dict(compute.each(work, shared, items))  # type: ignore[arg-type]


def test_results_come_with_the_number_of_their_item(processes: ProcessCompute) -> None:
    wanted = {n: 3 * n for n in range(50)}
    assert answers(LocalCompute(2), double, 3, range(50)) == wanted
    assert answers(processes, double, 3, range(50)) == wanted
    assert answers(OneByOne(), double, 3, range(50)) == wanted


def test_an_error_belongs_to_its_item_and_stops_no_other(processes: ProcessCompute) -> None:
    for compute in (LocalCompute(2), processes):
        came = answers(compute, break_on_three, "by nought", range(6))
        three, four = came.pop(3), came.pop(4)
        assert came == {0: 0, 1: 1, 2: 2, 5: 5}
        assert isinstance(three, Fault)
        assert isinstance(three.error, Unavailable)
        assert "ZeroDivisionError: by nought" in str(three.error)
        assert isinstance(four, Fault)
        assert isinstance(four.error, InputError)


def test_items_are_asked_for_only_when_a_worker_can_have_them() -> None:
    given: list[int] = []

    def items() -> Iterator[int]:
        for n in range(100):
            given.append(n)
            yield n

    most = 0
    for done, _ in enumerate(LocalCompute(2).each(double, 1, items()), 1):
        most = max(most, len(given) - done)
    assert most <= 3  # two that run and one that waits
    assert len(given) == 100


def test_closing_the_iterator_begins_nothing_more() -> None:
    given: list[int] = []
    runs = LocalCompute(2).each(double, 1, (given.append(n) or n for n in range(10_000)))
    next(runs)
    runs.close()
    time.sleep(0.05)
    assert len(given) < 10


def test_a_process_that_dies_costs_its_tasks_only_and_they_are_run_again(processes: ProcessCompute, tmp_path: Path) -> None:
    assert answers(processes, die_once, str(tmp_path / "mark"), range(12)) == {n: n for n in range(12)}
    assert (tmp_path / "mark").exists()


def test_an_item_that_kills_every_worker_is_told_and_the_others_are_done(processes: ProcessCompute) -> None:
    came = answers(processes, always_die, 5, range(12))
    killer = came.pop(5)
    assert isinstance(killer, Fault)
    assert f"died {ATTEMPTS} times" in str(killer.error)
    assert came == {n: n for n in range(12) if n != 5}


def test_a_lost_batch_is_handed_out_again_item_by_item_and_a_bounded_number_of_times() -> None:
    out: list[tuple[int, ...]] = []

    def hand_out(batch: Batch[int], done: object) -> None:
        out.append(batch.numbers)

        def result() -> Ran:
            if 7 in batch.items:
                raise WorkerLost("gone")
            return Ran(batch.items, 0.25 * len(batch.items))

        done(batch, result)  # type: ignore[operator]

    came = dict(drive(hand_out, range(12), slots=1, in_batches=True))
    assert isinstance(came.pop(7), Fault)
    assert came == {n: n for n in range(12) if n != 7}
    assert out[0] == (0,)  # the first tells how long one takes: a quarter of a second, so then four at a time
    assert out[1] == (1, 2, 3, 4)
    assert (5, 6, 7, 8) in out
    assert out.count((7,)) == ATTEMPTS - 1


def test_what_all_share_goes_to_a_process_once() -> None:
    class Counted:
        sent = 0

        def __reduce__(self) -> tuple[type[bytes], tuple[bytes]]:
            Counted.sent += 1
            return bytes, (b"world",)

    with ProcessCompute(2) as compute:
        came = answers(compute, who, Counted(), range(20))
    assert Counted.sent == 1
    assert len(set(came.values())) == 2


def test_a_function_that_cannot_be_sent_is_refused_with_what_to_do(processes: ProcessCompute) -> None:
    with pytest.raises(InputError, match="--compute threads"):
        answers(processes, lambda shared, item: item, 0, range(3))


@pytest.mark.parametrize("setting", ["thread", "http://somewhere", ""])
def test_a_setting_that_is_none_is_refused(setting: str) -> None:
    with pytest.raises(InputError, match="wanted threads, processes"):
        open_compute(setting)


def test_a_scheduler_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("tocsin.platform.dask.CONNECT_S", 0.5)
    with pytest.raises(Unavailable, match="no Dask scheduler answers"):
        open_compute("tcp://127.0.0.1:9")


def test_threads_processes_and_a_dask_cluster_foresee_the_same_bit_for_bit(processes: ProcessCompute, cluster: str) -> None:
    frames = (600.0, 1800.0)
    wanted = foresee(TinyWorld(), MODEL, SCENARIO, LocalCompute(1), frame_s=frames)
    with open_compute(cluster) as dask:
        for compute in (LocalCompute(2), processes, dask):
            seen = foresee(TinyWorld(), MODEL, SCENARIO, compute, frame_s=frames)
            for name in ("peak", "arrival_s", "end_s"):
                np.testing.assert_array_equal(getattr(seen.footprint, name), getattr(wanted.footprint, name))
            np.testing.assert_array_equal(seen.footprint.companions["flood_speed"], wanted.footprint.companions["flood_speed"])
            np.testing.assert_array_equal(seen.frames, wanted.frames)
            assert seen.notes == wanted.notes


def test_a_dask_worker_that_is_killed_costs_its_tasks_only(cluster: str, tmp_path: Path) -> None:
    with open_compute(cluster) as dask:
        assert answers(dask, die_once, str(tmp_path / "mark"), range(30)) == {n: n for n in range(30)}
        assert (tmp_path / "mark").exists()
        came = answers(dask, break_on_three, "by nought", range(5))
        assert isinstance(came[3], Fault)


def test_a_fault_goes_through_pickle() -> None:
    again = pickle.loads(pickle.dumps(Fault(InputError("why"))))
    assert (type(again.error), str(again.error)) == (InputError, "why")
