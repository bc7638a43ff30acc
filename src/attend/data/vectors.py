"""Sequences of vectors as text: "0110 1001" is two vectors of four bits, "0.5,-1 0,2" two of two numbers, "3 10 7"
three of one."""

import numpy as np
from jaxtyping import Float, Real

Vectors = Float[np.ndarray, "_ _"]

# Of the numbers that 32 bits can hold.
LARGEST = np.finfo(np.float32).max


class NotFiniteError(ValueError):
    """Numbers are infinite, or none: NaN."""


def parse(text: str, size: int | None = None) -> Vectors:
    """Vectors are separated by white space; one is digits 0 and 1 without anything between, or numbers with commas.

    Where one is a single number that is no bits, such as 7, or `size` is 1, all are numbers: then 10 is ten, not two
    bits. Raises `ValueError` for anything else, and for vectors of several sizes; `NotFiniteError` for infinite numbers
    and NaN.
    """
    words = text.split()
    single = size == 1 or any("," not in word and not is_bits(word) for word in words)
    rows = [vector(word, number, single) for number, word in enumerate(words, start=1)]
    if not rows:
        raise ValueError("is empty")
    sizes = {len(row) for row in rows}
    if len(sizes) > 1:
        first = next(number for number, row in enumerate(rows, start=1) if len(row) != len(rows[0]))
        raise ValueError(f"has vectors of {len(rows[0])} and, as number {first}, of {len(rows[first - 1])} numbers")
    return np.array(rows, dtype=np.float32)


def is_bits(text: str) -> bool:
    """Whether there are only the digits 0 and 1 in it, and spaces."""
    return set(text) <= set("01 \n")


def vector(word: str, number: int, single: bool) -> list[float]:
    if is_bits(word) and not single:
        return [float(digit) for digit in word]
    try:
        found = [float(part) for part in word.split(",")]
    except ValueError as error:
        what = f"has {word!r} as vector {number}, which is neither bits such as 0110 nor numbers as in 0.5,-1"
        raise ValueError(what) from error
    if not (np.abs(found) <= LARGEST).all():  # NaN is caught too
        raise NotFiniteError(f"has {word!r} as vector {number}, which is not finite in 32 bits")
    return found


def written(vectors: Real[np.ndarray, "step size"]) -> str:
    """The text that `parse` reads."""
    return " ".join(map(word_of, vectors))


def word_of(row: Real[np.ndarray, "size"]) -> str:
    if np.isin(row, (0, 1)).all():
        return "".join("1" if value else "0" for value in row)
    return ",".join(f"{value:g}" for value in row)
