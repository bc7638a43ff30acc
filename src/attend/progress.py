"""Progress on standard error: live on a terminal, else a plain line every ten seconds.

Standard output is only for data. Of several processes only the first prints.
"""

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol, runtime_checkable


@dataclass
class Progress:
    """How far a training run has come."""

    epoch: int = 0
    batch: int = 0
    update: int = 0
    updates_expected: int = 0
    epochs_expected: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    units: int = 0
    first_loss: float = math.nan
    best: float = math.inf
    best_loss: float = math.inf
    best_update: int = 0
    validations_since_best: int = 0
    halvings: int = 0
    done: str = ""
    metrics: dict[str, float] = field(default_factory=dict)


# Takes the progress and the figures of each update, and of each validation with its metrics.
Report = Callable[[Progress, dict[str, float]], None]


@runtime_checkable
class Tell(Protocol):
    """Takes how many are done so far, the total (0 where that isn't known) and, where the rest takes longer than what
    is done, as long inputs do, which share of the work that is."""

    def __call__(self, done: int, of: int, share: float | None = None, /) -> None: ...


# What the loop itself measures: lower is better.
OF_LOSS = ("loss", "perplexity")

# Seconds between lines, and before the first one of something that may be short.
EVERY = 10.0
PATIENCE = 2.0
# Seconds between updates of the line on a terminal.
LIVE = 0.5


def first_process() -> bool:
    """Whether this is the only process, or the first of those that torchrun or accelerate started."""
    return os.environ.get("RANK", "0") == "0"


def say(line: str) -> None:
    """Print a line on standard error."""
    if first_process():
        print(line, file=sys.stderr, flush=True)


@contextmanager
def counting(what: str) -> Iterator[Tell]:
    """A function to call with how many are done so far: prints it every ten seconds, after the first two."""
    started = time.monotonic()
    due = started + PATIENCE

    def report(done: int, of: int, share: float | None = None, /) -> None:
        nonlocal due
        now = time.monotonic()
        if now >= due and done:
            taken = now - started
            share = share or (done / of if of else None)
            left = f"{duration(taken / share - taken)} left, " if of and share else ""
            say(f"{done:,}{f' of {of:,}' if of else ''} {what}, {left}{done / taken:,.0f} a second")
            due = now + EVERY

    yield report


@contextmanager
def training_report(settings: Any, unit: str = "tokens") -> Iterator[Report]:
    """A report for `attend.training.train` with a recipe's settings: a bar and a line on a terminal, else a line every
    ten seconds."""
    search = getattr(getattr(settings, "output", None), "validation_search", "")
    if not first_process():
        yield lambda progress, figures: None
    elif sys.stderr.isatty():
        from rich import progress as bars
        from rich.console import Console

        columns = (bars.BarColumn(20), bars.TextColumn("{task.description}", markup=False))
        with bars.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", visible=False)

            def show(line: str, progress: Progress) -> None:
                total = progress.updates_expected
                bar.update(task, description=line, completed=progress.update, total=total, visible=True)

            yield reporting(show, LIVE, unit, search)
    else:
        yield reporting(lambda line, progress: say(line), EVERY, unit, search)


def reporting(show: Callable[[str, Progress], None], every: float, unit: str, search: str = "") -> Report:
    """A report that shows a line every `every` seconds, and prints each validation."""
    then, units = time.monotonic(), -1

    def report(progress: Progress, figures: dict[str, float]) -> None:
        nonlocal then, units
        now = time.monotonic()
        if units < 0 or now - then >= every:
            speed = (progress.units - units) / (now - then) if units >= 0 else 0.0
            show(training_line(progress, figures, speed, unit), progress)
            then, units = now, progress.units
        if any(name.startswith("valid_") for name in figures):
            say(validation_line(progress, figures, search))

    return report


def training_line(progress: Progress, figures: Mapping[str, float], speed: float, unit: str = "tokens") -> str:
    """How far training is; `speed` in units a second, 0 if not known yet."""
    # Epochs differ by a few batches: the last one may exceed the number expected from the first.
    left = max(0, progress.updates_expected - progress.update) * progress.seconds / progress.update
    parts = [
        f"epoch {progress.epoch + 1}/{progress.epochs_expected}",
        f"update {progress.update:,}/{progress.updates_expected:,}",
        f"{duration(left)} left",
        f"loss {figures['loss']:.3f}",
    ]
    if "nll" in figures:
        parts.append(f"perplexity {math.exp(min(figures['nll'], 700.0)):,.2f}")
    if speed:
        parts.append(f"{speed:,.0f} {unit}/s")
    return ", ".join([*parts, f"learning rate {figures['learning_rate']:.2g}"])


def validation_line(progress: Progress, figures: Mapping[str, float], search: str = "") -> str:
    found = {name.removeprefix("valid_"): value for name, value in figures.items() if name.startswith("valid_")}
    parts = [f"{name.replace('_', ' ')} {value:,.2f}" for name, value in found.items()]
    if search:
        of_loss = sum(name in OF_LOSS for name in found)  # they come first, and of no search
        parts[of_loss:] = [f"{search}: {', '.join(parts[of_loss:])}"] if parts[of_loss:] else []
    best = ", the best so far" if progress.best_update == progress.update else ""
    return f"validation after {progress.update:,} updates ({duration(progress.seconds)}): {', '.join(parts)}{best}"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, such as 1:02:03."""
    return str(timedelta(seconds=round(seconds)))
