"""Creating a run's folder, without deleting files that are not a run's own."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from attend.atomic import write_atomically
from attend.progress import say

# Written while a folder is being prepared; replaced by config.json when that is complete.
PREPARING = "preparing.json"
OWN_FILES = (
    PREPARING,
    "data.json",
    "config.json",
    "log.jsonl",
    "checkpoint.pt",
    "initial.safetensors",
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
    """Empty a folder that is `held`, to prepare a run in it with the files `kept` of its fields.

    On failure only what was made is removed, and the old content restored. What an interrupted preparation left goes.
    Overwriting deletes only a run's own files: anything else in its folder is kept in `folder`.old, or `folder`.old-2
    and so on if that exists. Raises `ValueError` if the folder holds something that is not a run, or a run that may not
    be overwritten.
    """
    aside, place = None, folder.resolve()
    if prepared_in_part(place):
        remove_own(place)
    elif place.exists() and (not place.is_dir() or any(place.iterdir())):
        if not holds_run(place):
            raise ValueError(f"{folder} exists and is not a run: choose another folder")
        if not overwrite:
            raise ValueError(f"{folder} already holds a run: choose another folder, --resume it, or --overwrite it")
        aside = free_name(place)
        # The folder itself stays where it is: it is what other processes see as held.
        aside.mkdir()
        move_content(place, aside)
    place.mkdir(parents=True, exist_ok=True)
    try:
        content = json.dumps({"attend": "preparing", "kept": list(kept)})
        write_atomically(place / PREPARING, lambda partial: partial.write_text(content, encoding="utf-8"))
        yield
        (place / PREPARING).unlink()
    except BaseException:
        remove_own(place)
        if aside is not None:
            move_content(aside, place)
            aside.rmdir()
        raise
    if aside is not None:
        remove_own(aside)
        if any(aside.iterdir()):
            say(f"files that were not the old run's own are now in {aside}")
        else:
            aside.rmdir()


def move_content(source: Path, target: Path) -> None:
    """Move all that is in a folder into another; if that fails, what was moved comes back."""
    moved: list[str] = []
    try:
        for name in sorted(path.name for path in source.iterdir()):
            shutil.move(source / name, target / name)
            moved.append(name)
    except OSError:
        for name in moved:
            shutil.move(target / name, source / name)
        raise


def holds_run(folder: Path) -> bool:
    """Whether there is a run here. Other programs have files called config.json too."""
    content = read(folder / "config.json")
    return isinstance(content, dict) and {"attend", "recipe", "settings"} <= content.keys()


def run_of(path: Path) -> Path | None:
    """The run folder whose own file this is, or would be; None for any other file."""
    place = path.resolve()
    for folder in (place.parent, place.parent.parent):
        config = folder / "config.json"
        # A run whose configuration is damaged is a run still.
        if not (holds_run(folder) or (folder / PREPARING).exists() or (config.exists() and read(config) is None)):
            continue
        if place.relative_to(folder).parts[0] == EVENTS:
            return folder
        if place.parent == folder and place.name.removesuffix(".partial") in (*OWN_FILES, *kept_in(folder)):
            return folder
    return None


def prepared_in_part(folder: Path) -> bool:
    """Whether there is nothing here but what an interrupted preparation left."""
    content = read(folder / PREPARING)
    if not isinstance(content, dict) or content.get("attend") != "preparing":
        return False
    written = (PREPARING, "data.json", "config.json", "initial.safetensors", *kept_in(folder))
    prepared = {name + suffix for name in written for suffix in ("", ".partial")}
    return all(path.name in prepared for path in folder.iterdir())


def read(path: Path) -> Any:
    """A JSON file's content; None if it can't be read."""
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
def held(folder: Path, make: bool = False) -> Iterator[None]:
    """Lock a run's folder (except on Windows): no other process trains in it or replaces it.

    `make` makes it, if it is not there; folders that were made, and are empty at the end, are removed again. Raises
    `ValueError` if another process holds it, or it is no folder.
    """
    place = folder.resolve()
    if make and place.exists() and not place.is_dir():
        raise ValueError(f"{folder} exists and is not a run: choose another folder")
    made = [one for one in (place, *place.parents) if not one.exists()] if make else []
    if make:
        place.mkdir(parents=True, exist_ok=True)
    handle = locked(folder)
    try:
        yield
    finally:
        # Before it is let go: another process could be in it afterwards.
        with suppress(OSError):
            for one in made:
                one.rmdir()
        if handle is not None:
            os.close(handle)


def locked(folder: Path) -> int | None:
    """An open handle that locks the folder; None where folders can't be locked, which is said."""
    try:
        import fcntl
    except ImportError:
        return None
    refusal = f"{folder} is being trained by another process: stop that one, or wait for it"
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # One that failed may have removed it after it was opened here.
        if not folder.exists() or not os.path.samestat(os.fstat(handle), folder.stat()):
            raise ValueError(refusal)
    except BlockingIOError as error:
        os.close(handle)
        raise ValueError(refusal) from error
    except ValueError:
        os.close(handle)
        raise
    except OSError as error:
        say(f"attend: {folder} can't be locked ({error.strerror}): see to it that no other process trains in it")
    return handle


def free_name(folder: Path) -> Path:
    """An unused name beside the folder."""
    names = (f"{folder.name}.old{f'-{number}' if number > 1 else ''}" for number in count(1))
    return next(aside for name in names if not (aside := folder.with_name(name)).exists())


def remove_own(folder: Path) -> None:
    """Remove a run's own files."""
    for name in (*kept_in(folder), *OWN_FILES):
        for path in (folder / name, folder / f"{name}.partial"):
            path.unlink(missing_ok=True)
    events = folder / EVENTS
    for path in events.glob("events.out.tfevents.*"):
        path.unlink()
    if events.is_dir() and not any(events.iterdir()):
        events.rmdir()
