"""One thread per model: jobs in order of arrival, batched by kind."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from attend.serve.limits import Limits


class FullError(Exception):
    """The queue is full, or the server is shutting down."""


class AbandonedError(Exception):
    """The client has disconnected, or the time is up."""


@dataclass(eq=False)
class Job:
    """Work for a model. Jobs of the same `kind` may be batched; those of kind None run alone.

    `size` is its number of inputs. `future` gets its result, or its exception.
    """

    payload: Any
    kind: Any = None
    size: int = 1
    future: Future[Any] = field(default_factory=Future)
    abandoned: threading.Event = field(default_factory=threading.Event)

    def abandon(self) -> None:
        """Don't start it, or stop it at its next step."""
        self.abandoned.set()
        self.future.cancel()


# (kind, payloads, stop) -> a result for each payload. `stop` is to be called at each step, and raises `AbandonedError`.
Work = Callable[[Any, Sequence[Any], Callable[[], None]], Sequence[Any]]


class Worker:
    """A thread that runs the jobs of one model.

    `watch` is called with the number of inputs of each batch and the seconds that it took.
    """

    def __init__(
        self, name: str, work: Work, limits: Limits, watch: Callable[[int, float], None] = lambda size, seconds: None
    ) -> None:
        self._work, self._limits, self._watch = work, limits, watch
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._running = False
        self._thread = threading.Thread(target=self._run, name=f"model {name}", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Number of queued jobs."""
        return len(self._jobs)

    def submit(self, job: Job) -> Job:
        """Queue a job. Raises `FullError` if there is no room, or the worker is closed."""
        with self._changed:
            if self._closed or len(self._jobs) >= self._limits.queue:
                raise FullError
            self._jobs.append(job)
            self._changed.notify()
        return job

    def close(self, seconds: float) -> bool:
        """Accept no more jobs, and finish the queued ones. True if done within `seconds`."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(seconds)
        if not self._thread.is_alive():
            return True
        with self._changed:
            left, self._jobs = self._jobs, deque()
        for job in left:
            job.abandon()
        return False

    def _run(self) -> None:
        while batch := self._take():
            started = time.perf_counter()
            self._do(batch)
            self._watch(sum(job.size for job in batch), time.perf_counter() - started)

    def _take(self) -> list[Job]:
        """The next batch of jobs; none when closed and done."""
        with self._changed:
            while True:
                first = self._next()
                if first is None:
                    if self._closed:
                        return []
                    self._changed.wait()
                    continue
                batch = [first]
                if first.kind is None:
                    return batch
                until = time.monotonic() + self._limits.wait_seconds
                while sum(job.size for job in batch) < self._limits.batch:
                    more = self._next(first.kind, self._limits.batch - sum(job.size for job in batch))
                    if more is not None:
                        batch.append(more)
                        continue
                    left = until - time.monotonic()
                    # A job of another kind is already queued: don't delay it for jobs that may never come.
                    if left <= 0 or self._jobs or self._closed or not self._changed.wait(left):
                        break
                return batch

    def _next(self, kind: Any = None, room: int | None = None) -> Job | None:
        """Take the next job that is not cancelled; with `room`, only if it is of this kind and fits."""
        while self._jobs:
            job = self._jobs[0]
            if room is not None and (job.kind != kind or job.size > room):
                return None
            self._jobs.popleft()
            if job.future.set_running_or_notify_cancel():
                return job
        return None

    def _do(self, batch: list[Job]) -> None:
        def stop() -> None:
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
