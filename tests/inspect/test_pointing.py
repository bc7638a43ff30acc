"""Pointing, measured in one place for boxes, windows and spans: exact answers."""

import numpy as np
import pytest

from attend.attention.trace import Grid, Named, Token, Tokens, Weights, Windows
from attend.data import scenes
from attend.data.examples import Truth
from attend.inspect.pointing import pointing

#                       0123456789
SOURCE = Tokens(
    "1 May 2024", (Token("1", 0, 1), Token(" May", 1, 5), Token("20", 6, 8), Token("24", 8, 10), Token("</s>"))
)
ISO = Tokens("2024-05", (Token("20", 0, 2), Token("24", 2, 4), Token("-", 4, 5), Token("05", 5, 7), Token("</s>")))
YEAR, MONTH = Truth("source", (6, 10), of=(0, 4)), Truth("source", (2, 5), of=(5, 7))


def spelling(*cells: int) -> Weights:
    """Each step of ISO at one cell of SOURCE."""
    return Weights(0.6 * np.eye(5)[list(cells)] + 0.08, ISO, SOURCE)


def test_spans_are_pointed_at_by_the_steps_that_write_them():
    # The year at its first half and at the month; the month where it stands.
    figures = pointing([({"source": spelling(2, 1, 4, 1, 4)}, [YEAR, MONTH])])
    assert figures == {
        "pointing_accuracy": pytest.approx(2 / 3),
        "pointing_accuracy_first_step": 1.0,
        "pointing_accuracy_last_step": 0.5,
        "pointing_accuracy_any_step": 1.0,
        "pointing_by_chance": pytest.approx((2 / 5 + 1 / 5) / 2),
    }
    assert pointing([({"source": spelling(0, 0, 0, 0, 0)}, [YEAR])])["pointing_accuracy"] == 0
    # Over all steps of all examples alike.
    many = [({"source": spelling(2, 3, 0, 1, 4)}, [YEAR]), ({"source": spelling(2, 3, 0, 0, 4)}, [MONTH])]
    assert pointing(many)["pointing_accuracy"] == pytest.approx(2 / 3)


def test_a_cell_beside_a_span_is_not_in_it():
    # " May" begins where "1" ends, and "05" where "-" does.
    day = Truth("source", (0, 1), of=(4, 5))
    assert pointing([({"source": spelling(0, 0, 0, 1, 4)}, [day])]) == {
        "pointing_accuracy": 1.0,
        "pointing_by_chance": 0.2,
    }
    assert pointing([({"source": spelling(0, 0, 1, 0, 4)}, [day])])["pointing_accuracy"] == 0


def test_boxes_are_pointed_at_in_the_cells_of_a_grid():
    # Of 2 x 4 cells, those on the right of the lower row.
    truth = Truth("image", (0.0, 0.0, 1.0, 1.0), of=(2, 5))
    caption = Tokens("a red dog", (Token("a", 0, 1), Token("red", 2, 5), Token("dog", 6, 9), Token("</s>")))
    for cell, right in ((6, 1.0), (7, 1.0), (5, 0.0), (2, 0.0)):
        weights = np.full((4, 8), 0.1)
        weights[1, cell] = 0.3
        figures = pointing([({"image": Weights(weights, caption, Grid(2, 4))}, [truth])])
        assert figures == {"pointing_accuracy": right, "pointing_by_chance": 0.25}


def test_of_equal_weights_the_first_is_the_strongest():
    look = Weights(np.full((1, 8), 1 / 8), Named(("answer",)), Grid(2, 4))
    for box, right in (((-1.0, -1.0, 0.0, 0.0), 1.0), ((0.0, 0.0, 1.0, 1.0), 0.0)):
        assert pointing([({"image": look}, [Truth("image", box)])])["pointing_accuracy"] == right


def test_every_step_of_an_output_that_is_no_text_may_look_there():
    box = Truth("image", (0.0, 0.0, 1.0, 1.0))
    centre = np.array([[0.5, 0.5], [0.5, -0.5], [1.0, 0.0]])
    look = Windows(centre, np.ones_like(centre), np.ones(3), Named(("1", "2", "3")))
    figures = pointing([({"glimpse": look}, [box])])
    assert figures["pointing_accuracy"] == pytest.approx(2 / 3)
    assert (figures["pointing_accuracy_first_step"], figures["pointing_accuracy_last_step"]) == (1.0, 1.0)
    assert figures["pointing_by_chance"] == 0.25
    # A box that goes beyond the image has as much of the image as is in it.
    beyond = Truth("image", (0.5, -1.5, 3.0, 1.0))
    assert pointing([({"glimpse": look}, [beyond])])["pointing_by_chance"] == 0.25


def test_hops_are_measured_one_by_one_and_so_are_the_places_that_they_find():
    story = Tokens("a. b. c.", (Token("a.", 0, 2), Token("b.", 3, 5), Token("c.", 6, 8)))
    facts = Truth("story", ((3, 5), (6, 8)))

    def hops(*cells: int) -> Weights:
        return Weights(np.eye(3)[list(cells)], Named(("1", "2", "3")), story)

    figures = pointing([({"story": hops(1, 0, 2)}, [facts]), ({"story": hops(1, 1, 0)}, [facts])])
    assert [figures[f"pointing_accuracy_step_{hop}"] for hop in (1, 2, 3)] == [1.0, 0.5, 0.5]
    assert figures["pointing_accuracy"] == pytest.approx(4 / 6)
    assert figures["pointing_recall"] == 0.75  # the second example's hops never look at "c."
    assert figures["pointing_by_chance"] == pytest.approx(2 / 3)


def test_the_look_over_the_field_goes_before_others():
    right, wrong = spelling(2, 3, 4, 1, 4), spelling(0, 0, 0, 0, 0)
    for looks in (
        {"source": right, "first": wrong},
        {"first": wrong, "source": right},
        {"hop 1": right, "hop 2": wrong},
    ):
        assert pointing([(looks, [YEAR])])["pointing_accuracy"] == 1.0


def test_what_is_not_known_is_not_measured():
    look = spelling(2, 3, 4, 1, 4)
    summary = Weights(np.ones((5, 1)), ISO, Named(("summary",)))
    for examples in (
        [],
        [({"source": look}, [])],
        [({}, [YEAR])],
        [({"source": summary}, [YEAR])],
        [({"source": look}, [Truth("source", (6, 10), of=(4, 4))])],  # no step writes it
        [({"source": look}, [Truth("image", (0.0, 0.0, 1.0, 1.0))])],  # a box, over tokens
    ):
        assert pointing(examples) == {}
    window = Windows(np.zeros((1, 2)), np.ones((1, 2)), np.ones(1), Named(("1",)))
    with pytest.raises(ValueError, match="'image'"):
        pointing([({"glimpse": window}, [Truth("image", (0, 4))])])


def test_the_objects_of_scenes_are_pointed_at_where_they_are_named():
    drawn = scenes.draw_all(5, 7)
    examples = []
    for number, (text,) in enumerate(drawn.images.captions or ()):
        tokens, start = [], 0
        for word in text.split():
            tokens.append(Token(word, start, start + len(word)))
            start += len(word) + 1
        weights = np.zeros((len(tokens) + 1, 64))
        weights[:, 0] = 1.0  # nowhere, but at nouns
        nouns = [place for place, token in enumerate(tokens) if token.text in scenes.SHAPES]
        for noun, box in zip(nouns, drawn.boxes[number], strict=False):
            column, row = ((box[:2] + box[2:]) / 2 + 1) / 2 * 8
            weights[noun] = np.eye(64)[int(row) * 8 + int(column)]
        truth = [
            Truth("image", tuple(box), of=mention)
            for box, mention in zip(drawn.boxes[number].tolist(), drawn.mentions[number], strict=False)
        ]
        examples.append((text, tokens, weights, truth))

    def figures(turned: int) -> dict[str, float]:
        looks = [
            Weights(np.roll(weights, turned, axis=0), Tokens(text, (*tokens, Token("</s>"))), Grid(8, 8))
            for text, tokens, weights, _ in examples
        ]
        return pointing([({"image": look}, one[3]) for look, one in zip(looks, examples, strict=True)])

    # "red circle" has two steps; at its last, the noun.
    right = figures(0)
    assert right["pointing_accuracy_last_step"] == right["pointing_accuracy_any_step"] == 1.0
    assert right["pointing_accuracy_first_step"] < 0.3
    assert 0.05 < right["pointing_by_chance"] < 0.1
    assert figures(-1)["pointing_accuracy_first_step"] == 1.0
    assert figures(1)["pointing_accuracy_any_step"] < 0.3
