"""Reading a folder of PNG and JPEG images.

A folder says what its images are in one of four ways: `metadata.csv` (with a head line) or `metadata.jsonl` (an object
a line) with the columns `file_name` and, each optional, `label`, `caption` and `split` (others are not used);
sub-folders named after splits (train, valid, test); sub-folders named after classes (also within those of splits); or
not at all. A file name that stands in several lines has all their captions. Links to folders are followed.

Everything that a stranger's folder can hold is read or said: what was left out and why, resized, turned or laid over
black.
"""

import csv
import json
import os
import posixpath
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from attend.data.files import DataError, counted, locate, read_lines, walk
from attend.data.image import LARGEST_BYTES, Form, ImageError, Images, decode, number_labels, size_of
from attend.settings import nearest

SUFFIXES = (".png", ".jpg", ".jpeg")
COLUMNS = ("file_name", "label", "caption", "split")
# How the parts of a data set are called, and what they are called here.
SPLITS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "test": "test",
}
# The part of images that no split was said of.
ALL = "all"
# Files of each kind that a report names, and sizes.
SHOWN = 3
AS_THEY_ARE = Form()


@dataclass(frozen=True)
class LeftOut:
    """An image that was not read, and why; `line` is where the metadata names it."""

    file: str
    reason: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file} (line {self.line})"


@dataclass(frozen=True)
class Report:
    """What became of the files that were found; sizes are (rows, columns)."""

    found: int
    form: Form
    left_out: tuple[LeftOut, ...] = ()
    resized: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """How many images of which size were resized."""
    over_black: int = 0
    """How many were partly transparent, and laid over black."""
    turned: int = 0
    """How many were turned or mirrored as their EXIF orientation says."""

    def __str__(self) -> str:
        sentences = [f"{self.found - len(self.left_out):,} of {counted(self.found, 'file')} read"]
        if self.resized:
            how = "fitted in and padded with black" if self.form.fit == "pad" else "filled and cropped"
            sizes = [f"{rows} x {columns}" for rows, columns in list(self.resized)[:SHOWN]]
            more = ", ..." if len(self.resized) > SHOWN else ""
            sentences.append(
                f"{sum(self.resized.values()):,} resized to {self.form.rows} x {self.form.columns}, {how} "
                f"(from {', '.join(sizes)}{more})"
            )
        if self.turned:
            sentences.append(f"{self.turned:,} turned as their EXIF orientation says")
        if self.over_black:
            sentences.append(f"{self.over_black:,} with transparent parts laid over black")
        reasons: dict[str, list[LeftOut]] = {}
        for image in self.left_out:
            reasons.setdefault(image.reason, []).append(image)
        for reason, images in reasons.items():
            more = ", ..." if len(images) > SHOWN else ""
            sentences.append(f"{len(images):,} left out, {reason}: {', '.join(map(str, images[:SHOWN]))}{more}")
        return "; ".join(sentences)


@dataclass(frozen=True)
class Folder:
    """What a folder held: its parts by name (`ALL` where it has none), views into one array, and what became of it.

    `notes` are what else there is to say of it, a line each.
    """

    parts: Mapping[str, Images]
    report: Report
    notes: tuple[str, ...] = ()


@dataclass
class Entry:
    """An image file to be read."""

    path: Path
    name: str
    line: int | None = None
    label: str | None = None
    captions: tuple[str, ...] = ()
    split: str = ALL


def read_folder(path: str, form: Form = AS_THEY_ARE) -> Folder:
    """The images of a folder, with their labels and captions (see the module's description).

    Raises `DataError` if the folder or its metadata can't be read, or no image is left; single images that can't be
    used are left out and reported.
    """
    folder = locate(path)
    if not folder.is_dir():
        raise DataError(path, "is not a folder", "give the folder that holds the images")
    metadata = [folder / name for name in ("metadata.csv", "metadata.jsonl") if (folder / name).exists()]
    if len(metadata) > 1:
        raise DataError(path, "has both metadata.csv and metadata.jsonl", "remove one of them")
    left_out: list[LeftOut] = []
    folders: list[str] = []
    found = list(look_through(folder, folders, left_out))
    if metadata:
        entries, notes = read_metadata(metadata[0], folder)
        classes: set[str] = set()
        named = {os.path.realpath(entry.path) for entry in entries}
        # Of a file that the metadata names, decoding says what is wrong.
        left_out = [image for image in left_out if os.path.realpath(folder / image.file) not in named]
        missing = f"not in {metadata[0].name}"
        left_out += [LeftOut(entry.name, missing) for entry in found if os.path.realpath(entry.path) not in named]
    else:
        entries, classes = from_folders(found, folders, left_out)
        notes = []
    classes |= {entry.label for entry in entries if entry.label is not None}
    order = {split: number for number, split in enumerate(dict.fromkeys(SPLITS.values()))}
    entries.sort(key=lambda entry: order.get(entry.split, len(order)))
    parts, report = load(path, entries, form, left_out)
    if lost := sorted(classes.difference(*(images.classes for images in parts.values()))):
        notes.append(f"no images are left of the class{'' if len(lost) == 1 else 'es'}: {', '.join(lost)}")
    return Folder(parts, report, tuple(notes))


def look_through(folder: Path, folders: list[str], left_out: list[LeftOut]) -> Iterator[Entry]:
    """Every image file below a folder, in the order of the names; other files are left out, hidden ones passed over.

    The folders below it, empty ones too, are added to `folders`.
    """

    def unreadable(error: OSError) -> None:
        raise DataError(str(error.filename), f"cannot be read ({error.strerror})", "check its permissions") from error

    for place, inside, files in walk(folder, unreadable):
        inside[:] = [name for name in inside if not name.startswith(".")]
        folders += [(place / name).relative_to(folder).as_posix() for name in inside]
        for file in files:
            path = place / file
            name = path.relative_to(folder).as_posix()
            if file.startswith(".") or name in ("metadata.csv", "metadata.jsonl"):
                continue
            if path.suffix.lower() in SUFFIXES:
                yield Entry(path, name)
            elif os.path.isdir(path):
                left_out.append(LeftOut(name, "a link to a folder that it is in"))
            elif not os.path.exists(path):
                left_out.append(LeftOut(name, "no such file"))
            else:
                left_out.append(LeftOut(name, "not a .png, .jpg or .jpeg file"))


def from_folders(
    found: Sequence[Entry], folders: Sequence[str], left_out: list[LeftOut]
) -> tuple[list[Entry], set[str]]:
    """Images with the split and the label that the folders they are in say; and all classes that have a folder."""
    entries: list[Entry] = []
    classes: set[str] = set()
    first = {entry.name.split("/")[0] for entry in found if "/" in entry.name}
    with_splits = bool(first) and all(name.lower() in SPLITS for name in first)
    depth = 2 if with_splits else 1
    with_classes = any(entry.name.count("/") >= depth for entry in found)
    if with_classes:
        classes = {name.split("/")[-1] for name in folders if name.count("/") == depth - 1}
    for entry in found:
        above = entry.name.split("/")[:-1]
        if with_splits and not above:
            left_out.append(LeftOut(entry.name, "beside the folders of the splits"))
            continue
        if with_splits:
            entry.split = SPLITS[above.pop(0).lower()]
        if with_classes and not above:
            left_out.append(LeftOut(entry.name, "beside the folders of the classes"))
            continue
        entry.label = above[0] if above else None
        entries.append(entry)
    return entries, classes


def read_metadata(path: Path, folder: Path) -> tuple[list[Entry], list[str]]:
    """The images that metadata names, each once, and what of it is not used, in sentences.

    Raises `DataError` at the first line that can't be used.
    """
    entries: dict[str, Entry] = {}
    repeated: list[int] = []
    unused: dict[str, None] = {}
    root = Path(os.path.realpath(folder))
    records = csv_records(str(path), unused) if path.suffix == ".csv" else json_records(str(path), unused)
    for line, record in records:

        def wrong(problem: str, advice: str, line: int = line) -> DataError:
            return DataError(str(path), problem, advice, line, "malformed line")

        name = record.get("file_name", "")
        if not name:
            raise wrong("no file_name", "name the image's file in every line")
        if "\0" in name:
            raise wrong(f"file_name {name!r} holds a null character", "write the file's name")
        # Symbolic links are followed before the check: they lead out of the folder as well as ".." does.
        real = os.path.realpath(root / name)
        if not Path(real).is_relative_to(root):
            raise wrong(f"file_name {name!r} leaves the folder", "give a path inside it")
        # "./a.png" and "sub/../a.png" are "a.png": but not where sub is a link to a folder elsewhere.
        if os.path.realpath(root / posixpath.normpath(name)) == real:
            name = posixpath.normpath(name)
        split = record.get("split")
        if split is not None and not split.strip():
            raise wrong("the split is empty", "write train, valid or test, or leave the column split out of all lines")
        if split is not None and split.lower() not in SPLITS:
            raise wrong(f"split {split!r} is not known", nearest(split, list(SPLITS)))
        for column in ("label", "caption"):
            if column in record and not record[column].strip():
                raise wrong(f"an empty {column}", f"fill it in, or leave the column {column} out of all lines")
        caption = (record["caption"],) if "caption" in record else ()
        entry = Entry(folder / name, name, line, record.get("label"), caption, SPLITS[split.lower()] if split else ALL)
        old = entries.setdefault(name, entry)
        if old is entry:
            continue
        if (old.label, old.split) != (entry.label, entry.split):
            raise wrong(f"{name!r} has another label or split than in line {old.line}", "keep one of them")
        if not caption:
            raise wrong(f"{name!r} stands in line {old.line} already", "keep one of the lines")
        if caption[0] in old.captions:
            repeated.append(line)
        else:
            old.captions += caption
    notes = [f"column {column!r} of {path.name} is not used" for column in unused]
    if repeated:
        lines = ", ".join(map(str, repeated[:SHOWN])) + (", ..." if len(repeated) > SHOWN else "")
        lines = f"line{'s' if len(repeated) > 1 else ''} {lines}"
        notes.append(f"{counted(len(repeated), 'repeated caption')} of {path.name} left out ({lines})")
    return list(entries.values()), notes


def check_columns(file: str, names: Collection[str], line: int, unused: dict[str, None]) -> None:
    """Raise `DataError` for a column whose name is misspelt, or if that of file names is missing.

    Other columns that metadata doesn't have are added to `unused`.
    """
    missing = [name for name in COLUMNS if name not in names]
    for name in names:
        if name in COLUMNS or name in unused:
            continue
        # Where there is a caption, "caption_id" is no misspelling of it.
        if meant := get_close_matches(name.lower(), missing, n=1, cutoff=0.7):
            advice = f"did you mean {meant[0]!r}? If not, give it another name, or leave it out"
            raise DataError(file, f"the column {name!r} is not known", advice, line, "malformed line")
        unused[name] = None
    if "file_name" not in names:
        raise DataError(file, "no file_name", "name the image's file in every line", line, "malformed line")


def csv_records(file: str, unused: dict[str, None]) -> Iterator[tuple[int, dict[str, str]]]:
    """The records of a CSV file with a head line, and the lines that they end in. For `unused` see `check_columns`."""
    rows = csv.reader((text + "\n" for text in read_lines(file)), strict=True)
    try:
        head = [name.strip().removeprefix("\ufeff") for name in next(rows, [])]
        for mark, name in ((";", "semicolons"), ("\t", "tabs")):
            if len(head) == 1 and mark in head[0]:
                advice = "separate them with commas, and quote fields that hold commas"
                raise DataError(file, f"its columns are separated by {name}", advice, 1, "malformed line")
        check_columns(file, head, 1, unused)
        if len(set(head)) < len(head):
            raise DataError(file, "a column stands in the head line twice", "remove one", 1, "malformed line")
        for row in rows:
            if len(row) not in (0, len(head)):
                problem = f"{counted(len(row), 'field')} instead of {len(head)}"
                raise DataError(file, problem, "quote fields that hold commas", rows.line_num, "malformed line")
            if row:
                record = zip(head, (value.strip() for value in row), strict=True)
                yield rows.line_num, {name: value for name, value in record if name not in unused}
    except csv.Error as error:
        raise DataError(file, f"not CSV ({error})", "quote the field", rows.line_num, "malformed line") from error


def json_records(file: str, unused: dict[str, None]) -> Iterator[tuple[int, dict[str, str]]]:
    """The records of a JSON Lines file, and their lines; a label may be a whole number, and null is nothing.

    For `unused` see `check_columns`.
    """
    first: set[str] | None = None
    for line, text in enumerate(read_lines(file), start=1):

        def malformed(problem: str, advice: str, line: int = line) -> DataError:
            return DataError(file, problem, advice, line, "malformed line")

        if not text.strip():
            continue
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:  # ValueError: also a number too long to convert
            raise malformed(f"not JSON ({error})", "write one JSON object a line") from None
        if not isinstance(found, dict):
            raise malformed("not a JSON object", "write one JSON object a line")
        record = {key: value for key, value in found.items() if value is not None}
        check_columns(file, found, line, unused)
        record = {key: value for key, value in record.items() if key not in unused}
        if isinstance(record.get("label"), int) and not isinstance(record["label"], bool):
            record["label"] = str(record["label"])
        for key, value in record.items():
            if not isinstance(value, str):
                raise malformed(f"the value of {key!r} is not a text", "write it as a JSON string")
            # JSON can escape half of a surrogate pair, which no encoding can write.
            if any("\ud800" <= character <= "\udfff" for character in value):
                raise malformed(f"the value of {key!r} has a lone surrogate", "write the character itself")
        first = first if first is not None else set(record)
        if set(record) != first:
            raise malformed(
                f"has {', '.join(sorted(record))}, but the first line has {', '.join(sorted(first))}",
                "give all lines the same keys",
            )
        yield line, record


def load(path: str, entries: Sequence[Entry], form: Form, left_out: list[LeftOut]) -> tuple[dict[str, Images], Report]:
    """Decode the entries, ordered by split, into one array."""
    found = len(entries) + len(left_out)
    resized: Counter[tuple[int, int]] = Counter()
    over_black = turned = 0
    rows, columns = form.rows, form.columns
    if rows is None or columns is None:
        rows, columns = commonest_size(entries)
        form = replace(form, rows=rows, columns=columns)
    size = len(entries) * form.channels * rows * columns
    if size > LARGEST_BYTES:
        problem = f"{counted(len(entries), 'image')} of {rows} x {columns} would take {size / 2**30:.0f} GiB"
        raise DataError(path, problem, "give fewer rows and columns")
    pixels = np.empty((len(entries), form.channels, rows, columns), dtype=np.uint8)
    kept: list[Entry] = []
    for entry in entries:
        try:
            decoded = decode(entry.path, form)
        except ImageError as error:
            left_out.append(LeftOut(entry.name, str(error), entry.line))
            continue
        pixels[len(kept)] = decoded.pixels
        kept.append(entry)
        over_black += decoded.over_black
        turned += decoded.turned
        if decoded.size != (rows, columns):
            resized[decoded.size] += 1
    report = Report(found, form, tuple(left_out), dict(resized.most_common()), over_black, turned)
    if not kept:
        raise DataError(path, f"no image is left to use ({report})", "check the folder")
    names = tuple(entry.name for entry in kept)
    labels, classes = number_labels([entry.label for entry in kept if entry.label is not None])
    captions = tuple(entry.captions for entry in kept) if kept[0].captions else None
    images = Images(pixels[: len(kept)], labels if classes else None, classes, captions, names)
    splits = [entry.split for entry in kept]
    starts = {split: splits.index(split) for split in dict.fromkeys(splits)}
    return {split: images.part(start, start + splits.count(split)) for split, start in starts.items()}, report


def commonest_size(entries: Sequence[Entry]) -> tuple[int, int]:
    """The (rows, columns) that most of the images have; (1, 1) if none can be read."""
    sizes: Counter[tuple[int, int]] = Counter()
    for entry in entries:
        with suppress(ImageError):  # it is refused again, and then reported, when it is decoded
            sizes[size_of(entry.path)] += 1
    return max(sizes, key=sizes.__getitem__, default=(1, 1))
