"""`attend check`"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from attend.commands.options import Columns, Data, parse
from attend.commands.output import print_json
from attend.data.examples import SPLITS, TARGET, Column, Row, Split
from attend.data.files import DataError, locate
from attend.data.own import Files
from attend.progress import say

if TYPE_CHECKING:
    from attend.data.check import Probe

OF_DATA = ("train", "valid", "test", "folder", "columns")


@dataclass(frozen=True)
class Options:
    """Look for what is wrong with data: encoding, alignment, duplicates, overlap of the parts, broken files, and so on.

    Exits with 1 if something found makes learning impossible. Without RECIPE the data is a source text and its target.

    examples:
      attend check pairs.tsv
      attend check train.en train.de --valid valid.en valid.de
      attend check --train pairs.tsv --test test.jsonl --json
      attend check entailment --train pairs.csv --columns premise=sentence1 hypothesis=sentence2 target=label
      attend check ram photos
    """

    words: Positional[Annotated[tuple[str, ...], arg(metavar="[RECIPE] [FILE ...]", help_behavior_hint="")]] = ()
    """The recipe that is to learn from the data, which says what columns there are; and what a model would learn from:
    the same as --train or --folder."""
    train: Data = ()
    """What a model would learn from: a table (.tsv, .csv, .jsonl), or line-aligned files, one for each input and the
    target; each plain, .gz or .xz."""
    valid: Data = ()
    """What its best weights would be chosen by."""
    test: Data = ()
    """What it would be judged by."""
    folder: Annotated[str, arg(metavar="FOLDER", help_behavior_hint="")] = ""
    """Instead of files: a folder of pictures, say, with metadata.csv, or a sub-folder for each class."""
    columns: Columns = ()
    """What a table calls an input or the target, where not by its name."""
    longest: int = 100
    """Texts of more words are reported."""
    json: bool = False
    """Print the whole report as one JSON object, with every problem's file and line."""


def main(arguments: Sequence[str]) -> int:
    options = with_files(parse(Options, "attend check", arguments))
    from attend.data.check import check

    columns: Sequence[Column] = (Column("source"), Column(TARGET))
    kinds: Mapping[str, Any] = {"source": "text", TARGET: "text"}
    probes: Mapping[str, Probe] = {}
    data: Any = Files()
    if options.words:
        columns, kinds, probes, data = of_recipe(options.words[0])
    given = {name: value for name in OF_DATA if (value := getattr(options, name))}
    if not given and not (hasattr(data, "scan") and data.files("train")):
        raise ValueError("missing FILE (or --train FILE, --folder FOLDER): name the data to check")
    # What the recipe itself names is not mixed with what is given.
    data = Files(**given) if given else data
    if not data.train and not data.folder:
        raise ValueError("missing --train FILE (or --folder FOLDER): --valid and --test go with it")
    places: dict[Split, Sequence[str]] = {split: getattr(data, split) or (data.folder,) for split in SPLITS}
    parts = data.scan(columns, say)
    if options.words:
        parts = with_values_read(options.words[0], data, columns, parts, places)
    report = check(parts, columns, kinds, options.longest, probes, places)
    if options.json:
        print_json(report.to_json())
    else:
        print(report)
    return 1 if report.fatal else 0


def with_files(options: Options) -> Options:
    """The options with a recipe alone among the words: files are those of --train, a folder is that of --folder.

    Raises `ValueError` for data that are named twice.
    """
    words = options.words
    recipe, files = (words[:1], words[1:]) if words and is_recipe(words[0]) else ((), words)
    if files and (options.train or options.folder):
        raise ValueError(f"{files[0]} and {'--train' if options.train else '--folder'}: name the data once")
    if len(files) == 1 and locate(files[0]).is_dir():
        return replace(options, words=recipe, folder=files[0])
    return replace(options, words=recipe, train=files or options.train)


def is_recipe(word: str) -> bool:
    """Whether it names a recipe, and not data. Raises `ValueError`, with the nearest name, for what can be neither."""
    there, dotted = os.path.exists(word), bool(PurePath(word).suffix)
    if there and dotted:  # recipes have no dots, and to know their names takes a second
        return False
    from attend.catalogue import RECIPES, announced, find

    if word in RECIPES or word in announced() or (":" in word and not there):
        return True
    if not there and not dotted:
        find(word)
    return False


def of_recipe(name: str) -> "tuple[Sequence[Column], Mapping[str, Any], Mapping[str, Probe], Any]":
    """The columns that a recipe learns from, their kinds, what looks into files, and its own data."""
    from attend.catalogue import find

    settings = find(name).settings
    if not hasattr(settings, "fields"):
        raise ValueError(f"{name} is not learnt from files: there is nothing to check")
    inputs = settings.fields()
    if not hasattr(settings.output, "column"):  # nothing but the inputs is learnt from
        columns = [one.column(field) for field, one in inputs.items()]
        kinds = {field: "text" if one.kind == "text" else "file" for field, one in inputs.items()}
    else:
        columns, kinds = settings.columns(), settings.kinds()
    probes = {field: probe(one) for field, one in inputs.items() if one.column(field).files}
    return columns, kinds, probes, settings.data


def with_values_read(
    name: str,
    data: Any,
    columns: Sequence[Column],
    parts: Mapping[Split, Iterable[Row | DataError]],
    places: Mapping[Split, Sequence[str]],
) -> Mapping[Split, Iterable[Row | DataError]]:
    """The parts with an error for each row with a value that a recipe can't use, of those that are neither texts nor
    labels nor files, but vectors, say. They are read as in training."""
    from attend.catalogue import find
    from attend.fields.field import Fault
    from attend.outputs.output import Among

    settings = find(name).settings
    kinds = settings.kinds() if hasattr(settings.output, "column") else {}
    order = [column.name for column in columns]
    named = [column.name for column in columns if kinds.get(column.name) == "file" and not column.files]

    def learnt(column: str) -> Any:
        rows = (row for row in data.scan(columns)["train"] if isinstance(row, Row))
        one = settings.output if column == TARGET else settings.fields()[column]
        return one.learn((row.values[column] for row in rows), lambda remark: None)

    readers = {column: learnt(column) for column in named}

    def read(rows: Iterable[Row | DataError], files: Sequence[str]) -> Iterator[Row | DataError]:
        for row in rows:
            yield row if isinstance(row, DataError) else fault(row, files) or row

    def fault(row: Row, files: Sequence[str]) -> DataError | None:
        found: dict[str, Any] = {}
        for column, one in readers.items():
            value = row.values[column]
            if column == TARGET and isinstance(one, Among) and one.among in found:
                (value,) = one.joined([value], [found[one.among]])
            (found[column],) = one.encode([value])
            if isinstance(wrong := found[column], Fault):
                file = files[order.index(column)] if len(files) == len(order) else files[0]
                what = f"{column} {wrong}" if row.line else f"{row.name}: {column} {wrong}"
                kind = "malformed line" if wrong.refused else "unreadable value"
                return DataError(file, what, "correct or remove it", row.line or None, kind)
        return None

    return {split: read(rows, places[split]) for split, rows in parts.items()}


def probe(settings: Any) -> Callable[[Path], Any]:
    """Looks into a file as the field would: pictures are the same if their pixels are, whatever the files' formats."""
    from attend.fields.field import Fault

    def look(path: Path) -> Any:
        (found,) = settings.learn([path], lambda remark: None).encode([path])
        if isinstance(found, Fault):
            raise ValueError(found)
        return found

    return look
