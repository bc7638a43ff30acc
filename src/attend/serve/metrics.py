"""What a server did, in the text form that Prometheus reads."""

import threading
from bisect import bisect_left
from collections import Counter, defaultdict

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
INPUTS = (1, 2, 4, 8, 16, 32, 64)


class Histogram:
    """How many values were at most each of these."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str, labels: str) -> list[str]:
        found, so_far = [], 0
        for bound, count in zip((*self.bounds, "+Inf"), self.counts, strict=True):
            so_far += count
            found.append(f'{name}_bucket{{{labels},le="{bound}"}} {so_far}')
        return [*found, f"{name}_sum{{{labels}}} {self.total:.6f}", f"{name}_count{{{labels}}} {so_far}"]


class Metrics:
    """Counts from every thread of the server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(SECONDS))
        self._batches: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(INPUTS))
        self._work: Counter[str] = Counter()

    def answered(self, path: str, status: int, seconds: float) -> None:
        with self._lock:
            self._requests[path, status] += 1
            self._seconds[path].add(seconds)

    def worked(self, model: str, inputs: int, seconds: float) -> None:
        with self._lock:
            self._batches[model].add(inputs)
            self._work[model] += seconds  # type: ignore[assignment]

    def text(self, waiting: dict[str, int]) -> str:
        """All of it; `waiting` is how many requests wait for each model now."""
        with self._lock:
            lines = [
                "# HELP attend_requests_total Answers, by path and status.",
                "# TYPE attend_requests_total counter",
            ]
            for (path, status), count in sorted(self._requests.items()):
                lines.append(f'attend_requests_total{{path="{path}",status="{status}"}} {count}')
            lines += ["# HELP attend_request_seconds How long answers took.", "# TYPE attend_request_seconds histogram"]
            for path, histogram in sorted(self._seconds.items()):
                lines += histogram.lines("attend_request_seconds", f'path="{path}"')
            lines += ["# HELP attend_batch_inputs Inputs predicted together.", "# TYPE attend_batch_inputs histogram"]
            for model, histogram in sorted(self._batches.items()):
                lines += histogram.lines("attend_batch_inputs", f'model="{quoted(model)}"')
            lines += ["# HELP attend_work_seconds_total Time at work.", "# TYPE attend_work_seconds_total counter"]
            for model, seconds in sorted(self._work.items()):
                lines.append(f'attend_work_seconds_total{{model="{quoted(model)}"}} {seconds:.6f}')
        lines += ["# HELP attend_waiting Requests that wait for a model.", "# TYPE attend_waiting gauge"]
        lines += [f'attend_waiting{{model="{quoted(model)}"}} {count}' for model, count in sorted(waiting.items())]
        return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
