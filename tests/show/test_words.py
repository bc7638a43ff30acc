import unicodedata

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from attend.attention.trace import Grid, Named, Token, Tokens, Weights
from attend.inspect.alignment import links
from attend.show.words import merge, shorten_apart, visible


def test_sum_over_source_pieces_and_mean_over_target_pieces(subwords: Weights) -> None:
    words = merge(subwords)
    assert words.steps == Tokens("Haus an", (Token("Haus", 0, 4), Token("an", 5, 7), Token("</s>")))
    assert words.memory == Tokens("a house", (Token("a", 0, 1), Token("house", 2, 7), Token("</s>")))
    expected = [[0.25, 0.625, 0.125], [0.75, 0.1875, 0.0625], [0, 0.125, 0.875]]
    np.testing.assert_array_equal(words.weights, expected)


def test_words_stay_words(subwords: Weights) -> None:
    words = merge(subwords)
    again = merge(words)
    assert (again.steps, again.memory) == (words.steps, words.memory)
    np.testing.assert_array_equal(again.weights, words.weights)


def test_names_that_begin_alike_are_told_apart() -> None:
    assert shorten_apart(["black cat", "black dog"], 20) == ["black cat", "black dog"]
    assert shorten_apart(["black cat", "white dog"], 6) == ["black…", "white…"]
    assert shorten_apart(["black cats at night", "black dogs at night"], 6) == ["…cats…", "…dogs…"]
    assert shorten_apart([], 8) == []


def test_pieces_that_begin_with_their_space() -> None:
    axis = Tokens("a house", (Token("a", 0, 1), Token(" hou", 1, 5), Token("se", 5, 7)))
    assert merge(over(axis)).memory.labels() == ["a", "house"]


def test_space_belongs_to_the_word_after_it_and_special_tokens_stay_on_their_own() -> None:
    text = "a bc "
    axis = Tokens(text, (Token("<de>"), *(Token(character, at, at + 1) for at, character in enumerate(text))))
    merged = merge(over(axis))
    assert merged.memory.labels() == ["<de>", "a", "bc"]
    np.testing.assert_allclose(merged.weights, [[1 / 6, 1 / 6, 4 / 6]])
    assert merge(over(Tokens(" ", (Token(" ", 0, 1),)))).memory.labels() == [" "]


def test_words_are_numbered_as_in_the_text() -> None:
    text = "a b c"
    axis = Tokens(text, tuple(Token(character, at, at + 1) for at, character in enumerate(text)))
    assert links(merge(Weights(np.eye(5), axis, axis))) == {(0, 0), (1, 1), (2, 2)}


def test_a_piece_over_two_words_joins_them() -> None:
    axis = Tokens("New York is", (Token("New Yo", 0, 6), Token("rk", 6, 8), Token("is", 9, 11)))
    assert merge(over(axis)).memory.labels() == ["New York", "is"]


def test_bytes_of_one_character_are_one_word() -> None:
    axis = Tokens("日 x", (Token("æ", 0, 1), Token("¥", 0, 1), Token("x", 2, 3)))
    assert merge(over(axis)).memory.labels() == ["日", "x"]


def test_other_axes_stay() -> None:
    look = Weights(np.full((2, 4), 0.25), Named(("hop 1", "hop 2")), Grid(2, 2), hard=True)
    merged = merge(look)
    assert (merged.steps, merged.memory, merged.hard) == (look.steps, look.memory, True)
    np.testing.assert_array_equal(merged.weights, look.weights)


def over(memory: Tokens) -> Weights:
    return Weights(np.full((1, len(memory)), 1 / len(memory)), Named(("step",)), memory)


@st.composite
def pieces(draw: st.DrawFn) -> tuple[str, list[int | None]]:
    """A text and where it is cut, with None where a special token is put in."""
    text = draw(st.text(alphabet="ab \t日\u3000", max_size=20))
    cuts: list[int | None] = [*sorted(draw(st.sets(st.integers(0, len(text)))) | {0, len(text)})]
    for at in draw(st.lists(st.integers(0, len(cuts)), max_size=2)):
        cuts.insert(at, None)
    return text, cuts


def cut(text: str, cuts: list[int | None]) -> Tokens:
    tokens, start = [], 0
    for end in cuts:
        if end is None:
            tokens.append(Token("<s>"))
        else:
            tokens.append(Token(text[start:end], start, end))
            start = end
    return Tokens(text, tuple(tokens))


@given(pieces(), pieces(), st.integers(0, 2**32))
def test_mass_is_kept_and_words_are_whole(
    target: tuple[str, list[int | None]], source: tuple[str, list[int | None]], seed: int
) -> None:
    steps, memory = cut(*target), cut(*source)
    scores = np.random.default_rng(seed).random((len(steps), len(memory))) + 0.01
    words = merge(Weights(scores / scores.sum(axis=1, keepdims=True), steps, memory))
    np.testing.assert_allclose(words.weights.sum(axis=1), 1)
    assert isinstance(words.memory, Tokens)
    written = [token for token in words.memory.tokens if token.start is not None and token.text.strip()]
    assert all(token.text == memory.text[token.start : token.end] for token in written)
    # Every word of the text is in one label alone, unless a special token was put inside it.
    if None not in source[1]:
        assert " ".join(token.text for token in written).split() == memory.text.split()


def test_visible() -> None:
    assert visible("\x1b[2J\n\x7f\x9b\u2028\u202e") == "␛[2J␊␡\ufffd\ufffd\ufffd"
    assert visible("  ") == "␣␣"
    assert visible("\u0301") == "◌\u0301"
    assert visible("\u200d") == "U+200D"
    assert visible("می\u200cخواهم e\u0301 👩‍👧") == "می\u200cخواهم e\u0301 👩‍👧"


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_nothing_visible_acts(text: str) -> None:
    assert not {unicodedata.category(character) for character in visible(text)} & {"Cc", "Cs", "Zl", "Zp"}


def test_a_word_of_an_unknown_piece_is_unknown() -> None:
    pieces = Tokens("ab c", (Token("a", 0, 1), Token("b", 1, 2, unknown=True), Token(" c", 2, 4)))
    look = merge(Weights(np.full((3, 3), 1 / 3), pieces, pieces))
    for axis in (look.steps, look.memory):
        assert isinstance(axis, Tokens)
        assert [(token.text, token.unknown) for token in axis.tokens] == [("ab", True), ("c", False)]
