"""A server's metrics, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
INPUTS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Metrics of one server, from all of its threads."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "attend_requests", "Responses, by path and status.", ["path", "status"], registry=registry
        )
        self._seconds = Histogram(
            "attend_request_seconds", "Response times.", ["path"], buckets=SECONDS, registry=registry
        )
        self._batches = Histogram(
            "attend_batch_inputs", "Inputs predicted together.", ["model"], buckets=INPUTS, registry=registry
        )
        self._work = Counter("attend_work_seconds", "Seconds spent on predictions.", ["model"], registry=registry)
        self._waiting = Gauge("attend_waiting", "Requests waiting for a model.", ["model"], registry=registry)

    def answered(self, path: str, status: int, seconds: float) -> None:
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def worked(self, model: str, inputs: int, seconds: float) -> None:
        self._batches.labels(model).observe(inputs)
        self._work.labels(model).inc(seconds)

    def watch_queue(self, model: str, length: Callable[[], int]) -> None:
        """Report `length()` as the number of requests waiting for a model."""
        self._waiting.labels(model).set_function(length)

    def text(self) -> bytes:
        """The metrics in Prometheus's text format."""
        return generate_latest(self._registry)
