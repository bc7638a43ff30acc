"""Sets of points, and what is exact about their orders, hulls and areas."""

from itertools import combinations

import numpy as np
import pytest

from attend.data.examples import TARGET, Column
from attend.data.points import Hull, Sort, area, hull

COLUMNS = [Column("points"), Column(TARGET)]


def by_definition(points: np.ndarray) -> set[int]:
    """The corners of a hull: the ends of lines that have all other points on one side."""
    corners: set[int] = set()
    for i, j in combinations(range(len(points)), 2):
        (x, y), (across, up) = points[i].tolist(), (points[j].astype(float) - points[i]).tolist()
        sides = [
            across * (float(other[1]) - y) - up * (float(other[0]) - x)
            for k, other in enumerate(points)
            if k not in (i, j)
        ]
        if all(side > 0 for side in sides) or all(side < 0 for side in sides):
            corners |= {i, j}
    return corners


def test_a_hull_has_the_corners_of_the_definition_counter_clockwise_from_the_first():
    rng = np.random.default_rng(0)
    for count in (3, 4, 7, 15):
        points = rng.random((count, 2), dtype=np.float32)
        corners = hull(points)
        assert set(corners) == by_definition(points)
        assert corners[0] == min(corners)
        x, y = points[corners].T
        assert x @ np.roll(y, -1) - y @ np.roll(x, -1) > 0


def test_points_on_an_edge_of_a_hull_are_no_corners():
    assert hull(np.array([[1, 0], [0, 0], [2, 0], [0, 2], [1, 1]], dtype=np.float32)) == [1, 2, 3]


def test_a_polygon_that_crosses_itself_has_no_area():
    square = np.array([[0, 0], [2, 0], [2, 2], [0, 2]], dtype=np.float64)
    assert area(square) == area(square[::-1]) == 4
    assert area(square[[0, 2, 1, 3]]) == 0
    assert area(square[[1, 0, 2, 3]]) == 0
    assert area(square[:2]) == area(square[:0]) == 0
    # Five points in a star: every edge crosses two others.
    angles = 2 * np.pi * np.array([0, 2, 4, 1, 3]) / 5
    assert area(np.stack([np.cos(angles), np.sin(angles)], axis=1)) == 0


def test_sorted_numbers_ascend_and_differ():
    source = Sort(measured=20).open(COLUMNS, 1, print)
    for row in source.rows("valid"):
        numbers = row.values["points"][row.values[TARGET] - 1, 0]
        assert (np.diff(numbers) > 0.0009).all()


def test_groups_are_of_one_size_each():
    source = Hull(measured=5, groups=(10, 15)).open(COLUMNS, 1, print)
    rows = list(source.rows("valid"))
    sizes = {group: {len(row.values["points"]) for row in rows if row.group == group} for group in ("at_10", "at_15")}
    assert sizes == {"at_10": {10}, "at_15": {15}}
    assert all(5 <= len(row.values["points"]) <= 10 for row in rows if not row.group)
    assert len(rows) == 15


@pytest.mark.parametrize("task", [Sort(examples=9), Hull(examples=9)], ids=lambda task: task.name)
def test_a_row_depends_on_seed_epoch_and_number_alone(task):
    def drawn(seed: int, epoch: int, *index: int) -> list[bytes]:
        rows = task.open(COLUMNS, seed, print).draw(epoch, np.array(index))
        return [row.values["points"].tobytes() + row.values[TARGET].tobytes() for row in rows]

    assert drawn(1, 3, 5, 0) == drawn(1, 3, 0, 5)[::-1]
    assert len({*drawn(1, 3, 5), *drawn(1, 4, 5), *drawn(2, 3, 5)}) == 3


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"longest": 4}, "longest"), ({"shortest": 2}, "shortest"), ({"measured": 0}, "measured")],
)
def test_what_can_not_be_drawn_is_refused(settings, named):
    with pytest.raises(ValueError, match=named):
        Hull(**settings)
    with pytest.raises(ValueError, match="values"):
        Sort(values=12)
