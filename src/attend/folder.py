"""Making room for a run, without losing anything that is not a run's own."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from attend.progress import say

# What a run is prepared with. config.json comes last: a folder without it was left by a run killed before it began.
PREPARED = (
    "source.tokenizer.json",
    "target.tokenizer.json",
    "captions.tokenizer.json",
    "images.json",
    "data.json",
    "config.json",
)
OWN_FILES = (
    *PREPARED,
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


@contextmanager
def empty_folder(folder: Path, overwrite: bool) -> Iterator[None]:
    """An empty folder to prepare a run in. If that fails, what was there is there again.

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
        yield
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
        return is_configuration(folder / "config.json")
    prepared = {name + suffix for name in PREPARED for suffix in ("", ".partial")}
    return all(path.name in prepared for path in folder.iterdir())


def is_configuration(path: Path) -> bool:
    """Whether a config.json is a run's: other programs have files of that name too."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"attend", "recipe", "settings"} <= content.keys()


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
    for name in OWN_FILES:
        for path in (folder / name, folder / f"{name}.partial"):
            path.unlink(missing_ok=True)
    for path in (folder / EVENTS).glob("events.out.tfevents.*"):
        path.unlink()
    for place in (folder / EVENTS, folder):
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()
