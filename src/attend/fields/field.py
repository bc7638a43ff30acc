"""What a field is: a named input of one kind.

A field has two faces. Its *settings* (`Text(unit="bpe")`, a frozen dataclass) say how values are read; from training
values they learn the *field* itself (a vocabulary, a size), which a run folder keeps.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from attend.attention.trace import Axis, Grid, Media, Named
from attend.contract import PAD, Cells
from attend.data.examples import Column, Log
from attend.data.ragged import Ragged, Stacked, pad


class Fault(str):
    """Why a value can't be used, such as "is empty": it follows the name of the field.

    A row with such a value is left out. Where `refused` is true it can't be: the data are wrong as a whole.
    """

    refused: bool = False

    @classmethod
    def refuse(cls, reason: str) -> "Fault":
        fault = cls(reason)
        fault.refused = True
        return fault


class TooLong(Fault):
    """Of a value that is longer than is read."""


@runtime_checkable
class Value(Protocol):
    """One value prepared for a prediction: encoded once, with all that a trace says of it."""

    @property
    def encoded(self) -> Any: ...

    @property
    def text(self) -> str:
        """How the value is written in a trace: a text itself, a picture's file name."""
        ...

    def axis(self, cells: int, shape: tuple[int, ...]) -> Axis:
        """The names of its memory cells, of which there are so many; of their shape where they tile an image."""
        ...

    def media(self) -> Media | None:
        """What a page shows of it, besides its text."""
        ...

    def unknown(self) -> int:
        """How many of its cells are in no vocabulary."""
        ...


@runtime_checkable
class Field(Protocol):
    """A field of a run: encodes values, puts them into batches, and names their cells."""

    def read(self, given: str | bytes) -> Any:
        """A raw value as the command line (a text, a file's name) or an upload (a file's content) gives it.

        Raises `ValueError` for what is none.
        """
        ...

    def encode(self, values: Sequence[Any], training: bool = False) -> list[Any | Fault]:
        """Many raw values at once. What is too long to learn from is a `Fault` only in training."""
        ...

    def prepare(self, raw: Any, name: str = "", encoded: Any = None) -> Value:
        """One raw value for a prediction; `name` is what to call one that has no name of its own, and `encoded` is
        given where it is known already. Raises `ValueError` for a value that can't be used."""
        ...

    def column(self) -> Ragged | Stacked:
        """An empty store of encoded values."""
        ...

    def length(self, encoded: Any) -> int:
        """Cells of an encoded value, to put values of like length together; 1 where all are of one size."""
        ...

    @property
    def varies(self) -> bool:
        """Whether values differ in length."""
        ...

    @property
    def limit(self) -> int | None:
        """Cells of the longest value that is read to predict from or to measure on, END not counted; None where all are
        of one size. Where there is one, a caller may set it: values beyond it are a `Fault`, found at little cost."""
        ...

    def collate(self, encoded: Any) -> Any:
        """Encoded values as a batch: `Cells`, or a tensor where all are of one size."""
        ...

    def sizes(self) -> Mapping[str, int]:
        """What a system's constructor may ask for, such as "vocabulary"."""
        ...

    def remarks(self) -> list[str]:
        """What was done to the values encoded since the last call (resized, turned), a sentence each."""
        ...

    def about(self) -> str:
        """The field in a few words, for the log."""
        ...

    def save(self, folder: Path, name: str) -> None:
        """Write the files that its settings name as `kept`."""
        ...


@runtime_checkable
class FieldSettings(Protocol):
    """How a field's values are read, before anything is learnt from them."""

    @property
    def like(self) -> str:
        """The field that it shares what it learns with; empty for none."""
        ...

    @property
    def kind(self) -> str:
        """What its values are, in a word: "text", "image"."""
        ...

    def column(self, name: str) -> Column: ...

    def kept(self, name: str) -> tuple[str, ...]:
        """The files that a run folder keeps of it."""
        ...

    def learn(self, values: Iterable[Any], log: Log) -> Field:
        """The field, from training values (and those of all fields that are `like` it)."""
        ...

    def open(self, folder: Path, name: str) -> Field:
        """The field that a run folder keeps. Raises `DataError` if its file is damaged."""
        ...

    def example(self, rng: Any) -> Any:
        """A small random raw value, for tests of every system."""
        ...


@runtime_checkable
class Sharing(FieldSettings, Protocol):
    """Settings of a field that may be `like` another."""

    def share(self, other: Field) -> Field:
        """The field, with what the other one has learnt."""
        ...


def axis_of_image(cells: int, shape: tuple[int, ...]) -> Axis:
    """The names of an image's memory cells: they tile it, or are one mean, or are numbered."""
    if len(shape) == 2:
        return Grid(*shape)
    return Named(("mean",) if cells == 1 else tuple(map(str, range(cells))))


def as_array(encoded: Any) -> np.ndarray:
    """Encoded values of one size as one array, which they may be already."""
    return encoded if isinstance(encoded, np.ndarray) else np.stack(encoded)


def stack_cells(values: Sequence[Any]) -> Cells:
    """Ragged integer sequences as padded cells."""
    numbers, mask = pad(values, PAD)
    return Cells(torch.from_numpy(numbers), torch.from_numpy(mask))
