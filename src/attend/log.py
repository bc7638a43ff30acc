"""A run's learning curve, `log.jsonl`: an object a line, for every tenth update and for every validation."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attend.atomic import write_atomically
from attend.data.files import counted
from attend.progress import Progress, say
from attend.stored import check


def read_log(path: Path) -> tuple[list[dict[str, Any]], int]:
    """What was logged, and how many lines are damaged; a last line that a kill cut short is none."""
    entries, damaged = [], 0
    *whole, _ = path.read_bytes().split(b"\n")
    for line in whole:
        try:
            entry = check(json.loads(line), dict[str, float], "")
            check(entry.get("update"), int, "")
            entries.append(entry)
        except (ValueError, RecursionError):
            damaged += 1
    return entries, damaged


class Log:
    """Writes the learning curve of a run, from an update on: what was logged after it happens again."""

    def __init__(self, folder: Path, update: int, tensorboard: bool) -> None:
        self.path = folder / "log.jsonl"
        if self.path.exists():
            entries, damaged = read_log(self.path)
            if damaged:
                say(f"attend: {self.path}: {counted(damaged, 'line')} can't be read, and the learning curve lacks them")
            kept = "".join(json.dumps(entry) + "\n" for entry in entries if entry["update"] <= update)
            write_atomically(self.path, lambda partial: partial.write_text(kept, encoding="utf-8"))
        elif update:
            say(f"attend: {self.path} is not there: the learning curve lacks all up to update {update:,}")
        self.events = None
        if tensorboard:
            events = folder / "tensorboard"
            with written(events):
                self.events = summary_writer()(str(events), purge_step=update + 1)

    def write(self, progress: Progress, figures: dict[str, float]) -> None:
        """Raises `ValueError`, naming the file, if it can't be written."""
        if progress.update % 10 and not any(name.startswith("valid_") for name in figures):
            return
        where = {"update": progress.update, "epoch": progress.epoch + 1, "seconds": round(progress.seconds, 3)}
        line = json.dumps(where | {name: float(f"{value:.6g}") for name, value in figures.items()}) + "\n"
        with written(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(line)
        if self.events:
            with written(Path(self.events.log_dir)):
                for name, value in figures.items():
                    self.events.add_scalar(name, value, progress.update)


@contextmanager
def written(path: Path) -> Iterator[None]:
    """What can't be written inside is a `ValueError` that names the path."""
    try:
        yield
    except OSError as error:
        raise ValueError(f"{path}: can't be written: {error.strerror or error}") from error


def summary_writer() -> Any:
    """What writes TensorBoard events. Raises `ValueError` where it isn't installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ValueError("training.tensorboard needs: pip install 'attend[tensorboard]'") from error
    return SummaryWriter
