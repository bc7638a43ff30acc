"""Making room for a run, without losing anything that is not a run's own."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from attend.progress import say

# Says what a folder is being prepared with; config.json takes its place when all of it is there.
PREPARING = "preparing.json"
OWN_FILES = (
    PREPARING,
    "data.json",
    "config.json",
    "log.jsonl",
    "checkpoint.pt",
    "model.safetensors",
    "last.safetensors",
    "averaged.safetensors",
    "training.json",
    "metrics.json",
    "curve.png",
    "README.md",
    "report.html",
    "attention.png",
    "compare.png",
)
EVENTS = "tensorboard"
# What a run keeps of its fields: never a path, whatever a stranger's folder says.
KEPT = re.compile(r"\w[\w-]*(\.tokenizer)?\.json")


@contextmanager
def empty_folder(folder: Path, overwrite: bool, kept: Sequence[str]) -> Iterator[None]:
    """An empty folder to prepare a run in, with the files `kept` of its fields. If that fails, what was there is there
    again.

    Of a run that is overwritten only its own files go: anything else in its folder is kept in `folder`.old, or
    `folder`.old-2 and so on if there is one already. Raises `ValueError` if the folder holds something that is no run,
    or a run that may not be overwritten.
    """
    aside, place = None, folder.resolve()
    if folder.is_dir():
        with held(folder):
            pass  # a run that is being trained is not replaced
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not holds_run(folder):
            raise ValueError(f"{folder} exists and is not a run: choose another folder")
        if not overwrite:
            advice = "--resume it, or --overwrite it" if (folder / "config.json").exists() else "or --overwrite it"
            raise ValueError(f"{folder} already holds a run: choose another folder, {advice}")
        if Path.cwd().is_relative_to(place):
            raise ValueError(f"{folder} is the folder that this is run in: go to another, and name it from there")
        aside = free_name(place)
        place.rename(aside)
    place.mkdir(parents=True, exist_ok=True)
    try:
        (place / PREPARING).write_text(json.dumps({"attend": "preparing", "kept": list(kept)}), encoding="utf-8")
        yield
        (place / PREPARING).unlink()
    except BaseException:
        remove_own(place)
        if aside is not None:
            aside.rename(place)
        raise
    if aside is not None:
        remove_own(aside)
        if aside.exists():
            say(f"what was not the old run's own is now in {aside}")


def holds_run(folder: Path) -> bool:
    """Whether there is a run here, or nothing but what one is prepared with."""
    if not folder.is_dir():
        return False
    if (folder / "config.json").exists():
        content = read(folder / "config.json")
        return isinstance(content, dict) and {"attend", "recipe", "settings"} <= content.keys()
    prepared = {name + suffix for name in (PREPARING, "data.json", *kept_in(folder)) for suffix in ("", ".partial")}
    return all(path.name in prepared for path in folder.iterdir())


def read(path: Path) -> Any:
    """What a JSON file holds; None if it can't be read. Other programs have files called config.json too."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def kept_in(folder: Path) -> list[str]:
    """The files that the run here keeps of its fields."""
    for name in ("config.json", PREPARING):
        content = read(folder / name)
        kept = content.get("kept") if isinstance(content, dict) else None
        if isinstance(kept, list):
            return [one for one in kept if isinstance(one, str) and KEPT.fullmatch(one)]
    return []


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a run's folder, where the system can do that (it can't on Windows): nobody else trains in it or replaces it.

    Raises `ValueError` if another process holds it.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"{folder} is being trained by another process: stop that one, or wait for it") from error
        yield
    finally:
        os.close(handle)


def free_name(folder: Path) -> Path:
    """A name beside the folder that nothing has yet."""
    names = (f"{folder.name}.old{f'-{number}' if number > 1 else ''}" for number in count(1))
    return next(aside for name in names if not (aside := folder.with_name(name)).exists())


def remove_own(folder: Path) -> None:
    """Remove a run's own files, and the folder if nothing else is in it."""
    for name in (*kept_in(folder), *OWN_FILES):
        for path in (folder / name, folder / f"{name}.partial"):
            path.unlink(missing_ok=True)
    for path in (folder / EVENTS).glob("events.out.tfevents.*"):
        path.unlink()
    for place in (folder / EVENTS, folder):
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()
