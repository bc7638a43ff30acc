"""Jobs of a model in order of arrival, batched by kind; what takes long lets others have their turn."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from attend.serve.limits import Limits

# Seconds of processor time that a batch keeps its turn for while others wait: most are done in one. Not of the clock:
# on a busy machine all batches would take turns, and each would be answered later.
TURN = 0.1
# Batches that may be under way at the same time, taking turns.
UNDER_WAY = 16


class FullError(Exception):
    """The queue is full, or the server is shutting down."""


class AbandonedError(Exception):
    """The client has disconnected, or the time is up."""


@dataclass(eq=False)
class Job:
    """Work for a model. Jobs of the same `kind` may be batched; those of kind None run alone.

    `size` is its number of inputs. `future` gets its result, or its exception. `number` is its place in the order of
    arrival.
    """

    payload: Any
    kind: Any = None
    size: int = 1
    future: Future[Any] = field(default_factory=Future)
    abandoned: threading.Event = field(default_factory=threading.Event)
    number: int = 0

    def abandon(self) -> None:
        """Don't start it, or stop it at its next step."""
        self.abandoned.set()
        self.future.cancel()


# (kind, payloads, stop) -> a result for each payload. `stop` is to be called at each step, and raises `AbandonedError`.
Work = Callable[[Any, Sequence[Any], Callable[[], None]], Sequence[Any]]


class Worker:
    """The threads that run the jobs of one model: one computes at a time, and the others wait for their turn.

    A batch that has computed for `TURN` seconds goes behind those that wait, at its next call of `stop`: a short
    job is answered while a long one is under way. `watch` is called with the number of inputs of each batch and the
    seconds that it took.
    """

    def __init__(
        self, name: str, work: Work, limits: Limits, watch: Callable[[int, float], None] = lambda size, seconds: None
    ) -> None:
        self._work, self._limits, self._watch = work, limits, watch
        self._changed = threading.Condition()
        self._numbers = count()
        self._jobs: deque[Job] = deque()
        self._line: deque[int] = deque()  # the batches under way that wait for their turn
        self._under_way: list[Job] = []
        self._idle = 0  # threads without a batch
        self._computing = False
        self._closed = False
        self._name = name
        self._threads: list[threading.Thread] = []
        self._begin()

    def _begin(self) -> None:
        """Another thread, which is idle."""
        name = f"model {self._name} {len(self._threads)}"
        self._threads.append(threading.Thread(target=self._run, name=name, daemon=True))
        self._idle += 1
        self._threads[-1].start()

    def __len__(self) -> int:
        """Number of queued jobs."""
        return len(self._jobs)

    def submit(self, job: Job) -> Job:
        """Queue a job. Raises `FullError` if there is no room, or the worker is closed."""
        with self._changed:
            if self._closed or len(self._jobs) >= self._limits.queue:
                raise FullError
            job.number = next(self._numbers)
            self._jobs.append(job)
            self._changed.notify_all()
        return job

    def refuse(self) -> None:
        """Accept no more jobs."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def close(self, seconds: float) -> bool:
        """Accept no more jobs, and finish the queued ones. True if done within `seconds`; what is not is abandoned."""
        self.refuse()
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        if not any(thread.is_alive() for thread in self._threads):
            return True
        with self._changed:
            left = [*self._jobs, *self._under_way]
            self._jobs.clear()
        for job in left:
            job.abandon()
        return False

    def _run(self) -> None:
        while batch := self._take():
            started = time.perf_counter()
            self._do(batch)
            self._leave(batch)
            self._watch(sum(job.size for job in batch), time.perf_counter() - started)

    def _take(self) -> list[Job]:
        """The next batch of jobs, when it is its turn; none when closed and done."""
        with self._changed:
            while not (self._is_next() and (first := self._next())):
                if self._closed and not self._jobs:
                    return []
                self._changed.wait()
            self._computing = True
            self._idle -= 1
            batch = [first]
            until = time.monotonic() + self._limits.wait_seconds
            while first.kind is not None and sum(job.size for job in batch) < self._limits.batch:
                more = self._next(first.kind, self._limits.batch - sum(job.size for job in batch))
                if more is not None:
                    batch.append(more)
                    continue
                left = until - time.monotonic()
                # Others are waiting already: don't delay them for jobs that may never come.
                if left <= 0 or self._jobs or self._line or self._closed or not self._changed.wait(left):
                    break
            self._under_way += batch
            return batch

    def _is_next(self) -> bool:
        """Whether it is the turn of the first of the queued jobs."""
        return bool(self._jobs) and not self._computing and not (self._line and self._line[0] < self._jobs[0].number)

    def _next(self, kind: Any = None, room: int | None = None) -> Job | None:
        """Take the next job that is not cancelled; with `room`, only if it is of this kind and fits."""
        while self._jobs:
            job = self._jobs[0]
            if room is not None and (job.kind != kind or job.size > room):
                return None
            self._jobs.popleft()
            if job.future.set_running_or_notify_cancel():
                return job
            self._changed.notify_all()  # somebody else may be first now
        return None

    def _leave(self, batch: list[Job]) -> None:
        with self._changed:
            self._under_way = [job for job in self._under_way if job not in batch]
            self._computing = False
            self._idle += 1
            self._changed.notify_all()

    def _give_way(self) -> None:
        """Let those have their turn who wait already, and come back after them."""
        with self._changed:
            # Only now: idle threads are woken with each change, and hold the others up.
            if self._jobs and not self._idle and len(self._threads) < UNDER_WAY:
                self._begin()
            if not self._line and not (self._jobs and self._idle):
                return
            number = next(self._numbers)
            self._line.append(number)
            self._computing = False
            self._changed.notify_all()
            while self._computing or self._line[0] != number or (self._idle and self._is_next()):
                self._changed.wait()
            self._line.popleft()
            self._computing = True

    def _do(self, batch: list[Job]) -> None:
        since = time.thread_time()

        def stop() -> None:
            nonlocal since
            if time.thread_time() - since > TURN:
                self._give_way()
                since = time.thread_time()
            if all(job.abandoned.is_set() for job in batch):
                raise AbandonedError

        try:
            results = self._work(batch[0].kind, [job.payload for job in batch], stop)
        except Exception as error:
            if len(batch) == 1 or isinstance(error, AbandonedError):
                for job in batch:
                    job.future.set_exception(error)
                return
            # One job's error must not fail the others: run each alone.
            for job in batch:
                self._do([job])
            return
        for job, result in zip(batch, results, strict=True):
            job.future.set_result(result)
