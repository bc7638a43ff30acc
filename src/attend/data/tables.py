"""Reading rows: from one table, from line-aligned files, or from arrays.

A table is a `.tsv` (or another file of lines with tabs; with or without a header), a `.csv` (quoted as in RFC 4180,
with a header), a `.jsonl` (an object a line) or COCO's captions (`.json`). Line-aligned files are one per column:
texts, a value a line, or arrays, a value a row. An `.npz` may have an array for each column; where sequences differ in
length, `sequence_lengths` says how much of each row of `sequence` is one. Texts are UTF-8, plain or
compressed (`.gz`, `.xz`), "-" is standard input. Only "\\n" (or "\\r\\n") ends a line.

    a.png   a red dot                  file_name,caption
    b.png   two dots                   a.png,a red dot
    (.tsv)                             (.csv)

Rows are streamed, not kept, except where they are merged (`Column.several`).
"""

import csv
import json
import os
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from attend.data.annotations import read_annotations
from attend.data.arrays import ARCHIVES, as_labels, as_pixels, holds_arrays, read_idx, read_named, read_names
from attend.data.examples import TARGET, Column, Log, Row
from attend.data.files import DataError, ProblemKind, counted, locate, scan_lines, text_suffix
from attend.data.grids import as_grids, check_features
from attend.settings import nearest

# A line's number and its cells by the columns' names, or an error.
Line = tuple[int, dict[str, Any]] | DataError

NO_NAMES: Mapping[str, str] = {}
# JSON can escape a lone surrogate, which UTF-8 can't encode.
SURROGATE = re.compile("[\ud800-\udfff]")
# How similar a name must be to count as a misspelling of a missing one: "caption_id" is not one of "caption".
ALIKE = 0.7
# A column with one of these suffixes holds images, in arrays too.
PICTURES = (".png", ".jpg")
# Lines that a remark names.
SHOWN = 3
# Characters of a CSV cell: Python's own limit is about 20,000 words. What a model reads of a text its field says.
LONGEST_CELL = 2**31 - 1
# An array's name and this: how many values of each of its rows count.
LENGTHS = "_lengths"
# Flickr8k numbers the captions of a picture: "a.jpg#0".
NUMBERED = re.compile(r"(.+)#\d+")
# Folders of captions whose pictures are in folders beside them: COCO's and Flickr8k's.
APART = ("annotations", "Flickr8k_text")


def silent(remark: str) -> None:
    """Discards remarks."""


def read(
    paths: Sequence[str],
    columns: Sequence[Column],
    mapping: Mapping[str, str] = NO_NAMES,
    optional: Collection[str] = frozenset(),
    log: Log = silent,
) -> Iterator[Row]:
    """As `scan`, but raises the first error; where only a file of a row is missing, the row is left out, and said."""
    missing: list[DataError] = []
    found = False
    for row in scan(paths, columns, mapping, optional, log):
        if not isinstance(row, DataError):
            found = True
            yield row
        elif row.kind == "missing file":
            missing.append(row)
        else:
            raise row
    if missing and not found:
        raise missing[0]
    if missing:
        shown = "; ".join(f"line {one.line}: {one.problem}" for one in missing[:SHOWN])
        more = "; ..." if len(missing) > SHOWN else ""
        log(f"{missing[0].file}: {counted(len(missing), 'example')} left out ({shown}{more})")


def scan(
    paths: Sequence[str],
    columns: Sequence[Column],
    mapping: Mapping[str, str] = NO_NAMES,
    optional: Collection[str] = frozenset(),
    log: Log = silent,
) -> Iterator[Row | DataError]:
    """The rows of one table, of line-aligned files (one per column, in order), or of an .npz with an array for each.
    A single column may have several files, which are concatenated.

    A malformed line yields an error, and reading goes on; an error that ends reading comes last. `mapping` gives a
    column's name in the table, where it isn't one of the column's own. The `optional` columns may be missing; rows then
    have no value of them. `log` takes remarks, such as which columns are not used.

    A value is a text; a tuple of texts where the column has `several`; an absolute path where it has `files`; or a row
    of an array. Integers in JSON and in arrays of labels become texts. In CSV, spaces around a cell are ignored.
    """
    if len(columns) == 1 and len(paths) > 1:  # several files of the same column
        for path in paths:
            yield from scan((path,), columns, mapping, optional, log)
        return
    try:
        yield from scan_rows(paths, columns, mapping, optional, log)
    except DataError as error:
        yield error


def scan_rows(
    paths: Sequence[str],
    columns: Sequence[Column],
    mapping: Mapping[str, str] = NO_NAMES,
    optional: Collection[str] = frozenset(),
    log: Log = silent,
) -> Iterator[Row | DataError]:
    """As `scan`, but raises an error that ends reading: one that is yielded is of a line."""
    check_mapping(paths, columns, mapping)
    columns = distinct(columns, mapping)
    rows = as_rows(open_lines(paths, columns, mapping, optional, log), paths, columns)
    several = [column.name for column in columns if column.several]
    files = [column.name for column in columns if column.files]
    yield from joined(rows, several, files, paths[0], log) if several and files else rows


def scan_each(
    paths: Sequence[str],
    columns: Sequence[Column],
    mapping: Mapping[str, str] = NO_NAMES,
    optional: Collection[str] = frozenset(),
    log: Log = silent,
) -> Iterator[Row | DataError]:
    """As `scan_rows`, with a single error for a line in which several cells are wrong: something for each example."""
    wrong: int | None = None
    for row in scan_rows(paths, columns, mapping, optional, log):
        if isinstance(row, DataError):
            if row.line is not None and row.line == wrong:
                continue
            wrong = row.line
        yield row


def check_mapping(paths: Sequence[str], columns: Sequence[Column], mapping: Mapping[str, str]) -> None:
    """Raises `DataError` for an unknown column."""
    known = [column.name for column in columns]
    for name in mapping:
        if name not in known:
            problem = f"there is no field {name!r} for the column {mapping[name]!r}"
            raise DataError(", ".join(paths), problem, nearest(name, known))


def distinct(columns: Sequence[Column], mapping: Mapping[str, str]) -> list[Column]:
    """Columns without aliases that are another column's name, or its name in the table."""
    taken = {mapping.get(column.name, column.name) for column in columns}
    return [replace(column, aliases=tuple(name for name in column.aliases if name not in taken)) for column in columns]


def open_lines(
    paths: Sequence[str], columns: Sequence[Column], mapping: Mapping[str, str], optional: Collection[str], log: Log
) -> Iterator[Line]:
    """The lines of these files, by their kind. Raises `DataError` for an unknown kind."""
    required = [column for column in columns if column.name not in optional]
    names = " ".join(column.name for column in required)
    if len(paths) == 1:
        path, suffix = paths[0], text_suffix(paths[0])
        if suffix == ".csv":
            return csv_lines(path, columns, mapping, optional, log)
        if suffix == ".jsonl":
            return json_lines(path, columns, mapping, optional, log)
        if suffix == ".json":
            return annotated_lines(path, required)
        if suffix in ARCHIVES:
            return array_lines(path, columns, mapping, optional, log)
        if len(required) > 1 and holds_arrays(path):
            raise DataError(path, "has a single array", f"give a file for each of: {names}")
        if suffix == ".tsv" or len(required) > 1 or (len(columns) > 1 and not holds_arrays(path)):
            return tsv_lines(path, columns, mapping, optional, log)
    given = {len(columns): columns, len(required): required}.get(len(paths))
    if given is None or not paths:
        found = f"{counted(len(paths), 'file')} for {counted(len(required), 'column')}"
        advice = f"give one table (.tsv, .csv or .jsonl), or line-aligned files, one for each of: {names}"
        raise DataError(", ".join(paths) or "the data", f"has {found}", advice)
    for path in paths:
        if text_suffix(path) in (".csv", ".jsonl"):
            problem = f"is a table, given with {counted(len(paths) - 1, 'other file')}"
            raise DataError(path, problem, "give one table, or line-aligned files of texts")
    if mapping:
        problem = "line-aligned files have no column names"
        raise DataError(", ".join(paths), problem, f"give them in this order: {names}")
    if list(paths).count("-") > 1:
        raise DataError("-", "standard input can't be two of the files", "give a file for one of them")
    return aligned_lines(paths, given)


# Tables


def tsv_lines(
    path: str, columns: Sequence[Column], mapping: Mapping[str, str], optional: Collection[str], log: Log
) -> Iterator[Line]:
    """Lines of tab-separated cells; or, where a single column is needed, of texts, if the first of them has no tab."""
    lines = scan_lines(path)
    head = next(lines, None)
    if head is None:
        return
    required = [column for column in columns if column.name not in optional]
    cells = head.split("\t") if isinstance(head, str) else []
    if len(cells) < 2 and len(required) == 1 and not mapping and text_suffix(path) != ".tsv":
        for line, text in enumerate(chain([head], lines), start=1):
            yield text if isinstance(text, DataError) else (line, {required[0].name: text})
        return
    if is_head(cells, required, mapping):
        where = places(path, cells, columns, mapping, optional, log)
        width, first = len(cells), 2
        advice = "give every line the columns of the header"
    else:
        lines, first = chain([head], lines), 1
        given = required if len(cells) == len(required) else columns
        where, width = {column.name: place for place, column in enumerate(given)}, len(given)
        advice = f"write {', '.join(where)}, separated by tabs; or add a header with these names, to have more columns"
    wanted = list(where.items())
    for line, text in enumerate(lines, start=first):
        if isinstance(text, DataError):
            yield text
        elif len(cells := text.split("\t")) == width:
            yield line, {name: cells[place] for name, place in wanted}
        else:
            problem = f"{counted(len(cells), 'column')} instead of {width}"
            yield DataError(path, problem, advice, line, "malformed line")


def is_head(cells: Sequence[str], required: Sequence[Column], mapping: Mapping[str, str]) -> bool:
    """Whether a first line is a header: it has the names of all required columns, allowing for misspellings."""
    if mapping:
        return True
    names = {cell.strip() for cell in cells}
    missing = [column for column in required if not names.intersection((column.name, *column.aliases))]
    known = {name for column in required for name in (column.name, *column.aliases)}
    return len(missing) < len(required) and all(misspelt(column, names - known) for column in missing)


def misspelt(column: Column, names: Collection[str]) -> str | None:
    """The name that is probably a misspelling of the column's."""
    lower = {name.lower(): name for name in names}
    for name in (column.name, *column.aliases):
        if found := get_close_matches(name.lower(), lower, n=1, cutoff=ALIKE):
            return lower[found[0]]
    return None


def places(
    path: str,
    head: Sequence[str],
    columns: Sequence[Column],
    mapping: Mapping[str, str],
    optional: Collection[str],
    log: Log,
    line: int = 1,
) -> dict[str, int]:
    """The index of each available column in a header; logs which of its names are not used.

    Raises `DataError` for a column that is missing, misspelt or duplicated.
    """

    def wrong(problem: str, advice: str) -> DataError:
        return DataError(path, problem, advice, line, "malformed line")

    names = [name.strip() for name in head]
    where: dict[str, int] = {}
    missing = []
    for column in columns:
        if column.name in mapping:
            name = mapping[column.name]
            if name not in names:
                problem = f"has no column {name!r}, which data.columns names for {column.name}"
                raise wrong(problem, nearest(name, names))
            found = [name]
        elif column.name in names:
            found = [column.name]
        else:
            found = [name for name in column.aliases if name in names]
        if len(found) > 1:
            problem = f"the columns {' and '.join(map(repr, found))} could both be {column.name}"
            raise wrong(problem, f"say which, with --data.columns {column.name}={found[0]}")
        if not found:
            missing.append(column)
        elif names.count(found[0]) > 1:
            raise wrong(f"the column {found[0]!r} is duplicated", "remove one, or give it another name")
        else:
            where[column.name] = names.index(found[0])
    unused = [name for place, name in enumerate(names) if place not in where.values()]
    for column in missing:
        meant = misspelt(column, unused)
        if column.name not in optional:
            there = ", ".join(map(repr, names)) or "none"
            advice = f"did you mean {meant!r}? Then set --data.columns {column.name}={meant}" if meant else ""
            advice = advice or f"choose one of these with --data.columns {column.name}=...: {there}"
            raise wrong(f"has no column {shown(column)}", advice)
        if meant:
            problem = f"the column {meant!r} is not known"
            raise wrong(problem, f"did you mean {column.name!r}? If not, give it another name, or leave it out")
    if unused:
        log(f"{path}: not used: {'column' if len(unused) == 1 else 'columns'} {', '.join(map(repr, unused))}")
    return where


def shown(column: Column) -> str:
    """A column's names."""
    others = f" (or {', '.join(map(repr, column.aliases))})" if column.aliases else ""
    return f"{column.name!r}{others}"


def csv_lines(
    path: str, columns: Sequence[Column], mapping: Mapping[str, str], optional: Collection[str], log: Log
) -> Iterator[Line]:
    """Comma-separated records after a header; a record's line is its last one."""
    faults: list[DataError] = []

    def texts() -> Iterator[str]:
        for text in scan_lines(path):
            if isinstance(text, DataError):
                faults.append(text)
                text = ""
            yield text + "\n"

    csv.field_size_limit(LONGEST_CELL)
    records = csv.reader(texts(), strict=True)
    where: dict[str, int] | None = None
    width = 0
    while True:
        try:
            cells = next(records, None)
        except csv.Error as error:
            faults.append(DataError(path, f"not CSV ({error})", "quote the cell", records.line_num, "malformed line"))
            cells = []
        line = max(records.line_num, 1)
        yield from faults
        failed = bool(faults)
        faults.clear()
        if where is None:
            if failed:
                return
            head = cells or []
            check_separator(path, head)
            where, width = places(path, head, columns, mapping, optional, log), len(head)
        elif cells and not failed:
            if len(cells) == width:
                yield line, {name: cells[place].strip() for name, place in where.items()}
            else:
                problem = f"{counted(len(cells), 'column')} instead of {width}"
                yield DataError(path, problem, "quote cells that hold commas", line, "malformed line")
        if cells is None:
            return


def check_separator(path: str, head: Sequence[str]) -> None:
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(head) == 1 and mark in head[0]:
            advice = "separate them with commas, and quote cells that hold commas"
            raise DataError(path, f"its columns are separated by {name}", advice, 1, "malformed line")


def json_lines(
    path: str, columns: Sequence[Column], mapping: Mapping[str, str], optional: Collection[str], log: Log
) -> Iterator[Line]:
    """Objects, one a line, skipping blank lines. The first one decides which of a column's names all lines use."""
    keys: dict[str, str] | None = None
    absent: dict[str, str] = {}
    several = {column.name for column in columns if column.several}
    for line, text in enumerate(scan_lines(path), start=1):
        record = parse(text, path, line)
        if record is None:
            continue
        if isinstance(record, DataError):
            yield record
            continue
        if keys is None:
            head = list(record)
            try:
                where = places(path, head, columns, mapping, optional, log, line)
            except DataError as error:
                yield error
                continue
            keys = {name: head[place] for name, place in where.items()}
            others = [column for column in columns if column.name not in keys]
            absent = {name: column.name for column in others for name in (column.name, *column.aliases)}
        yield values(record, keys, absent, several, path, line)


def parse(text: str | DataError, path: str, line: int) -> dict[str, Any] | DataError | None:
    """The object of a line, without null values; None for a blank line."""
    if isinstance(text, DataError):
        return text
    if not text.strip():
        return None
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also a number too long to convert
        return DataError(path, f"not JSON ({error})", "write one JSON object a line", line, "malformed line")
    if not isinstance(record, dict):
        return DataError(path, "not a JSON object", "write one JSON object a line", line, "malformed line")
    return record if None not in record.values() else {key: value for key, value in record.items() if value is not None}


def values(
    record: Mapping[str, Any],
    keys: Mapping[str, str],
    absent: Mapping[str, str],
    several: Collection[str],
    path: str,
    line: int,
) -> Line:
    """The values of an object by their columns' names. `absent` are names of columns that the first line lacks."""

    def wrong(problem: str, advice: str) -> DataError:
        return DataError(path, problem, advice, line, "malformed line")

    found: dict[str, Any] = {}
    for name, key in keys.items():
        if key not in record:
            there = ", ".join(map(repr, record)) or "none"
            return wrong(f"no key {key!r} (there: {there})", "give all lines the same keys")
        value = record[key]
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        texts: list[Any] = value if name in several and isinstance(value, list) else [value]
        if not texts or not all(isinstance(text, str) for text in texts):
            what = "a list of them" if name in several else "an integer"
            return wrong(f"the value of {key!r} is not a text", f"write it as a JSON string, or {what}")
        if any(SURROGATE.search(text) for text in texts if not text.isascii()):
            return wrong(f"the value of {key!r} has a lone surrogate", "write the character itself")
        found[name] = tuple(value) if isinstance(value, list) else value
    if absent and (key := next((key for key in record if key in absent), None)):
        return wrong(f"has a key {key!r}, which the first line lacks", "give all lines the same keys")
    return line, found


def annotated_lines(path: str, required: Sequence[Column]) -> Iterator[Line]:
    """Images and their captions, from COCO's annotations."""
    files = [column.name for column in required if column.files]
    others = [column.name for column in required if not column.files and column.name != TARGET]
    if len(files) != 1 or others:
        names = ", ".join(column.name for column in required)
        raise DataError(path, f"is for pictures and captions, not for {names}", "give a table (.tsv, .csv or .jsonl)")
    for found in read_annotations(path):
        yield found if isinstance(found, DataError) else (found[0], {files[0]: found[1], TARGET: found[2]})


# Line-aligned files and arrays


def aligned_lines(paths: Sequence[str], columns: Sequence[Column]) -> Iterator[Line]:
    """Line n of each file, or row n of each array. Raises `DataError` at the end if their numbers differ."""
    names = [column.name for column in columns]
    sources = [of_file(path, column) for path, column in zip(paths, columns, strict=True)]
    line = 0
    cells: tuple[Any, ...] = ()
    for cells in zip_longest(*sources):
        line += 1
        kinds = set(map(type, cells))
        if type(None) in kinds:
            break
        if DataError in kinds:
            yield from (cell for cell in cells if isinstance(cell, DataError))
        else:
            yield line, dict(zip(names, cells, strict=True))
    else:
        return
    # Count to the end, to report the difference.
    counts = [
        line - 1 if cell is None else line + sum(1 for _ in source) for cell, source in zip(cells, sources, strict=True)
    ]
    place = next(place for place, count in enumerate(counts) if count != counts[0])
    problem = f"has {counted(counts[0], 'line')}, but {paths[place]} has {counts[place]:,}"
    advice = "align them: line n of one must go with line n of the other"
    raise DataError(paths[0], problem, advice, kind="line counts differ")


def of_file(path: str, column: Column) -> Iterator[Any]:
    """A column's values as in its file: texts, or rows of its array."""
    if holds_arrays(path):
        return iter(array_of(path, column))
    lines = scan_lines(path)
    return map(split, lines) if column.several else lines


def split(text: str | DataError) -> tuple[str, ...] | DataError:
    """The tab-separated texts of a line."""
    return text if isinstance(text, DataError) else tuple(text.split("\t"))


def array_of(path: str, column: Column) -> Sequence[Any]:
    """The rows of a file's only array, or of the one with one of a column's names."""
    if text_suffix(path) not in ARCHIVES:
        return rows_of(path, "", read_idx(path), column)
    known = read_names(path)
    found = known if len(known) == 1 else array_names(column, known)
    if not found:
        there = ", ".join(sorted(known)) or "none"
        raise DataError(path, f"has no array {column.name!r} (there: {there})", "rename it, or save a single array")
    return rows_of(path, found[0], read_named(path, found[:1])[found[0]], column)


def array_names(column: Column, known: Collection[str]) -> list[str]:
    """The arrays that match a column's names, in the singular or the plural."""
    return [name for own in (column.name, *column.aliases) for name in dict.fromkeys((own, f"{own}s")) if name in known]


def array_lines(
    path: str, columns: Sequence[Column], mapping: Mapping[str, str], optional: Collection[str], log: Log
) -> Iterator[Line]:
    """The rows of a file with an array for each column."""
    known = read_names(path)
    required = [column for column in columns if column.name not in optional]
    where: dict[str, str] = {}
    for column in columns:
        found = [mapping[column.name]] if column.name in mapping else array_names(column, known)
        if not found and len(known) == len(required) == 1 and column.name not in optional:
            found = known
        if found and found[0] not in known:
            problem = f"has no array {found[0]!r}, which data.columns names for {column.name}"
            raise DataError(path, problem, nearest(found[0], known))
        if found:
            where[column.name] = found[0]
        elif column.name not in optional:
            meant = misspelt(column, known)
            hint = f"did you mean {meant!r}?" if meant else f"there are: {', '.join(sorted(known)) or 'none'}"
            raise DataError(path, f"has no array {shown(column)}", hint)
    lengths = [name for key in dict.fromkeys(where.values()) if (name := f"{key}{LENGTHS}") in known]
    arrays = read_named(path, [*dict.fromkeys(where.values()), *lengths])
    used = {column.name: column for column in columns if column.name in where}
    if unused := sorted(set(known).difference(where.values(), lengths)):
        log(f"{path}: not used: {'array' if len(unused) == 1 else 'arrays'} {', '.join(map(repr, unused))}")
    rows = {name: rows_of(path, key, arrays[key], used[name]) for name, key in where.items()}
    counts = {name: len(several) for name, several in rows.items()}
    (first, expected), *others = counts.items()
    for name, count in others:
        if count != expected:
            problem = f"has {counted(expected, 'row')} in {where[first]}, but {count:,} in {where[name]}"
            raise DataError(path, problem, "give all arrays as many rows", kind="line counts differ")
    for name, key in where.items():
        if (sized := f"{key}{LENGTHS}") in lengths:
            rows[name] = shortened(path, key, rows[name], arrays[sized])
    for line, cells in enumerate(zip(*rows.values(), strict=True), start=1):
        yield line, dict(zip(rows, cells, strict=True))


def shortened(path: str, name: str, rows: Sequence[Any], lengths: Shaped[np.ndarray, "*size"]) -> list[Any]:
    """The beginnings of an array's rows, so many values of each. Raises `DataError` for lengths that rows lack."""
    if lengths.shape != (len(rows),) or lengths.dtype.kind not in "iu":
        problem = f"has {name}{LENGTHS} as {lengths.dtype} {list(lengths.shape)}"
        raise DataError(path, problem, f"give a whole number for each of the {len(rows):,} rows of {name}")
    longest = len(rows[0]) if len(rows) else 0
    wrong = np.flatnonzero((lengths < 1) | (lengths > longest))
    if len(wrong):
        problem = f"has {lengths[wrong[0]]} in {name}{LENGTHS}, in row {wrong[0] + 1}"
        raise DataError(path, problem, f"give the lengths of sequences, from 1 to {longest:,}")
    return [row[:length] for row, length in zip(rows, lengths.tolist(), strict=True)]


def rows_of(path: str, name: str, array: Shaped[np.ndarray, "*size"], column: Column) -> Sequence[Any]:
    """An array's rows, as views: labels, images, grids of features, or others."""
    if array.ndim == 0:
        raise DataError(path, f"{name or 'its array'} is a single number", "give an array with a row for each example")
    if array.ndim == 1:
        return as_labels(path, array)
    if any(suffix in column.suffixes for suffix in PICTURES):
        return list(as_pixels(path, array))
    if name == "features" and array.ndim in (3, 4):
        check_features(path, array)
        return list(as_grids(array))
    return list(array)


# From lines to rows


def as_rows(lines: Iterator[Line], paths: Sequence[str], columns: Sequence[Column]) -> Iterator[Row | DataError]:
    """Rows of lines: cells of several texts become tuples, file names absolute paths."""
    several = [column.name for column in columns if column.several]
    files = [column for column in columns if column.files]
    if not several and not files:
        for line in lines:
            yield line if isinstance(line, DataError) else Row(line[1], f"line {line[0]}", line[0])
        return
    # A cell's path is relative to the file that it is in.
    folders = {
        column.name: TableFolder(paths[columns.index(column)] if len(paths) > 1 else paths[0], column)
        for column in files
    }
    for line in lines:
        if isinstance(line, DataError):
            yield line
            continue
        number, cells = line
        name = ""
        faults: list[DataError] = []
        for column in several:
            if isinstance(cells.get(column), str):
                cells[column] = (cells[column],)
        for column, folder in folders.items():
            if isinstance(cells.get(column), str):
                found = folder.file(cells[column].strip(), number)
                if isinstance(found, DataError):
                    faults.append(found)
                else:
                    name, cells[column] = name or found[0], found[1]
        if faults:
            yield from faults
        else:
            yield Row(cells, name or f"line {number}", number)


class TableFolder:
    """The folder of a table, with a column whose cells name files in it."""

    def __init__(self, table: str, column: Column) -> None:
        self.table, self.column = table, column
        self.place = Path(os.path.abspath("." if table == "-" else locate(table).parent))
        self.root = Path(os.path.realpath(self.place))
        self.others: list[Path] | None = None

    def file(self, name: str, line: int) -> tuple[str, Path] | DataError:
        """A file's name, and its path; an error if it is outside the folder, missing or of another kind."""
        column = self.column

        def wrong(problem: str, advice: str, kind: ProblemKind = "malformed line") -> DataError:
            return DataError(self.table, f"{column.name} {problem}", advice, line, kind)

        if not name:
            return wrong("is empty", "name a file in every line")
        if "\0" in name:
            return wrong(f"{name!r} holds a null character", "write the file's name")
        if (numbered := NUMBERED.fullmatch(name)) and not os.path.exists(self.root / name):
            name = numbered[1]
        # Symbolic links are followed before the check: they lead out of the folder as well as ".." does.
        real = os.path.realpath(self.root / name)
        if not Path(real).is_relative_to(self.root):
            return wrong(f"{name!r} leaves the folder", f"give a path inside {self.place}")
        # "./a.png" and "sub/../a.png" are "a.png", unless sub is a link to a folder elsewhere.
        if os.path.realpath(self.root / posixpath.normpath(name)) == real:
            name = posixpath.normpath(name)
        if os.path.isdir(real):
            return wrong(f"{name!r} is a folder", "name a file")
        if not os.path.isfile(real) and (elsewhere := self.beside(name)) is not None:
            return elsewhere
        if not os.path.isfile(real):
            parent = Path(real).parent
            known = os.listdir(parent) if os.path.isdir(parent) else []
            likely = get_close_matches(Path(real).name, known, n=1)
            hint = f"did you mean {posixpath.join(posixpath.dirname(name), likely[0])!r}?" if likely else ""
            return wrong(f"{name!r} is not there", hint or "put the file there, or remove the line", "missing file")
        if column.suffixes and not name.lower().endswith(column.suffixes):
            return wrong(f"{name!r} is of another kind", f"give a file that ends in {' or '.join(column.suffixes)}")
        return name, self.place / name

    def beside(self, name: str) -> tuple[str, Path] | None:
        """The file of this name in another folder of the data set, as COCO and Flickr8k are laid out."""
        if "/" in name or (self.column.suffixes and not name.lower().endswith(self.column.suffixes)):
            return None
        top = self.place.parent if self.place.name in APART else self.place
        if self.others is None:
            readable = os.access(top, os.R_OK | os.X_OK)
            self.others = sorted(path for path in top.iterdir() if path.is_dir()) if readable else []
        for number, folder in enumerate(self.others):
            # No link may lead out; and os.path gives False for an invalid name, where Path raises.
            real = os.path.realpath(folder / name)
            if os.path.isfile(real) and Path(real).is_relative_to(os.path.realpath(top)):
                self.others.insert(0, self.others.pop(number))  # the next one is likely there too
                return (folder / name).relative_to(top).as_posix(), folder / name
        return None


def joined(
    rows: Iterator[Row | DataError], several: Sequence[str], files: Sequence[str], path: str, log: Log
) -> Iterator[Row | DataError]:
    """Merge rows that agree in all columns but those with `several`; errors come first."""
    found: dict[tuple[Any, ...], Row] = {}
    repeated: list[int] = []
    for row in rows:
        if isinstance(row, DataError) or not any(isinstance(row.values.get(name), Path) for name in files):
            yield row
            continue
        key = tuple((name, value) for name, value in row.values.items() if name not in several)
        old = found.setdefault(key, row)
        if old is row:
            continue
        before = {name: old.values[name] for name in several if name in old.values}
        more = {name: tuple(v for v in row.values.get(name, ()) if v not in texts) for name, texts in before.items()}
        if not any(more.values()):
            repeated.append(row.line)
        found[key] = replace(old, values={**old.values, **{name: before[name] + more[name] for name in before}})
    yield from found.values()
    if repeated:
        lines = ", ".join(map(str, repeated[:SHOWN])) + (", ..." if len(repeated) > SHOWN else "")
        what = f"{counted(len(repeated), 'repeated line')} left out (line{'s' if len(repeated) > 1 else ''} {lines})"
        log(f"{path}: {what}")
