"""Data for standard output: tables for people, JSON for scripts, text for either."""

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from attend.atomic import whole_file
from attend.commands.runs import TABLES
from attend.data.files import DataError, locate, read_blocks, text_suffix
from attend.data.places import place_of
from attend.folder import read, run_of

# What verbs write, and no reader of a folder takes, except as its metadata.
WRITTEN = ("", ".txt", ".tsv", ".csv", ".json", ".jsonl", ".html")


def check_outputs(
    outputs: Iterable[Path | None], inputs: Iterable[str | Path | None] = (), runs: Iterable[Path] = ()
) -> None:
    """Raises `ValueError` for a file that can't be written, or that is not to be written over.

    That is a file of any run folder, what the command reads, and what it writes otherwise, by whatever name or link.
    `runs` are the run folders that the command reads, and with them the data that they learnt from.
    """
    runs = list(runs)
    learnt = [path for run in runs for path in learnt_from(run)]
    given = [Path(name) for name in inputs if name is not None]
    for path in (path for path in outputs if path is not None):
        if (run := run_of(path) or linked_run(path, runs)) is not None:
            raise ValueError(f"{path} is a file of the run {run}: name another file")
        if any(reads(other, path) for other in (*given, *learnt)):
            raise ValueError(f"{path} is read or written by this command already: name another file")
        given.append(path)
        if path.is_dir():
            raise ValueError(f"{path} is a folder: name a file")
        if path.exists() and not path.is_file():
            raise ValueError(f"{path} is a device or a pipe: name a plain file")
        place = next(place for place in Path(os.path.realpath(path)).parents if place.exists())
        if not place.is_dir() or not os.access(place, os.W_OK):
            raise ValueError(f"{path}: can't be written: {place} is no folder that may be written to")


def linked_run(path: Path, runs: Iterable[Path]) -> Path | None:
    """The run, of these, with a file of its own that this is a hard link to: a link doesn't show where else it is."""
    for run in runs:
        if run.is_dir() and any(same(path, own) and run_of(own) for own in run.iterdir()):
            return run
    return None


def learnt_from(run: Path) -> list[Path]:
    """The files and folders that a run's own data are in, where they are found."""
    known, config = read(run / "data.json"), read(run / "config.json")
    names = list(known) if isinstance(known, dict) else []
    places = config.get("places") if isinstance(config, dict) else None
    with suppress(KeyError, TypeError):
        names += [name for name in config["settings"]["data"]["test"] if isinstance(name, str)]
    found = []
    for name in names:
        with suppress(DataError, TypeError, AttributeError):
            found.append(locate(place_of(name, places or {})))
    return found


def reads(given: Path, path: Path) -> bool:
    """Whether who reads `given` (a file, a folder, or any text) reads this file too."""
    if same(path, given):
        return True
    if not os.path.isfile(path):
        return False
    if os.path.isdir(given):
        taken = path.suffix.lower() not in WRITTEN or path.resolve().stem == "metadata"
        return taken and path.resolve().is_relative_to(given.resolve())
    return os.path.isfile(given) and text_suffix(str(given)) in TABLES and names_file(given, path)


def names_file(table: Path, path: Path) -> bool:
    """Whether a cell of a table is this file's path, relative to the table."""
    name = os.fsencode(path.resolve().name)
    for block in read_blocks(str(table)):
        if name in block:
            for cell in set(re.findall(rb'[^\t\n,"]*' + re.escape(name), block)):
                if same(path, table.parent / os.fsdecode(cell)):
                    return True
    return False


def same(path: Path, other: Path) -> bool:
    if path.absolute() == other.absolute():
        return True
    # Unlike those of `Path` these take any text, such as one to predict from.
    return os.path.exists(path) and os.path.exists(other) and os.path.samefile(path, other)


@contextmanager
def text_output(path: Path | None) -> Iterator[TextIO]:
    """Standard output; or a file, put in its place when all of it is written."""
    if path is None:
        yield sys.stdout
        return
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        yield file


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_tables(*tables: Sequence[Mapping[str, Any]]) -> None:
    """Those that have rows, with an empty line after each."""
    for rows in filter(None, tables):
        print_table(rows)
        print()


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of the same columns: aligned on a terminal, Markdown elsewhere."""
    from attend.inspect.compare import markdown

    if not sys.stdout.isatty():
        print(markdown(rows), end="")
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    header, _, *lines = [line.strip("| ").split(" | ") for line in markdown(rows).splitlines()]
    for index, name in enumerate(header):
        table.add_column(name, justify="right" if index else "left")
    for line in lines:
        table.add_row(*map(escape, line))
    Console().print(table)
