"""Sequences of vectors: bits, numbers, points."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from attend.atomic import write_atomically
from attend.attention.trace import Axis, Token, Tokens
from attend.contract import Cells
from attend.data.examples import Column, Log
from attend.data.files import DataError
from attend.data.ragged import Listed
from attend.data.vectors import NotFiniteError, is_bits, parse, word_of, written
from attend.fields.field import Fault, TooLong
from attend.settings import check_range

# A sequence may be so many times as long as those that were learnt from.
LIMIT = 4


@dataclass(frozen=True)
class Vectors:
    """A sequence of vectors, all of one size; in tables, text such as "0110 1001" or "0.5,-1 0,2"."""

    longest: int = 1000
    """Longer sequences (in vectors) are left out of training, and counted."""
    standardise: bool = False
    """Read numbers less their mean in the training vectors, in standard deviations. For bits, leave it out."""

    kind = "vectors"
    like = ""

    def __post_init__(self) -> None:
        check_range(self, "longest", 1)

    def column(self, name: str) -> Column:
        return Column(name)

    def kept(self, name: str) -> tuple[str, ...]:
        return (f"{name}.json",)

    def learn(self, values: Iterable[Any], log: Log) -> "VectorsField":
        """The size of the first sequence's vectors; to standardise, the mean and deviation of all."""
        if not self.standardise:
            return VectorsField(self, size_of(values))
        kept = list(values)
        size = size_of(kept)
        good = [one for one in (encoded(value, size, None) for value in kept) if isinstance(one, np.ndarray)]
        every = np.concatenate(good).astype(np.float64)
        deviation = every.std(0)
        scale = Scale(every.mean(0).tolist(), np.where(deviation > 0, deviation, 1.0).tolist())
        return VectorsField(self, size, scale)

    def open(self, folder: Path, name: str) -> "VectorsField":
        path = folder / f"{name}.json"
        return VectorsField(self, size_in(path), scale_in(path) if self.standardise else None)

    def example(self, rng: np.random.Generator) -> str:
        return written(rng.random((rng.integers(4, 7), 2)).round(2))


@dataclass(frozen=True)
class Scale:
    """The mean and the standard deviation (1 where that is 0) of each number of the training vectors."""

    mean: list[float]
    deviation: list[float]


class VectorsField:
    """Sequences of vectors as padded cells; padding is zero."""

    varies = True

    def __init__(self, settings: Vectors, size: int, scale: Scale | None = None) -> None:
        self.settings, self.size, self.scale = settings, size, scale
        self.limit = LIMIT * settings.longest

    def read(self, given: str | bytes) -> Float[np.ndarray, "step size"]:
        if isinstance(given, bytes):
            raise ValueError("vectors were expected as text, not a file")
        return parse(given, self.size)

    def encode(self, values: Sequence[Any], training: bool = False) -> list[Any]:
        longest = self.settings.longest if training else self.limit
        return [encoded(value, self.size, longest) for value in values]

    def prepare(self, raw: Any, name: str = "", encoded: Any = None) -> "VectorsValue":
        found = self.encode([raw])[0] if encoded is None else encoded
        if isinstance(found, Fault):
            raise ValueError(f"the sequence {found}")
        return VectorsValue(found)

    def column(self) -> Listed:
        return Listed()

    def length(self, encoded: Float[np.ndarray, "step size"]) -> int:
        return len(encoded)

    def collate(self, encoded: Any) -> Cells:
        cells = padded(encoded, self.size)
        if self.scale is None:
            return cells
        mean, deviation = (torch.tensor(numbers) for numbers in (self.scale.mean, self.scale.deviation))
        return Cells((cells.values - mean) / deviation * cells.mask.unsqueeze(-1), cells.mask)

    def sizes(self) -> dict[str, int]:
        return {"size": self.size}

    def remarks(self) -> list[str]:
        return []

    def about(self) -> str:
        return f"vectors of {self.size}"

    def save(self, folder: Path, name: str) -> None:
        save_size(folder / f"{name}.json", self.size, **({} if self.scale is None else asdict(self.scale)))


class VectorsValue:
    """See `attend.fields.field.Value`. Its cells are its vectors."""

    def __init__(self, encoded: Float[np.ndarray, "step size"]) -> None:
        self.encoded = encoded

    @cached_property
    def text(self) -> str:
        return written(self.encoded)

    def axis(self, cells: int, shape: tuple[int, ...]) -> Axis:
        return axis_of(self.encoded)

    def media(self) -> None:
        return None

    def unknown(self) -> int:
        return 0


def axis_of(vectors: Float[np.ndarray, "step size"]) -> Tokens:
    """A token for each vector."""
    tokens, start = [], 0
    for word in map(word_of, vectors):
        tokens.append(Token(word, start, start + len(word)))
        start += len(word) + 1
    return Tokens(written(vectors), tuple(tokens))


def as_vectors(value: Any, size: int | None = None) -> Float[np.ndarray, "step size"]:
    """An array, or its text, whose meaning may depend on the vectors' size.

    Raises `ValueError` for what is neither, `NotFiniteError` for numbers that are not finite.
    """
    if isinstance(value, str):
        return parse(value, size)
    array = np.asarray(value)
    if array.ndim != 2 or array.dtype.kind not in "fiub" or not array.size:
        raise ValueError(f"is an array of {array.dtype} {list(array.shape)}, not of numbers [step size]")
    if not np.isfinite(array).all():
        place = int(np.argwhere(~np.isfinite(array))[0][0]) + 1
        raise NotFiniteError(f"has a number that is not finite in vector {place}")
    return array.astype(np.float32)


def size_of(values: Iterable[Any]) -> int:
    """The size of the vectors of the first sequence that can be read; what can't is named when it is encoded.

    A text that may be of bits or of whole numbers, such as "10 11", counts only where there is no other. Raises
    `ValueError` if none can be read.
    """
    fault, bits = "", 0
    for value in values:
        try:
            size = as_vectors(value).shape[1]
        except ValueError as error:
            fault = fault or str(error)
            continue
        if not (isinstance(value, str) and is_bits(value)):
            return size
        bits = bits or size
    if not bits:
        raise ValueError(f"no sequence of vectors can be read: the first {fault}")
    return bits


def encoded(value: Any, size: int, longest: int | None) -> Float[np.ndarray, "step size"] | Fault:
    try:
        found = as_vectors(value, size)
    except NotFiniteError as error:  # a computation went wrong, and who knows what else is
        return Fault.refuse(str(error))
    except ValueError as error:
        return Fault(str(error))
    if found.shape[1] != size:
        return Fault.refuse(f"has vectors of {found.shape[1]}, not of {size} as the training examples have")
    if longest is not None and len(found) > longest:
        return TooLong(f"has more than {longest:,} vectors")
    return found


def padded(sequences: Sequence[Float[np.ndarray, "_ size"]], size: int) -> Cells:
    """Sequences of vectors as padded cells."""
    lengths = np.array([len(sequence) for sequence in sequences])
    mask = np.arange(lengths.max()) < lengths[:, None]
    values = np.zeros((*mask.shape, size), dtype=np.float32)
    values[mask] = np.concatenate(list(sequences))
    return Cells(torch.from_numpy(values), torch.from_numpy(mask))


def size_in(path: Path) -> int:
    """The size that a run folder's file says. Raises `DataError` if it is damaged."""
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(str(path), f"does not say the vectors' size ({error})", "train the run anew") from error


def scale_in(path: Path) -> Scale:
    """The scale that a run folder's file says. Raises `DataError` if it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Scale(*([float(number) for number in content[name]] for name in ("mean", "deviation")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(str(path), f"does not say the vectors' scale ({error})", "train the run anew") from error


def save_size(path: Path, size: int, **more: list[float]) -> None:
    text = json.dumps({"size": size, **more}) + "\n"
    write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))
