"""Where a step reads, against where its answer stands."""

import numpy as np
import pytest

from attend.attention.trace import Named, Token, Tokens, Weights
from attend.inspect.spans import ISO_DATE, SpanRead, span_accuracy, span_mass, span_reads, step_spans

#                012345678901
SOURCE = Tokens(
    "1 March 2024", (Token("1", 0, 1), Token("March", 2, 7), Token("20", 8, 10), Token("24", 10, 12), Token("</s>"))
)
SPANS = {"day": (0, 1), "month": (2, 7), "year": (8, 12)}


def characters(text: str) -> Tokens:
    return Tokens(text, (*(Token(letter, place, place + 1) for place, letter in enumerate(text)), Token("</s>")))


def test_each_digit_has_the_span_of_its_part() -> None:
    year, month, day = SPANS["year"], SPANS["month"], SPANS["day"]
    expected = [year] * 4 + [None] + [month] * 2 + [None] + [day] * 2 + [None]
    assert step_spans(characters("2024-03-01"), ISO_DATE, SPANS) == expected


def test_a_step_over_several_parts_has_no_span() -> None:
    steps = Tokens("2024-03-01", (Token("2024-", 0, 5), Token("03-0", 5, 9), Token("1", 9, 10), Token("</s>")))
    assert step_spans(steps, ISO_DATE, SPANS) == [SPANS["year"], None, SPANS["day"], None]


def test_a_part_without_a_source_span_is_named() -> None:
    with pytest.raises(ValueError, match="no source span for day"):
        step_spans(characters("2024-03-01"), ISO_DATE, {"year": (0, 4), "month": (5, 7)})


def test_reads_by_hand() -> None:
    weights = np.array(
        [
            [0.0, 0.1, 0.3, 0.5, 0.1],  # year: inside, two cells of it
            [0.1, 0.6, 0.2, 0.1, 0.0],  # year: on the month, which ends a space before it
            [0.0, 0.3, 0.5, 0.2, 0.0],  # month: on the first half of the year, a space after it
            [0.2, 0.1, 0.1, 0.6, 0.0],  # month: on the second half of the year
            [0.1, 0.1, 0.1, 0.1, 0.6],  # day: on the end
            [0.9, 0.1, 0.0, 0.0, 0.0],  # no part
        ]
    )
    spans = [SPANS["year"]] * 2 + [SPANS["month"]] * 2 + [SPANS["day"], None]
    reads = span_reads(Weights(weights, Named(tuple("123456")), SOURCE), spans)
    assert [(read.step, read.distance) for read in reads] == [(0, 0), (1, -2), (2, 2), (3, 4), (4, None)]
    assert [read.mass for read in reads] == pytest.approx([0.8, 0.3, 0.3, 0.1, 0.1])
    assert span_accuracy(reads) == 1 / 5
    assert span_mass(reads) == pytest.approx((0.8 + 0.3 + 0.3 + 0.1 + 0.1) / 5)


def test_a_cell_that_touches_the_span_is_at_distance_one() -> None:
    look = Weights(np.eye(5)[[2, 3]], Named(("before", "after")), SOURCE)
    assert [read.distance for read in span_reads(look, [(10, 12), (8, 10)])] == [-1, 1]


def test_a_cell_that_overlaps_the_span_in_part_is_inside() -> None:
    look = Weights(np.eye(5)[[1]], Named(("a",)), SOURCE)
    assert span_reads(look, [(6, 9)]) == [SpanRead(0, 0, 1.0)]


def test_what_cannot_be_measured_is_refused() -> None:
    look = Weights(np.eye(5)[[1]], Named(("a",)), SOURCE)
    with pytest.raises(ValueError, match="2 spans for 1 steps"):
        span_reads(look, [None, None])
    with pytest.raises(ValueError, match=r"step 0 is \(3, 3\)"):
        span_reads(look, [(3, 3)])
    with pytest.raises(ValueError, match="not at named"):
        span_reads(Weights(np.eye(1), Named(("a",)), Named(("b",))), [(0, 1)])
    with pytest.raises(ValueError, match="no step has a source span"):
        span_accuracy([])
