"""Cells in boxes, centres and variation, on maps made by hand."""

import numpy as np
import pytest

from attend.inspect.cells import cells_in_box, centre_of, pairwise_variation

# Of 2 x 4 cells, those on the right of the lower row: middles at x = 0.25 and 0.75, y = 0.5.
LOWER_RIGHT = np.array([0.0, 0.0, 1.0, 1.0])


def test_a_cell_is_in_a_box_if_its_middle_is() -> None:
    np.testing.assert_array_equal(cells_in_box(LOWER_RIGHT, 2, 4), [0, 0, 0, 0, 0, 0, 1, 1])
    np.testing.assert_array_equal(cells_in_box(np.array([0.3, 0.0, 1.0, 1.0]), 2, 4), [0, 0, 0, 0, 0, 0, 0, 1])
    np.testing.assert_array_equal(cells_in_box(np.array([-1.0, -1.0, 1.0, 1.0]), 2, 4), [1] * 8)


@pytest.mark.parametrize(
    ("box", "cell"), [([-0.1, 0.6, -0.05, 0.7], 5), ([0.95, 0.95, 1.0, 1.0], 7), ([-1.0, -1.0, -0.98, -0.98], 0)]
)
def test_a_box_between_the_middles_has_the_cell_that_it_lies_in(box: list[float], cell: int) -> None:
    np.testing.assert_array_equal(np.flatnonzero(cells_in_box(np.array(box), 2, 4)), [cell])


def test_the_middle_of_attention_is_the_mean_of_its_cells() -> None:
    weights = np.array([[0, 0, 0, 0, 0, 0, 1, 0], [0.5, 0, 0, 0, 0, 0, 0, 0.5], [0, 0, 0, 0.5, 0, 0, 0, 0.5]])
    np.testing.assert_allclose(centre_of(weights, 2, 4), [[0.25, 0.5], [0, 0], [0.75, 0]])


def test_variation_is_0_for_maps_that_do_not_move_and_1_for_maps_that_share_nothing() -> None:
    still = np.array([[0.5, 0.5, 0.0]] * 4)
    assert pairwise_variation(still) == 0
    assert pairwise_variation(np.eye(3)) == pytest.approx(1)
    # |0.5 - 1| / 2 + |0.5 - 0| / 2 = 1/2 for the one pair.
    assert pairwise_variation(np.array([[0.5, 0.5], [1.0, 0.0]])) == pytest.approx(0.5)
    assert pairwise_variation(np.array([[1.0]])) == 0
