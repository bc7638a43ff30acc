"""How looks read, worked out by hand, and what holds for every look."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from attend.attention.trace import Named, Token, Tokens, Weights
from attend.show.reading import badges, coverage, entropy, near_uniform, never_attended, normalised_entropy, still


def over_fields(weights: list[list[float]]) -> Weights:
    matrix = np.array(weights)
    steps, cells = matrix.shape
    return Weights(
        matrix, Named(tuple(f"step {step}" for step in range(steps))), Named(tuple(map(chr, range(97, 97 + cells))))
    )


HALVES = over_fields([[0.5, 0.5, 0, 0], [1, 0, 0, 0]])


def test_entropy_by_hand() -> None:
    assert entropy(HALVES).tolist() == pytest.approx([log(2), 0])
    assert normalised_entropy(HALVES).tolist() == pytest.approx([0.5, 0])
    assert normalised_entropy(over_fields([[1.0]])).tolist() == [0]


def test_entropy_under_a_sentinel_is_that_of_the_rest() -> None:
    assert entropy(over_fields([[0.1, 0.1], [0, 0]])).tolist() == pytest.approx([log(2), 0])


def test_coverage_by_hand() -> None:
    assert coverage(HALVES).tolist() == [1.5, 0.5, 0, 0]


def test_near_uniform_steps() -> None:
    assert near_uniform(over_fields([[0.25] * 4, [0.3, 0.2, 0.25, 0.25], [0.7, 0.1, 0.1, 0.1], [1, 0, 0, 0]])) == 0.5


def test_a_look_that_does_not_move() -> None:
    assert still(over_fields([[0.6, 0.4], [0.9, 0.1]]))
    assert not still(over_fields([[0.6, 0.4], [0.1, 0.9]]))
    assert not still(over_fields([[0.6, 0.4]]))
    assert not still(over_fields([[1.0], [1.0]]))


@given(some.integers(1, 6), some.integers(1, 40))
def test_a_uniform_look_misses_no_cell(steps: int, cells: int) -> None:
    assert not never_attended(over_fields([[1 / cells] * cells] * steps)).any()


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]], []),
        ([[0.5, 0.5], [0.1, 0.9]], ["near-uniform"]),
        ([[0.97, 0.03], [0.93, 0.07]], ["does not move"]),
        ([[0.97, 0.03], [0.96, 0.04]], ["does not move", "never attended: b"]),
        ([[0.8, 0.2]], []),
        ([[0.9, 0.1, 0, 0, 0, 0, 0, 0]], ["never attended: c, d, e, f, g and 1 more"]),
        ([[1.0]], []),
    ],
)
def test_badges(weights: list[list[float]], expected: list[str]) -> None:
    assert badges(over_fields(weights)) == expected


def test_special_tokens_need_no_attention() -> None:
    memory = Tokens("a b", (Token("a", 0, 1), Token("b", 2, 3), Token("</s>")))
    assert badges(Weights(np.array([[0.5, 0.5, 0]]), Named(("step",)), memory)) == []
    assert badges(Weights(np.array([[1.0, 0, 0]]), Named(("step",)), memory)) == ["never attended: b"]
    assert badges(Weights(np.zeros((0, 3)), Named(()), memory)) == []
    assert never_attended(Weights(np.array([[1.0, 0, 0]]), Named(("step",)), memory)).tolist() == [False, True, False]
