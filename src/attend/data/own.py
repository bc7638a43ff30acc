"""The user's own data: tables, line-aligned files, arrays, or a folder of files."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool

from attend.data.arrays import holds_arrays
from attend.data.examples import SPLITS, TARGET, Column, Fixed, Kept, Log, Row, Split
from attend.data.files import DataError, counted, locate, readable_again
from attend.data.folders import read_folder
from attend.data.tables import NO_NAMES, read, scan, silent
from attend.settings import check_range, nearest

# More distinct targets than this are not classes, and aren't kept to check.
MOST_CLASSES = 10_000
# Up to this many classes, one with a single example is an error rather than a sign that targets aren't classes.
FEW_CLASSES = 100


@dataclass(frozen=True)
class Files:
    """Your own examples: from files, or from a folder."""

    name: str = ""
    """What the data is called in results and model cards, such as "multi30k en-de"."""
    train: tuple[str, ...] = ()
    """Training data: one table with a column for each field and the target (.tsv, .csv or .jsonl), or line-aligned
    files, one for each, in that order (texts, or arrays: idx, .npz or .safetensors); each plain, .gz or .xz. A relative
    path is also looked for in the folder that ATTEND_DATA names."""
    valid: tuple[str, ...] = ()
    """Validation data, for model selection; same format."""
    test: tuple[str, ...] = ()
    """Test data, for `attend evaluate`; same format."""
    folder: str = ""
    """Instead of train: a folder of files, with metadata.csv or metadata.jsonl (file_name, split, and a column for each
    other field and the target), or with a sub-folder for each class, in sub-folders train, valid and test or not."""
    columns: tuple[str, ...] = ()
    """A table's column for a field or the target, where its name differs: field=column, such as premise=sentence1
    target=gold_label."""
    held_out: float = 0.1
    """The share of the training examples held out for validation, where the data has no validation part."""

    def __post_init__(self) -> None:
        check_range(self, "held_out", 0, 1)
        if not self.held_out:
            raise ValueError("held_out must be above 0: the best weights can't be selected without validation examples")
        if self.folder and self.train:
            problem = "data.folder and data.train are both set"
            raise ValueError(f"{problem}: leave out one of them (one that the recipe sets, with --data.folder '')")
        if not self.train and (beside := [part for part in ("valid", "test") if getattr(self, part)]):
            problem = f"data.{beside[0]} goes with data.train"
            raise ValueError(f"{problem}; in a folder, put the files into a sub-folder {beside[0]}")
        self.mapping()

    def mapping(self) -> dict[str, str]:
        """The columns of fields. Raises `ValueError` if `columns` is malformed."""
        named: dict[str, str] = {}
        for text in self.columns:
            field, equals, column = text.partition("=")
            if not (field and equals and column):
                raise ValueError(f"columns has {text!r}: write field=column, such as premise=sentence1")
            if field in named:
                raise ValueError(f"columns names {field!r} twice: {named[field]!r} and {column!r}")
            named[field] = column
        return named

    def open(self, columns: Sequence[Column], seed: int, log: Log) -> Fixed:
        """Raises `ValueError` if no training data are set, `DataError` if they can't be read."""
        check_fields(self.mapping(), columns)
        if self.folder:
            return self.open_folder(columns, seed, log)
        if not self.train:
            raise ValueError("there are no training data: set data.train or data.folder")
        for paths in (self.train, self.valid):
            if not readable_again(paths):
                problem = "is not a file, and must be read more than once"
                raise DataError(", ".join(paths), problem, "save it to a file first")
        return Tables(self, columns, seed, log)

    def open_folder(self, columns: Sequence[Column], seed: int, log: Log) -> Fixed:
        found = read_folder(self.folder, columns, self.mapping())
        log(f"{self.folder}: {found}")
        for remark in found.remarks:
            log(remark)
        parts = dict(found.parts)
        if "train" not in parts:
            raise DataError(self.folder, "has no training examples", "put some into a split called train")
        if "valid" not in parts:
            held = set_aside(parts["train"], self.held_out, seed, self.folder, log)
            rows = parts["train"]
            parts["train"] = tuple(row for row, away in zip(rows, held, strict=True) if not away)
            parts["valid"] = tuple(row for row, away in zip(rows, held, strict=True) if away)
        return Kept(parts)

    def scan(self, columns: Sequence[Column], log: Log = silent) -> dict[Split, Iterable[Row | DataError]]:
        """The parts as given, with an error for each malformed line, for `attend.data.check`.

        Raises `ValueError` as `open` does, except for the files' content.
        """
        mapping = self.mapping()
        check_fields(mapping, columns)
        if not self.folder:
            return {
                split: scan(getattr(self, split), columns, mapping, log=log) for split in SPLITS if getattr(self, split)
            }
        try:
            found = read_folder(self.folder, columns, mapping)
        except DataError as error:
            return {"train": [error]}
        log(f"{self.folder}: {found}")
        return dict(found.parts)

    def reads(self) -> tuple[str, ...]:
        return (self.folder,) if self.folder else (*self.train, *self.valid)

    def files(self, split: Split) -> tuple[str, ...]:
        return getattr(self, split) or ((f"{self.folder} ({split})",) if self.folder else ())


def check_fields(mapping: Mapping[str, str], columns: Sequence[Column]) -> None:
    """Raises `ValueError` for a name that is not a field's."""
    known = [column.name for column in columns]
    for name in mapping:
        if name not in known:
            raise ValueError(f"data.columns names an unknown field {name!r}: {nearest(name, known)}")


class Tables:
    """Parts that are read from files, again each time except for arrays; see `attend.data.examples.Fixed`."""

    def __init__(self, files: Files, columns: Sequence[Column], seed: int, log: Log) -> None:
        self.paths: dict[Split, tuple[str, ...]] = {
            split: getattr(files, split) for split in SPLITS if getattr(files, split)
        }
        self.columns, self.mapping = columns, files.mapping()
        self._share, self._seed, self._log = files.held_out, seed, log
        self._said: set[str] = set()
        self._arrays: dict[Split, list[Row]] = {}

    @property
    def splits(self) -> tuple[Split, ...]:
        return tuple(split for split in SPLITS if split in self.paths or split == "valid")

    @cached_property
    def held(self) -> Bool[np.ndarray, "row"]:
        """Which training rows are held out for validation."""
        files = ", ".join(self.paths["train"])
        return set_aside(self.read("train"), self._share, self._seed, files, self._log)

    def rows(self, split: Split) -> Iterator[Row]:
        if "valid" in self.paths or split == "test":
            yield from self.read(split)
            return
        count = 0
        for row in self.read("train"):
            if count < len(self.held) and self.held[count] == (split == "valid"):
                yield row
            count += 1
        if count != len(self.held):
            problem = f"has {counted(count, 'row')} now, but had {len(self.held):,}"
            raise DataError(", ".join(self.paths["train"]), problem, "don't change it while it is read")

    def read(self, split: Split) -> Iterator[Row]:
        """All rows of a part's files."""
        paths = self.paths[split]
        if not any(map(holds_arrays, paths)):
            return read(paths, self.columns, self.mapping, log=self.say)
        if split not in self._arrays:
            self._arrays[split] = list(read(paths, self.columns, self.mapping, log=self.say))
        return iter(self._arrays[split])

    def say(self, remark: str) -> None:
        """Files are read several times; log each remark once."""
        if remark not in self._said:
            self._said.add(remark)
            self._log(remark)


def read_given(
    paths: Sequence[str],
    columns: Sequence[Column],
    mapping: Mapping[str, str] = NO_NAMES,
    optional: Collection[str] = frozenset(),
    log: Log = silent,
) -> Iterator[Row]:
    """The rows of given files: as `attend.data.tables.read`, of a folder, or of the files themselves.

    Where a single column of files is needed, each file is a row: `a.png b.png`. Raises `DataError` at the first that
    can't be read.
    """
    if len(paths) == 1 and paths[0] != "-" and locate(paths[0]).is_dir():
        found = read_folder(paths[0], columns, mapping, optional)
        log(f"{paths[0]}: {found}")
        for remark in found.remarks:
            log(remark)
        return (row for rows in found.parts.values() for row in rows)
    needed = [column for column in columns if column.name not in optional]
    if len(needed) == 1 and needed[0].suffixes and paths and all(is_one(path, needed[0]) for path in paths):
        return (Row({needed[0].name: locate(path).absolute()}, path) for path in paths)
    return read(paths, columns, mapping, optional, log)


def is_one(path: str, column: Column) -> bool:
    """Whether a file has one of the column's suffixes."""
    return column.files and path.lower().endswith(column.suffixes)


# Holding out


def set_aside(rows: Iterable[Row], share: float, seed: int, place: str, log: Log) -> Bool[np.ndarray, "row"]:
    """Which rows to hold out: a random share of each class, or of all rows where targets aren't classes.

    Targets are classes if there are at most half as many of them as rows. Raises `DataError` for a class, or for data,
    with a single example.
    """
    number: dict[str, int] | None = {}
    labels: list[int] = []
    count = 0
    for row in rows:
        count += 1
        if number is None:
            continue
        target = row.values.get(TARGET)
        if isinstance(target, str) and len(number) <= MOST_CLASSES:
            labels.append(number.setdefault(target.strip(), len(number)))
        else:
            number = None
    if number and 2 * len(number) <= count:
        sizes = np.bincount(labels)
        # An empty one is no class: its examples are left out.
        single = [name for name, size in zip(number, sizes, strict=True) if size < 2 and name]
        if single and len(number) <= FEW_CLASSES:
            several = len(single) > 1
            names = f"the class{'es' if several else ''} {', '.join(map(repr, single))}"
            problem = f"{names} {'have' if several else 'has'} only one example{' each' if several else ''}"
            raise DataError(place, problem, "give at least two: one to train on, one to validate on")
        held = None if single else of_each_class(np.array(labels), share, seed)
    else:
        held = None
    if held is None:
        held = of_all(count, share, seed, place)
    away = int(held.sum())
    log(f"{away:,} of the examples {'is' if away == 1 else 'are'} held out for validation (data.held_out)")
    return held


def of_each_class(labels: np.ndarray, share: float, seed: int) -> Bool[np.ndarray, "row"]:
    """A random share of each class, at least one, and not all of it."""
    order = np.random.default_rng([seed]).permutation(len(labels))
    held = np.zeros(len(labels), dtype=bool)
    for label in range(labels.max() + 1):
        members = order[labels[order] == label]
        held[members[: min(len(members) - 1, max(1, round(share * len(members))))]] = True
    return held


def of_all(count: int, share: float, seed: int, place: str) -> Bool[np.ndarray, "row"]:
    """A random share, at least one, and not all. Raises `DataError` for fewer than two."""
    if count < 2:
        problem = f"has {counted(count, 'example')}"
        raise DataError(place, problem, "give at least two: one to train on, one to validate on")
    held = np.zeros(count, dtype=bool)
    held[np.random.default_rng([seed]).permutation(count)[: min(count - 1, max(1, round(share * count)))]] = True
    return held
