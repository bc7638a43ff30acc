"""What is done together, and what is not done at all."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from attend.serve.batching import AbandonedError, FullError, Job, Worker
from attend.serve.limits import Limits

LIMITS = Limits(queue=8, batch=4, wait_seconds=0.05)


class Work:
    """Gives each payload back, once the gate is open; notes what it was given together."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.batches: list[tuple[Any, list[Any]]] = []

    def __call__(self, kind: Any, payloads: Sequence[Any], stop: Callable[[], None]) -> Sequence[Any]:
        self.batches.append((kind, list(payloads)))
        self.gate.wait(10)
        stop()
        if "bad" in payloads:
            raise ValueError("bad")
        return payloads


def first(worker: Worker, work: Work) -> Job:
    """Keep the worker busy, so that what comes after has to wait."""
    job = worker.submit(Job("first"))
    until = time.monotonic() + 5
    while not work.batches and time.monotonic() < until:
        time.sleep(0.001)
    return job


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def worker(work: Work):
    worker = Worker("test", work, LIMITS)
    yield worker
    work.gate.set()
    assert worker.close(10)


def test_jobs_of_one_kind_are_done_together_up_to_the_most(worker: Worker, work: Work) -> None:
    first(worker, work)
    jobs = [worker.submit(Job(number, "a")) for number in range(5)]
    other = worker.submit(Job("other", "b"))
    work.gate.set()
    assert [job.future.result(5) for job in jobs] == list(range(5))
    assert other.future.result(5) == "other"
    assert work.batches == [(None, ["first"]), ("a", [0, 1, 2, 3]), ("a", [4]), ("b", ["other"])]


def test_a_job_counts_by_its_inputs(worker: Worker, work: Work) -> None:
    first(worker, work)
    jobs = [worker.submit(Job(number, "a", size=3)) for number in range(2)]
    work.gate.set()
    assert [job.future.result(5) for job in jobs] == [0, 1]
    assert [payloads for _, payloads in work.batches] == [["first"], [0], [1]]


def test_the_first_waits_a_moment_for_others(worker: Worker, work: Work) -> None:
    work.gate.set()
    jobs = [worker.submit(Job(1, "a"))]
    time.sleep(0.01)
    jobs.append(worker.submit(Job(2, "a")))
    assert [job.future.result(5) for job in jobs] == [1, 2]
    assert len(work.batches) in (1, 2)  # two only where this machine slept longer than the wait


def test_what_is_wrong_with_one_does_not_come_to_the_others(worker: Worker, work: Work) -> None:
    first(worker, work)
    jobs = [worker.submit(Job(payload, "a")) for payload in ("good", "bad", "better")]
    work.gate.set()
    assert jobs[0].future.result(5) == "good"
    with pytest.raises(ValueError, match="bad"):
        jobs[1].future.result(5)
    assert jobs[2].future.result(5) == "better"


def test_a_full_queue_takes_no_more(worker: Worker, work: Work) -> None:
    first(worker, work)
    for number in range(LIMITS.queue):
        worker.submit(Job(number, "a"))
    with pytest.raises(FullError):
        worker.submit(Job("more", "a"))
    assert len(worker) == LIMITS.queue


def test_what_nobody_waits_for_is_not_begun(worker: Worker, work: Work) -> None:
    first(worker, work)
    dropped, kept = worker.submit(Job("dropped", "a")), worker.submit(Job("kept", "a"))
    dropped.abandon()
    work.gate.set()
    assert kept.future.result(5) == "kept"
    assert dropped.future.cancelled()
    assert work.batches[1:] == [("a", ["kept"])]


def test_what_is_running_ends_when_nobody_waits_for_any_of_it(worker: Worker, work: Work) -> None:
    running = first(worker, work)
    running.abandon()
    work.gate.set()
    with pytest.raises(AbandonedError):
        running.future.result(5)


def test_closing_finishes_what_is_there_and_takes_nothing_new(work: Work) -> None:
    worker = Worker("test", work, LIMITS)
    jobs = [first(worker, work), worker.submit(Job(1, "a"))]
    threading.Timer(0.05, work.gate.set).start()
    assert worker.close(10)
    assert [job.future.result(0) for job in jobs] == ["first", 1]
    with pytest.raises(FullError):
        worker.submit(Job(2, "a"))


def test_what_takes_long_lets_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attend.serve.batching.TURN", 0.01)
    ended: list[str] = []
    at_once = 0
    most = 0

    def steps(kind: Any, payloads: Sequence[Any], stop: Callable[[], None]) -> Sequence[Any]:
        nonlocal at_once, most
        for _ in range(payloads[0]):
            at_once += 1
            most = max(most, at_once)
            until = time.thread_time() + 0.002
            while time.thread_time() < until:  # turns are of processor time
                time.sleep(0)
            at_once -= 1
            stop()
        ended.append(str(payloads[0]))
        return payloads

    worker = Worker("test", steps, LIMITS)
    jobs = [worker.submit(Job(100)), worker.submit(Job(101)), worker.submit(Job(3))]
    time.sleep(0.05)
    jobs += [worker.submit(Job(5, "a")), worker.submit(Job(4))]
    assert [job.future.result(10) for job in jobs] == [100, 101, 3, 5, 4]
    assert set(ended[:3]) == {"3", "4", "5"}
    assert most == 1  # one computes at a time
    abandoned = worker.submit(Job(10_000))
    assert not worker.close(0.1)
    with pytest.raises(AbandonedError):
        abandoned.future.result(5)


def test_closing_does_not_wait_for_ever(work: Work) -> None:
    worker = Worker("test", work, LIMITS)
    first(worker, work)
    waiting = worker.submit(Job(1, "a"))
    assert not worker.close(0.05)
    assert waiting.future.cancelled()
    work.gate.set()
