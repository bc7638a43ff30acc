"""Rows of examples: the common interface of all sources of data.

A row has a raw value for each *column*: one for each input field, and "target". A *source* gives the rows of each part
of the data. Sources that read files are `Fixed`: their training rows are the same in every epoch. Sources that generate
are `Fresh`: a row is a function of (seed, epoch, index) alone, so that a resumed run sees the same rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Integer

TARGET = "target"
"""The column to predict."""

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")
Log = Callable[[str], None]

WRITTEN = "write"
"""What a truth is over whose cells are memory slots: those that were written at some steps of the input."""

Span = tuple[int, int]
"""Characters of a text, or steps, from and to before."""
Box = tuple[float, float, float, float]
"""A region of an image: left, top, right, bottom in [-1, 1], from corner to corner."""


@dataclass(frozen=True)
class Column:
    """A column's description for readers of tables and folders.

    `aliases` are other names that a table may use for it. With `files` its cells are paths of files with one of these
    `suffixes`, relative to the table. With `several`, rows that agree in all other columns are merged into one, whose
    value of this column is a tuple (an image's captions).
    """

    name: str
    aliases: tuple[str, ...] = ()
    files: bool = False
    suffixes: tuple[str, ...] = ()
    several: bool = False


@dataclass(frozen=True)
class Truth:
    """The part of an input that determines a part of the output: where a model should look.

    `over` is the field, `where` its region or characters (of one place, or of several). `of` are the characters of the
    target that depend on it; None for every step of the output. Over `WRITTEN` `where` are steps of the input, which a
    memory was written at.
    """

    over: str
    where: Span | Box | tuple[Span, ...]
    of: Span | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """An example: a raw value for each column, and its name in messages and results ("line 3", "a/b.png").

    `line` is its line in its file, from 1; 0 without one. Measures are also taken by `group` (the corpus, the
    language); empty for none.
    """

    values: Mapping[str, Any]
    name: str = ""
    line: int = 0
    truth: tuple[Truth, ...] = ()
    group: str = ""


@runtime_checkable
class Fixed(Protocol):
    """Parts that are the same in every epoch. `rows` may be called again, and rereads the files."""

    @property
    def splits(self) -> tuple[Split, ...]:
        """The available parts; "train" and "valid" always."""
        ...

    def rows(self, split: Split) -> Iterator[Row]:
        """The part's rows. Raises `DataError` at the first that can't be read."""
        ...


@runtime_checkable
class Fresh(Protocol):
    """Training rows that are new in every epoch, and frozen evaluation parts."""

    @property
    def splits(self) -> tuple[Split, ...]: ...

    def rows(self, split: Split) -> Iterator[Row]:
        """The rows of a frozen part, "valid" or "test"; of "train", rows that contain all words and classes."""
        ...

    def __len__(self) -> int:
        """Rows per epoch."""
        ...

    def column(self, epoch: int, name: str) -> Sequence[Any] | None:
        """An epoch's values of one column, to plan batches by length; None if all have the same length."""
        ...

    def draw(self, epoch: int, index: Integer[np.ndarray, "chosen"]) -> Sequence[Row]:
        """These rows of an epoch."""
        ...


@runtime_checkable
class Examples(Protocol):
    """The settings of a source (a frozen dataclass): which files, or what to generate."""

    @property
    def name(self) -> str:
        """What the data is called in results and model cards."""
        ...

    def open(self, columns: Sequence[Column], seed: int, log: Log) -> Fixed | Fresh:
        """The source. Raises `ValueError` if the settings name no training data. `log` takes remarks."""
        ...

    def reads(self) -> tuple[str, ...]:
        """The files and folders that training and validation read, whose checksums the run keeps."""
        ...

    def files(self, split: Split) -> tuple[str, ...]:
        """What a part is read or generated from, human-readable."""
        ...


# What sources share


class Kept:
    """Parts whose rows are in memory; see `Fixed`."""

    def __init__(self, parts: Mapping[Split, Sequence[Row]]) -> None:
        self.parts = parts

    @property
    def splits(self) -> tuple[Split, ...]:
        return tuple(split for split in SPLITS if split in self.parts)

    def rows(self, split: Split) -> Iterator[Row]:
        return iter(self.parts[split])


def as_several(text: str, several: bool) -> str | tuple[str, ...]:
    """A text as the value of a column: a tuple if it may have several."""
    return (text,) if several else text


def check_columns(columns: Sequence[Column], given: Sequence[str], what: str) -> None:
    """Raises `ValueError` for a column that a generated set, `what`, does not have."""
    if missing := [column.name for column in columns if column.name not in given]:
        raise ValueError(f"{what} have no {missing[0]!r}: they give {' and '.join(given)}")
