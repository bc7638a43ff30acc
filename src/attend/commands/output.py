"""Data for standard output: tables for people, JSON for scripts, text for either."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from attend.atomic import whole_file


def check_outputs(outputs: Iterable[Path | None], inputs: Iterable[str | Path | None] = ()) -> None:
    """Raises `ValueError` for a file that can't be written, or is read or written by the same command already."""
    given = [Path(name) for name in inputs if name is not None]
    for path in (path for path in outputs if path is not None):
        if any(same(path, other) for other in given):
            raise ValueError(f"{path} is read or written by this command already: name another file")
        given.append(path)
        if path.is_dir():
            raise ValueError(f"{path} is a folder: name a file")
        if path.exists() and not path.is_file():
            raise ValueError(f"{path} is a device or a pipe: name a plain file")
        place = next(place for place in Path(os.path.realpath(path)).parents if place.exists())
        if not place.is_dir() or not os.access(place, os.W_OK):
            raise ValueError(f"{path}: can't be written: {place} is no folder that may be written to")


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
