"""Reading a folder of files: pictures, or whatever a column's files are.

A folder has one of four layouts: `metadata.csv` or `metadata.jsonl` with a column `file_name`, one for each other field
and the target (under one of its names, such as `label` or `caption`) and, optionally, `split`; sub-folders named after
splits (train, valid, test); sub-folders named after classes (also within those of splits); or neither. Links to folders
are followed. The files' content is not read here.

    photos/train/cat/a.png         photos/metadata.csv         file_name,caption,split
    photos/train/dog/b.png         photos/a.png                a.png,a red dot,train
    photos/valid/cat/c.png         photos/more/b.png           more/b.png,two dots,test
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attend.data.examples import TARGET, Column, Row, Split
from attend.data.files import DataError, counted, locate, walk
from attend.data.tables import NO_NAMES, read
from attend.settings import nearest

METADATA = ("metadata.csv", "metadata.jsonl")
# The column of file names, whatever the field's name.
FILE_NAME = "file_name"
SPLIT = "split"
# Common names of splits, and the names here.
SPLITS: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "test": "test",
}
# Files that a report names for each reason.
SHOWN = 3


@dataclass(frozen=True)
class UnusedFile:
    """A file that is in no row, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Folder:
    """The rows of a folder, by part; all as "train" if it has no parts.

    `left_out` are the files that are in no row, and `remarks` other remarks, a sentence each.
    """

    path: str
    parts: Mapping[Split, tuple[Row, ...]]
    found: int
    left_out: tuple[UnusedFile, ...] = ()
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        sentences = [f"{self.found - len(self.left_out):,} of {counted(self.found, 'file')} used"]
        reasons: dict[str, list[str]] = {}
        for each in self.left_out:
            reasons.setdefault(each.reason, []).append(each.file)
        for reason, names in reasons.items():
            more = ", ..." if len(names) > SHOWN else ""
            sentences.append(f"{len(names):,} left out, {reason}: {', '.join(names[:SHOWN])}{more}")
        return "; ".join(sentences)


def read_folder(
    path: str,
    columns: Sequence[Column],
    mapping: Mapping[str, str] = NO_NAMES,
    optional: Collection[str] = frozenset(),
) -> Folder:
    """The rows of a folder (see the module's description). `mapping` and `optional` are as in `attend.data.tables`.

    Raises `DataError` if the folder or its metadata can't be read, or there is no row.
    """
    folder = locate(path)
    if not folder.is_dir():
        raise DataError(path, "is not a folder", "give the folder that holds the files")
    files = [column for column in columns if column.files]
    if not files:
        names = ", ".join(column.name for column in columns)
        raise DataError(path, "is a folder", f"give a table with the columns {names}: none of them holds files")
    metadata = [folder / name for name in METADATA if (folder / name).exists()]
    if len(metadata) > 1:
        raise DataError(path, f"has both {' and '.join(METADATA)}", "remove one of them")
    found, inside, left_out = look_through(folder, suffixes_of(files))
    total = len(found) + len(left_out)
    if metadata:
        parts, remarks = read_metadata(str(metadata[0]), columns, mapping, optional)
        used = {os.path.realpath(file) for rows in parts.values() for row in rows for file in files_of(row)}
        missing = f"not in {metadata[0].name}"
        left_out += [UnusedFile(name, missing) for name in found if os.path.realpath(folder / name) not in used]
    else:
        needed = [column.name for column in columns if column.name != TARGET and column.name not in optional]
        if needed != [files[0].name]:
            problem = f"has no metadata to say which values belong together ({', '.join(needed)})"
            raise DataError(path, problem, f"write {METADATA[0]}, with a column for each, and the target")
        target = next((column for column in columns if column.name == TARGET), None)
        classes = target is not None and not target.several
        parts, remarks = from_folders(folder, found, inside, files[0].name, classes, left_out)
        labelled = all(TARGET in row.values for rows in parts.values() for row in rows)
        if target is not None and TARGET not in optional and not labelled:
            names = " or ".join(target.aliases) or TARGET
            advice = f"write {METADATA[0]} ({FILE_NAME}, {names})"
            if classes:
                advice += ", or put the files of each class into a folder of its name"
            raise DataError(path, f"has files without a {names}", advice)
    folder_rows = Folder(path, parts, total, tuple(left_out), tuple(remarks))
    if not any(parts.values()):
        raise DataError(path, f"has no file to use ({folder_rows})", "check the folder")
    return folder_rows


def list_files(path: str, column: Column) -> tuple[list[str], Folder]:
    """The paths of all files below a folder that may be a column's values; and the folder, to say which are not."""
    found, _, left_out = look_through(locate(path), suffixes_of([column]))
    folder = Folder(path, {}, len(found) + len(left_out), tuple(left_out))
    if not found:
        raise DataError(path, f"has no file to use ({folder})", f"name the files ({', '.join(column.suffixes)})")
    return [str(locate(path) / name) for name in found], folder


def suffixes_of(columns: Sequence[Column]) -> tuple[str, ...]:
    """The suffixes of these columns' files; none where one of them may have any."""
    every = all(column.suffixes for column in columns)
    return tuple(suffix for column in columns for suffix in column.suffixes) if every else ()


def files_of(row: Row) -> list[Path]:
    return [value for value in row.values.values() if isinstance(value, Path)]


def look_through(folder: Path, suffixes: tuple[str, ...]) -> tuple[list[str], list[str], list[UnusedFile]]:
    """The names of all files below a folder with one of these suffixes, those of the folders, and the files left out.

    All are sorted; hidden ones are skipped.
    """

    def unreadable(error: OSError) -> None:
        raise DataError(str(error.filename), f"cannot be read ({error.strerror})", "check its permissions") from error

    found: list[str] = []
    folders: list[str] = []
    left_out: list[UnusedFile] = []
    for place, inside, files in walk(folder, unreadable):
        inside[:] = [name for name in inside if not name.startswith(".")]
        folders += [(place / name).relative_to(folder).as_posix() for name in inside]
        for file in files:
            path = place / file
            name = path.relative_to(folder).as_posix()
            if file.startswith(".") or name in METADATA:
                continue
            if os.path.isdir(path):
                left_out.append(UnusedFile(name, "a cyclic link"))
            elif not os.path.exists(path):
                left_out.append(UnusedFile(name, "a broken link"))
            elif suffixes and not file.lower().endswith(suffixes):
                *others, last = suffixes
                left_out.append(UnusedFile(name, f"not a {', '.join(others)}{' or ' if others else ''}{last} file"))
            else:
                found.append(name)
    return found, folders, left_out


def from_folders(
    folder: Path, found: Sequence[str], folders: Sequence[str], column: str, classes: bool, left_out: list[UnusedFile]
) -> tuple[dict[Split, tuple[Row, ...]], list[str]]:
    """Rows with the split and, if there are `classes`, the class that the sub-folders give; and remarks."""
    root = Path(os.path.abspath(folder))
    first = {name.split("/")[0] for name in found if "/" in name}
    with_splits = bool(first) and all(name.lower() in SPLITS for name in first)
    depth = 2 if with_splits else 1
    with_classes = classes and any(name.count("/") >= depth for name in found)
    parts: dict[Split, list[Row]] = {}
    for name in found:
        above = name.split("/")[:-1]
        if with_splits and not above:
            left_out.append(UnusedFile(name, "outside the split folders"))
            continue
        split = SPLITS[above.pop(0).lower()] if with_splits else "train"
        if with_classes and not above:
            left_out.append(UnusedFile(name, "outside the class folders"))
            continue
        values: dict[str, Any] = {column: root / name}
        if with_classes:
            values[TARGET] = above[0]
        parts.setdefault(split, []).append(Row(values, name))
    lost: list[str] = []
    if with_classes:
        there = {row.values[TARGET] for rows in parts.values() for row in rows}
        lost = sorted({name.split("/")[-1] for name in folders if name.count("/") == depth - 1} - there)
    remarks = [f"no files of the class{'' if len(lost) == 1 else 'es'}: {', '.join(lost)}"] if lost else []
    return in_order(parts), remarks


def in_order(parts: Mapping[Split, Sequence[Row]]) -> dict[Split, tuple[Row, ...]]:
    return {split: tuple(parts[split]) for split in dict.fromkeys(SPLITS.values()) if split in parts}


def read_metadata(
    path: str, columns: Sequence[Column], mapping: Mapping[str, str], optional: Collection[str]
) -> tuple[dict[Split, tuple[Row, ...]], list[str]]:
    """The rows of the metadata, and which columns are not used. Raises `DataError` at the first malformed line."""
    named = next(place for place, column in enumerate(columns) if column.files)
    known = [*columns, Column(SPLIT)]
    if FILE_NAME not in known[named].aliases:
        known[named] = replace(known[named], aliases=(FILE_NAME, *known[named].aliases))
    parts: dict[Split, list[Row]] = {}
    remarks: list[str] = []
    lines: dict[tuple[Any, ...], Row] = {}
    for row in read((path,), known, mapping, {*optional, SPLIT}, remarks.append):

        def wrong(problem: str, advice: str, line: int = row.line) -> DataError:
            return DataError(path, problem, advice, line, "malformed line")

        cells = dict(row.values)
        split = cells.pop(SPLIT, "train")
        if split.lower() not in SPLITS:
            raise wrong(f"split {split!r} is not known", nearest(split, list(SPLITS)))
        inputs = tuple(value for name, value in cells.items() if name != TARGET)
        old = lines.setdefault(inputs, row)
        if old is not row:
            if old.values == row.values:
                raise wrong(f"{row.name!r} is already in line {old.line}", "keep one of the lines")
            what = "split" if old.values.get(SPLIT) != row.values.get(SPLIT) else TARGET
            raise wrong(f"{row.name!r} has another {what} than in line {old.line}", "keep one of them")
        parts.setdefault(SPLITS[split.lower()], []).append(replace(row, values=cells))
    return in_order(parts), remarks
