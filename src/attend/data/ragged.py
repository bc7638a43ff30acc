"""Ragged sequences of integers: concatenated in one array, with the offsets of their ends."""

from array import array
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import accumulate, chain
from typing import Any

import numpy as np
from jaxtyping import Int, Integer, Shaped, UInt64

# Sequences hashed at a time.
HASHED = 1 << 16


class Ragged:
    """Sequences of integers from 0 to below `limit`, in two bytes a number where that suffices.

    Grows by `append`, and is indexed like a list: a sequence is a view into the array.
    """

    def __init__(self, limit: int) -> None:
        self._numbers = array("H" if limit <= 1 << 16 else "i")
        self._offsets = array("q", [0])
        self._view: np.ndarray | None = None

    def append(self, sequence: Sequence[int] | Integer[np.ndarray, "token"]) -> None:
        self._view = None
        self._numbers.extend(sequence)
        self._offsets.append(len(self._numbers))

    def extend(self, sequences: Sequence[Any]) -> None:
        self._view = None
        self._numbers.extend(chain.from_iterable(sequences))
        self._offsets.extend(accumulate(map(len, sequences), initial=self._offsets.pop()))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, index: int) -> Integer[np.ndarray, "token"]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._viewed()[self._offsets[index] : self._offsets[index + 1]]

    def take(self, index: Integer[np.ndarray, "chosen"]) -> list[Integer[np.ndarray, "_"]]:
        """Several sequences."""
        view, offsets = self._viewed(), self._offsets
        return [view[offsets[place] : offsets[place + 1]] for place in index.tolist()]

    def lengths(self) -> Int[np.ndarray, "sequence"]:
        """Numbers in each sequence."""
        return np.diff(np.array(self._offsets, dtype=np.int64))

    def hashes(self) -> UInt64[np.ndarray, "sequence"]:
        """A hash of each sequence: the sum of its numbers times a random factor for each place, modulo 2^64."""
        found, lengths = np.zeros(len(self), dtype=np.uint64), self.lengths()
        factors = np.random.default_rng(0).integers(1 << 64, size=lengths.max(initial=0), dtype=np.uint64)
        numbers, offsets = np.array(self._numbers), np.array(self._offsets)
        for first in range(0, len(self), HASHED):
            chosen = lengths[first : first + HASHED]
            places = np.arange(chosen.sum()) - np.repeat(chosen.cumsum() - chosen, chosen)
            start = offsets[first]
            # PAD, which is 0, counts too.
            terms = (numbers[start : start + len(places)].astype(np.uint64) + np.uint64(1)) * factors[places]
            sums = np.concatenate([[np.uint64(0)], terms.cumsum()])
            ends = offsets[first : first + len(chosen) + 1] - start
            found[first : first + HASHED] = sums[ends[1:]] - sums[ends[:-1]]
        return found

    def _viewed(self) -> Integer[np.ndarray, "token"]:
        if self._view is None:  # an array that is viewed can't grow
            self._view = np.array(self._numbers, copy=False) if len(self._numbers) else np.empty(0, dtype=np.int64)
        return self._view


class Stacked:
    """Values of one size (images, numbers of classes), which become one array when they are first read.

    Grows by `append` and `extend`, and is read by index like a list, or many at once by `take`.
    """

    def __init__(self) -> None:
        self._values: list[Any] = []
        self._array: np.ndarray | None = None

    def append(self, value: Any) -> None:
        self.extend([value])

    def extend(self, values: Sequence[Any]) -> None:
        if self._array is not None:  # it is read again as a whole when it has grown
            self._values, self._array = list(self._array), None
        self._values.extend(values)

    def __len__(self) -> int:
        return len(self._values if self._array is None else self._array)

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._whole()[index]

    def take(self, index: Integer[np.ndarray, "chosen"]) -> Shaped[np.ndarray, "chosen *size"]:
        return self._whole()[index]

    def lengths(self) -> Int[np.ndarray, "value"]:
        """1 for each value, as all are of one size."""
        return np.ones(len(self), dtype=np.int64)

    def hashes(self) -> UInt64[np.ndarray, "value"]:
        """A hash of each value."""
        return hashes_of(self._whole())

    def _whole(self) -> np.ndarray:
        if self._array is None:
            self._array, self._values = np.stack(self._values), []
        return self._array


class Listed:
    """Arrays of several lengths, as they are."""

    def __init__(self) -> None:
        self._values: list[Any] = []

    def append(self, value: Any) -> None:
        self._values.append(value)

    def extend(self, values: Sequence[Any]) -> None:
        self._values.extend(values)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: int) -> Any:
        return self._values[index]

    def take(self, index: Integer[np.ndarray, "chosen"]) -> list[Any]:
        return [self._values[place] for place in index.tolist()]

    def lengths(self) -> Int[np.ndarray, "value"]:
        return np.array([len(value) for value in self._values], dtype=np.int64)

    def hashes(self) -> UInt64[np.ndarray, "value"]:
        """A hash of each array."""
        return hashes_of(self._values)


def hashes_of(values: Iterable[Any]) -> UInt64[np.ndarray, "value"]:
    """A hash of each of several arrays, or numbers, of one size."""
    digests = (blake2b(np.ascontiguousarray(value).tobytes(), digest_size=8).digest() for value in values)
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def pad(sequences: Iterable[Sequence[int] | Integer[np.ndarray, "_"]], fill: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences as one array [sequence, longest], padded at the right, and a mask that is True on their numbers."""
    sequences = list(sequences)
    lengths = np.array([len(sequence) for sequence in sequences])
    mask = np.arange(lengths.max()) < lengths[:, None]
    numbers = np.full(mask.shape, fill, dtype=np.int64)
    numbers[mask] = np.concatenate(sequences)
    return numbers, mask
