"""Sequences of vectors as text: "0110 1001" is two vectors of four bits, "0.5,-1 0,2" two of two numbers."""

import numpy as np
from jaxtyping import Float, Real

Vectors = Float[np.ndarray, "_ _"]


def parse(text: str) -> Vectors:
    """Vectors are separated by white space; one is digits 0 and 1 without anything between, or numbers with commas.

    Raises `ValueError` for anything else, and for vectors of several sizes.
    """
    rows = [vector(word, number) for number, word in enumerate(text.split(), start=1)]
    if not rows:
        raise ValueError("is empty")
    sizes = {len(row) for row in rows}
    if len(sizes) > 1:
        first = next(number for number, row in enumerate(rows, start=1) if len(row) != len(rows[0]))
        raise ValueError(f"has vectors of {len(rows[0])} and, as number {first}, of {len(rows[first - 1])} numbers")
    return np.array(rows, dtype=np.float32)


def vector(word: str, number: int) -> list[float]:
    if set(word) <= {"0", "1"}:
        return [float(digit) for digit in word]
    try:
        found = [float(part) for part in word.split(",")]
    except ValueError:
        found = [float("nan")]
    if not np.isfinite(found).all():
        raise ValueError(
            f"has {word!r} as vector {number}, which is neither bits such as 0110 nor numbers as in 0.5,-1"
        )
    return found


def written(vectors: Real[np.ndarray, "step size"]) -> str:
    """The text that `parse` reads."""
    return " ".join(map(word_of, vectors))


def word_of(row: Real[np.ndarray, "size"]) -> str:
    if np.isin(row, (0, 1)).all():
        return "".join("1" if value else "0" for value in row)
    return ",".join(f"{value:g}" for value in row)
