"""Sets of points, new in every epoch, and what an algorithm says of them: numbers in order, and convex hulls.

A row has `points`, vectors [point size], and the `target`: places among them, counted from 1 (Vinyals, Fortunato &
Jaitly, 2015, arXiv 1506.03134). Besides sets as large as those of training, the validation and test parts
have groups of sets of one size each, which may be larger: "at_15" of 15 points.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Integer

from attend.data.examples import TARGET, Column, Fresh, Log, Row, Split, check_columns
from attend.settings import check_range

PointSet = Float[np.ndarray, "point size"]


@dataclass(frozen=True)
class Sets:
    """What the tasks share: how many sets, and of how many points. `points` and `places` are the task."""

    name: str = ""
    """What the data is called in results and model cards."""
    examples: int = 25_000
    """Training sets an epoch."""
    measured: int = 1000
    """Sets of each group of the validation part, and of the test part."""
    shortest: int = 5
    """Points of the smallest set."""
    longest: int = 10
    """Points of the largest set of training."""
    groups: tuple[int, ...] = (10, 15)
    """Sizes of sets that are measured in a group of their own; larger ones than in training show what transfers."""

    def __post_init__(self) -> None:
        check_range(self, "examples measured shortest", 1)
        check_range(self, "longest", self.shortest)

    def points(self, rng: np.random.Generator, count: int) -> PointSet:
        """A random set."""
        raise NotImplementedError

    def places(self, points: PointSet) -> list[int]:
        """What the algorithm says: places, counted from 0."""
        raise NotImplementedError

    def open(self, columns: Sequence[Column], seed: int, log: Log) -> Fresh:
        check_columns(columns, ("points", TARGET), f"sets of the task {self.name!r}")
        return Drawn(self, seed)

    def reads(self) -> tuple[str, ...]:
        return ()

    def files(self, split: Split) -> tuple[str, ...]:
        return (f"{self.name} ({split})",)


@dataclass(frozen=True)
class Sort(Sets):
    """Different whole numbers from 0 to 999, divided by 1,000, in ascending order:

    points   0.416 0.07 0.935      -> target   2 1 3
    """

    name: str = "sorting"
    values: int = 1000
    """How many numbers there are: two of a set differ by at least one part in so many."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "values", max(self.longest, *self.groups, 1))

    def points(self, rng: np.random.Generator, count: int) -> PointSet:
        return (rng.permutation(self.values)[:count, None] / self.values).astype(np.float32)

    def places(self, points: PointSet) -> list[int]:
        return points[:, 0].argsort(kind="stable").tolist()


@dataclass(frozen=True)
class Hull(Sets):
    """The corners of the convex hull of points in the unit square, counter-clockwise from the one that comes first:

    points   0.1,0.1 0.9,0.2 0.4,0.3 0.5,0.9      -> target   1 2 4
    """

    name: str = "convex hulls"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "shortest", 3)

    def points(self, rng: np.random.Generator, count: int) -> PointSet:
        return rng.random((count, 2), dtype=np.float32)

    def places(self, points: PointSet) -> list[int]:
        return hull(points)


class Drawn:
    """See `attend.data.examples.Fresh`. An epoch is drawn as a whole, and kept until another one is asked for."""

    splits: tuple[Split, ...] = ("train", "valid", "test")

    def __init__(self, task: Sets, seed: int) -> None:
        self.task, self.seed = task, seed
        self._epoch, self._rows = -1, list[Row]()

    def rows(self, split: Split) -> Iterator[Row]:
        stream = SPLIT_STREAMS[split]
        for size in (0, *(self.task.groups if stream else ())):
            rng = np.random.default_rng([self.seed, 0, stream, size])
            yield from self.drawn(rng, self.task.measured, size)

    def drawn(self, rng: np.random.Generator, count: int, size: int = 0) -> Iterator[Row]:
        """Random rows: of sets of `size` points, or of as many as in training where that is 0."""
        task = self.task
        sizes: Int[np.ndarray, set] = (
            np.full(count, size) if size else rng.integers(task.shortest, task.longest + 1, count)
        )
        group = f"at_{size}" if size else ""
        for number, one in enumerate(sizes.tolist(), start=1):
            points = task.points(rng, one)
            target = np.array(task.places(points)) + 1
            yield Row({"points": points, TARGET: target}, f"set {number} {group}".rstrip(), group=group)

    def epoch(self, number: int) -> list[Row]:
        if number != self._epoch:
            rng = np.random.default_rng([self.seed, number + 1])
            self._epoch, self._rows = number, list(self.drawn(rng, len(self)))
        return self._rows

    def __len__(self) -> int:
        return self.task.examples

    def column(self, epoch: int, name: str) -> Sequence[Any]:
        return [row.values[name] for row in self.epoch(epoch)]

    def draw(self, epoch: int, index: Integer[np.ndarray, "chosen"]) -> Sequence[Row]:
        rows = self.epoch(epoch)
        return [rows[number] for number in index.tolist()]


SPLIT_STREAMS: dict[Split, int] = {"train": 0, "valid": 1, "test": 2}


# Geometry


def turn(first: Sequence[float], second: Sequence[float], third: Sequence[float]) -> float:
    """Twice the area of the triangle of three points: above 0 for a turn to the left."""
    (x1, y1), (x2, y2), (x3, y3) = first, second, third
    return (x2 - x1) * (y3 - y1) - (y2 - y1) * (x3 - x1)


def hull(points: Float[np.ndarray, "point 2"]) -> list[int]:
    """The places of the corners of the convex hull, counter-clockwise from the lowest place (monotone chain).

    >>> hull(np.array([[1, 1], [2, 2], [0, 0], [2, 0], [0, 2]], dtype=np.float32))
    [1, 4, 2, 3]
    """
    # Python's floats hold the products of 32-bit coordinates without rounding.
    listed = points.tolist()
    order = sorted(range(len(listed)), key=listed.__getitem__)

    def half(order: Sequence[int]) -> list[int]:
        chain: list[int] = []
        for place in order:
            while len(chain) > 1 and turn(listed[chain[-2]], listed[chain[-1]], listed[place]) <= 0:
                chain.pop()
            chain.append(place)
        return chain[:-1]

    corners = half(order) + half(order[::-1])
    first = corners.index(min(corners))
    return corners[first:] + corners[:first]


def area(corners: Float[np.ndarray, "corner 2"]) -> float:
    """The area of a polygon, by the shoelace formula; 0 if two of its edges cross.

    >>> area(np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]]))
    2.0
    >>> area(np.array([[0.0, 0.0], [2.0, 1.0], [2.0, 0.0], [0.0, 1.0]]))
    0.0
    """
    if len(corners) < 3:
        return 0.0
    edges = list(zip(corners.tolist(), np.roll(corners, -1, axis=0).tolist(), strict=True))
    for number, edge in enumerate(edges):
        # Neighbours share a corner, and don't cross.
        others = edges[number + 2 :] if number else edges[2:-1]
        if any(cross(*edge, *other) for other in others):
            return 0.0
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in edges)) / 2


def cross(a: Sequence[float], b: Sequence[float], c: Sequence[float], d: Sequence[float]) -> bool:
    """Whether the segments from a to b and from c to d cross, not only touch."""
    return turn(a, b, c) * turn(a, b, d) < 0 and turn(c, d, a) * turn(c, d, b) < 0
