"""Data for standard output: tables for people, JSON for scripts, text for either."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from attend.atomic import whole_file


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
