"""Ragged sequences of integers: concatenated in one array, with the offsets of their ends."""

from array import array
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int, Integer


class Ragged:
    """Sequences of integers from 0 to below `limit`, in two bytes a number where that suffices.

    Grows by `append`, and is indexed like a list: a sequence is a view into the array.
    """

    def __init__(self, limit: int) -> None:
        self._numbers = array("H" if limit <= 1 << 16 else "i")
        self._offsets = array("q", [0])
        self._view: np.ndarray | None = None

    def append(self, sequence: Iterable[int]) -> None:
        self._view = None
        self._numbers.extend(sequence)
        self._offsets.append(len(self._numbers))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, index: int) -> Integer[np.ndarray, "token"]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        if self._view is None:  # an array that is viewed can't grow
            self._view = np.array(self._numbers, copy=False) if len(self._numbers) else np.empty(0, dtype=np.int64)
        return self._view[self._offsets[index] : self._offsets[index + 1]]

    def lengths(self) -> Int[np.ndarray, "sequence"]:
        """Numbers in each sequence."""
        return np.diff(np.array(self._offsets, dtype=np.int64))


def pad(sequences: Iterable[Sequence[int] | Integer[np.ndarray, "_"]], fill: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences as one array [sequence, longest], padded at the right, and a mask that is True on their numbers."""
    sequences = list(sequences)
    lengths = np.array([len(sequence) for sequence in sequences])
    mask = np.arange(lengths.max()) < lengths[:, None]
    numbers = np.full(mask.shape, fill, dtype=np.int64)
    numbers[mask] = np.concatenate(sequences)
    return numbers, mask
