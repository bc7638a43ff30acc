"""Figures of looks worked out by hand, and what holds for every look."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays

from attend.attention.trace import Grid, Named, Token, Tokens, Weights
from attend.inspect.audit import (
    audit,
    coverage_deviation_penalty,
    input_absentmindedness,
    output_absentmindedness,
    special_mass,
)
from attend.show.reading import entropy, normalised_entropy


def look_of(rows: list[list[float]]) -> Weights:
    weights = np.array(rows)
    return Weights(weights, Named(tuple(map(str, range(weights.shape[0])))), Grid(1, weights.shape[1]))


HALVES = look_of([[0.5, 0.5, 0, 0], [1, 0, 0, 0]])


def test_coverage_deviation_by_hand() -> None:
    assert coverage_deviation_penalty(HALVES) == pytest.approx((2 * log(1.25) + 2 * log(2)) / 4)


def test_absentmindedness_by_hand() -> None:
    assert output_absentmindedness(HALVES) == pytest.approx(log(2) / 2)
    # The first cell is read a third by one step and two thirds by the other, the second by one step alone.
    third = -(1 / 3 * log(1 / 3) + 2 / 3 * log(2 / 3))
    assert input_absentmindedness(HALVES) == pytest.approx(third / 4)


def test_a_permutation_has_no_penalty() -> None:
    look = look_of(np.eye(4)[[2, 0, 3, 1]].tolist())
    assert coverage_deviation_penalty(look) == output_absentmindedness(look) == input_absentmindedness(look) == 0
    assert not np.signbit(entropy(look)).any()  # "-0.0" would puzzle a reader


def test_special_tokens_are_weighed() -> None:
    source = Tokens("a b", (Token("a", 0, 1), Token("b", 2, 3), Token("</s>")))
    target = Tokens("x y", (Token("x", 0, 1), Token("y", 2, 3), Token("</s>")))
    look = Weights(np.array([[0.8, 0.0, 0.2], [0.6, 0.0, 0.4], [0.0, 0.0, 1.0]]), target, source)
    assert special_mass(look) == pytest.approx(0.3)
    assert special_mass(HALVES) == 0


def test_audit_is_the_mean_over_looks() -> None:
    figures = audit([HALVES, look_of([[1.0, 0.0], [1.0, 0.0]])])
    assert figures["entropy"] == pytest.approx(log(2) / 4)
    assert figures["looks that do not move"] == 1
    assert figures["cells never attended"] == 0.5
    assert figures["mass on special tokens"] == 0


def test_audit_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no looks"):
        audit([])
    with pytest.raises(ValueError, match=r"look 1 has no weights \(0, 2\)"):
        audit([HALVES, Weights(np.zeros((0, 2)), Named(()), Grid(1, 2))])


@given(arrays(float, some.tuples(some.integers(1, 6), some.integers(1, 6)), elements=some.floats(0, 1)))
def test_figures_are_finite_and_in_bounds(raw: np.ndarray) -> None:
    look = look_of((raw / np.maximum(raw.sum(axis=1, keepdims=True), 1)).tolist())
    assert all(0 <= share <= 1 + 1e-9 for share in normalised_entropy(look))
    figures = audit([look])
    assert all(np.isfinite(figure) and figure >= -1e-9 for figure in figures.values())
