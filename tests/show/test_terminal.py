import re
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from attend.attention.trace import Alternative, Frames, Grid, Named, Token, Tokens, Trace, Weights, Windows
from attend.show.terminal import alignment, describe, heat_map
from attend.show.words import merge


def look(steps: list[str], cells: list[str], weights: list[list[float]]) -> Weights:
    return Weights(np.array(weights, dtype=float), Named(tuple(steps)), Named(tuple(cells)))


def test_small_matrix() -> None:
    shown = heat_map(look(["das", "Ha"], ["a", "bc"], [[1, 0], [0.25, 0.5]]), 40, colour=False)
    assert shown.split("\n") == [
        "      b",
        "    a c",
        "das █*  ",
        " Ha ░░▒*",
        "",
        "   0  ░░ 0.25  ▒▒ 0.5",
        "▓▓ 0.75  ██ 1  * strongest",
    ]


def test_wide_and_combining_characters_stay_in_line() -> None:
    shown = heat_map(look(["日本", "e\u0301"], ["語", "e\u0301e\u0301"], [[1, 0], [0, 1]]), 40, colour=False)
    labels, rows = shown.split("\n")[:2], shown.split("\n")[2:4]
    assert labels == ["       e\u0301", "     語e\u0301"]
    assert rows == ["日本 █*  ", "   e\u0301   █*"]
    assert [cell_len(row) for row in rows] == [9, 9]


def test_wide_matrix_folds_into_panels() -> None:
    cells = [chr(ord("a") + cell) for cell in range(10)]
    shown = heat_map(look(["step"], cells, [[0.1] * 10]), 14, colour=False)
    panels = shown.split("\n\n")
    assert [panel.split("\n")[0].split() for panel in panels[:-1]] == [list("abcd"), list("efgh"), list("ij")]
    assert shown.count("*") == 2  # one mark, one explanation


def test_colour_says_how_much_and_a_row_of_nothing_has_no_mark() -> None:
    shown = heat_map(look(["x", "y"], ["a", "b"], [[0.6, 0.4], [0, 0]]), 80, colour=True)
    assert shown.split("\n")[1:3] == [
        "x \x1b[38;5;16;48;5;144m *\x1b[0m\x1b[38;5;15;48;5;102m  \x1b[0m",
        "y " + "\x1b[38;5;15;48;5;17m  \x1b[0m" * 2,
    ]


def test_long_labels_are_cut() -> None:
    shown = heat_map(look(["internationalisation"], ["internationalisation"], [[1]]), 30, colour=False)
    lines = shown.split("\n")
    assert "".join(line.strip() for line in lines[:12]) == "internation…"
    assert lines[12] == "internati… █*"


def test_too_narrow() -> None:
    with pytest.raises(ValueError, match="at least 12 characters, not 11"):
        heat_map(look(["x"], ["a"], [[1]]), 11, colour=False)


def test_alignment() -> None:
    weights = [[0.04, 0.91, 0.05, 0], [0.02, 0.03, 0.02, 0.03], [0, 0, 0, 0], [0.25, 0.25, 0.3, 0.2]]
    assert alignment(look(["haus", "x", "y", "z"], ["the", "house", "is", "\n"], weights)).split("\n") == [
        "haus <- house 0.91, is 0.05",
        "x <- house 0.03",
        "y <- ",
        "z <- is 0.30, the 0.25, house 0.25",
    ]


names = st.lists(st.text(max_size=20), max_size=8)


@given(names, names, st.integers(12, 60), st.booleans(), st.integers(0, 2**32))
def test_any_text_stays_harmless_and_in_the_width(
    steps: list[str], cells: list[str], width: int, colour: bool, seed: int
) -> None:
    scores = np.random.default_rng(seed).random((len(steps), len(cells)))
    weights = scores / np.maximum(scores.sum(axis=1, keepdims=True), 1)
    look = Weights(weights, Named(tuple(steps)), Named(tuple(cells)))
    shown = heat_map(look, width, colour)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert all(cell_len(line) <= width for line in plain.split("\n"))
    for text in (plain, alignment(look)):
        assert not {unicodedata.category(character) for character in text if character != "\n"} & {"Cc", "Zl", "Zp"}
    assert len(alignment(look).split("\n")) == max(len(steps), 1)


def text(words: str) -> Tokens:
    found = [match.span() for match in re.finditer(r"\S+", words)]
    return Tokens(words, tuple(Token(words[start:end], start, end) for start, end in found))


def test_a_text_is_described_by_matrix_and_alignment(subwords: Weights) -> None:
    trace = Trace("a house", "Haus an", {"source": subwords})
    words = merge(subwords)
    assert describe(trace, 60, colour=False).split("\n\n") == [
        "Haus an",
        *heat_map(words, 60, colour=False).split("\n\n"),
        alignment(words),
    ]
    assert alignment(subwords) in describe(trace, 60, colour=False, words=False)
    assert describe(replace(trace, finished=False), 60, colour=False).startswith("Haus an (cut off")


def test_every_look_is_described_under_its_name() -> None:
    premise = text("a dog runs")
    looks = {
        "premise": Weights(np.array([[0.0, 1.0, 0.0]]), Named(("entailment",)), premise),
        "words": Weights(np.eye(3)[[0, 2]], text("it moves"), premise),
    }
    answers = ((Alternative(0, "entailment", -0.1), Alternative(1, "neutral", -2.5)),)
    trace = Trace("a dog runs / it moves", "entailment", looks, alternatives=answers)
    lines = describe(trace, 60, colour=False).split("\n")
    assert lines[0] == "a dog runs / it moves: entailment"
    assert [line for line in lines if line in ("premise:", "words:")] == ["premise:", "words:"]
    assert {"entailment <- dog 1.00", "it <- a 1.00", "moves <- runs 1.00"} <= set(lines)
    assert lines[-1] == "  step 1: entailment 0.90, neutral 0.08"


def test_images_and_sounds_are_described_by_alignments_alone() -> None:
    steps = text("red")
    looks = {
        "image": Weights(np.array([[0.1, 0.0, 0.9, 0.0]]), steps, Grid(2, 2)),
        "sound": Weights(np.array([[0.75, 0.25]]), steps, Frames((0.0, 0.5), 0.5)),
        "mean": Weights(np.ones((1, 1)), steps, Named(("mean",))),
    }
    assert describe(Trace("x", "red", looks), 60, colour=False).split("\n\n") == [
        "x: red",
        "image:",
        "red <- row 2 column 1 0.90, row 1 column 1 0.10",
        "sound:",
        "red <- 0.00s 0.75, 0.50s 0.25",
    ]


def test_long_inputs_are_described_by_alignments_alone() -> None:
    long = text(" ".join(f"w{number}" for number in range(1000)))
    look = Weights(np.full((1, 1000), 0.001), Named(("answer",)), long)
    assert len(describe(Trace(long.text, "yes", {"document": look}), 80, colour=False).split("\n")) == 3


def test_glimpses_are_described_by_what_is_likeliest_after_each_or_by_their_windows() -> None:
    windows = Windows(np.array([[0.5, -0.25]] * 2), np.full((2, 2), 0.5), np.ones(2), Named(("1", "2")))
    trace = Trace("x.png", "seven", {"read": windows})
    assert describe(trace, 60, colour=False).split("\n") == [
        "x.png: seven",
        "  step 1: read 0.50 x 0.50 at 0.50, -0.25",
        "  step 2: read 0.50 x 0.50 at 0.50, -0.25",
    ]
    four = tuple(Alternative(number, name, np.log(0.4 - number / 10)) for number, name in enumerate("abc"))
    shown = describe(replace(trace, alternatives=(four, (Alternative(3, "d\x1b", -9.0), *four))), 60, colour=False)
    assert shown.split("\n")[1:] == ["  step 1: a 0.40, b 0.30, c 0.20", "  step 2: a 0.40, b 0.30, c 0.20"]


def test_what_is_in_no_vocabulary_is_said() -> None:
    source = Tokens("a \U0001f600", (Token("a", 0, 1), Token("\U0001f600", 2, 3, unknown=True)))
    steps = Tokens("x", (Token("x", 0, 1),))
    trace = Trace(source.text, "x", {"source": Weights(np.array([[0.4, 0.6]]), steps, source)})
    first, second, *_ = describe(trace, 80, False).splitlines()
    assert (first, "\U0001f600" in second) == ("x", True)
    form = trace.to_json()
    assert list(form["looks"]["source"]["memory"]["tokens"][0]) == ["text", "start", "end"]
    assert Trace.from_json(form).looks["source"].memory == source  # type: ignore[union-attr]


def test_a_story_has_a_line_for_each_sentence_with_a_bar_for_each_hop():
    text = "Mary took it.\nJohn left."
    memory = Tokens(text, (Token("Mary took it.", 0, 13), Token("John left.", 14, 24)))
    look = Weights(np.array([[0.75, 0.25], [0.0, 1.0]]), Named(("1", "2")), memory)
    trace = Trace(f"story: {text}\nquery: who?", "John", {"story": look})
    lines = describe(trace, 80, colour=False).splitlines()
    assert lines[:2] == ["query: who?", "John"]
    first, second = lines[-2:]
    assert first.split() == ["Mary", "took", "it.", "██████", "*0.75", "0.00"]
    assert second.split() == ["John", "left.", "██", "0.25", "████████*1.00"]
    assert max(map(len, describe(trace, 44, colour=False).splitlines())) <= 44
