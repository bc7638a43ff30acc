"""An evaluation's figures as tables: with intervals, and of classes each by itself and how they are confused."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attend.metrics import Confusion

# Tables of more classes are no longer read at a glance.
FEW = 20

Cell = float | int | str | None


def figure_rows(figures: Mapping[str, float], intervals: Mapping[str, Sequence[float]]) -> list[dict[str, Cell]]:
    """A row a figure, with its 95% interval where any has one."""
    found: list[dict[str, Cell]] = []
    for name, value in figures.items():
        row: dict[str, Cell] = {"figure": name.replace("_", " "), "value": value}
        if intervals:
            row["95% interval"] = interval(intervals[name]) if name in intervals else None
        found.append(row)
    return found


def interval(ends: Sequence[float]) -> str:
    """The ends of an interval, to three digits."""
    return f"{ends[0]:.3g} to {ends[1]:.3g}"


def by_class(confusion: "Confusion") -> list[dict[str, Cell]]:
    """A row for each class of the examples: how many there are, and its recall, precision and F1.

    A class that is never answered has no precision.
    """
    found: list[dict[str, Cell]] = []
    for name, row in confusion.items():
        right, examples = row.get(name, 0), sum(row.values())
        answered = sum(other.get(name, 0) for other in confusion.values())
        precision = right / answered if answered else None
        scores: dict[str, Cell] = {"recall": right / examples, "precision": precision}
        found.append({"class": name, "examples": examples, **scores, "f1": 2 * right / (examples + answered)})
    return found


def matrix(confusion: "Confusion") -> list[dict[str, Cell]]:
    """A row for each class of the examples, and a column for each class that was right or answered."""
    classes = sorted({*confusion, *(answer for row in confusion.values() for answer in row)})
    return [
        {"right, by answer": name, **{answer: row.get(answer, 0) for answer in classes}}
        for name, row in confusion.items()
    ]


def tables(confusion: "Confusion") -> list[Sequence[Mapping[str, Cell]]]:
    """The tables to print: none without classes, and for many no matrix, which has a column for each."""
    if not confusion:
        return []
    each = by_class(confusion)
    return [each, matrix(confusion)] if len(each) <= FEW else [each]
