"""Creating a run's folder, without deleting files that are not a run's own."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from attend.progress import say

# Written while a folder is being prepared; replaced by config.json when that is complete.
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
# Names of the files that a run keeps of its fields: never paths, so that an untrusted folder can't point elsewhere.
KEPT = re.compile(r"\w[\w-]*(\.tokenizer)?\.json")


@contextmanager
def empty_folder(folder: Path, overwrite: bool, kept: Sequence[str]) -> Iterator[None]:
    """An empty folder to prepare a run in, with the files `kept` of its fields. On failure the old content is restored.

    Overwriting deletes only a run's own files: anything else in its folder is kept in `folder`.old, or `folder`.old-2
    and so on if that exists. Raises `ValueError` if the folder holds something that is not a run, or a run that may not
    be overwritten.
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
            raise ValueError(f"{folder} is the current folder: change to another one, and name it from there")
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
            say(f"files that were not the old run's own are now in {aside}")


def holds_run(folder: Path) -> bool:
    """Whether there is a run here, or only what an interrupted preparation left."""
    if not folder.is_dir():
        return False
    if (folder / "config.json").exists():
        content = read(folder / "config.json")
        return isinstance(content, dict) and {"attend", "recipe", "settings"} <= content.keys()
    written = (PREPARING, "data.json", "config.json", *kept_in(folder))
    prepared = {name + suffix for name in written for suffix in ("", ".partial")}
    return all(path.name in prepared for path in folder.iterdir())


def read(path: Path) -> Any:
    """A JSON file's content; None if it can't be read. Other programs have files called config.json too."""
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
    """Lock a run's folder (except on Windows): no other process trains in it or replaces it.

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
    """An unused name beside the folder."""
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
