"""Subwords merged into words, and tokens made safe to print."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

import numpy as np
from jaxtyping import Float
from rich.cells import cell_len, set_cell_size

from attend.attention.trace import Axis, Named, Token, Tokens, Trace, Weights

# Weights that differ by less were computed as the same number.
SAME = 1e-6
BIDI_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def drawable(trace: Trace) -> dict[str, Weights]:
    """The trace's weights by look, without empty ones and those over a single vector (`Named` of one)."""
    return {
        name: look
        for name, look in trace.looks.items()
        if isinstance(look, Weights)
        and look.weights.size
        and not (isinstance(look.memory, Named) and len(look.memory) == 1)
    }


def even(look: Weights) -> bool:
    """Whether every step weighs all of several cells alike, as a control without attention does by construction."""
    return len(look.memory) > 1 and bool((look.weights.max(1) - look.weights.min(1) < SAME).all())


def tells_story(look: Weights) -> bool:
    """Whether the cells are sentences, of several words each, that the hops of an answer look at: each needs a line."""
    return (
        isinstance(look.steps, Named)
        and isinstance(look.memory, Tokens)
        and any(len(token.text.split()) > 1 for token in look.memory.tokens)
    )


def readable(look: Weights, words: bool | None = None) -> Weights:
    """The look over whole words (`words` True), tokens (False), or (None) words unless its tokens are characters."""
    if words is None:
        words = not any(_of_characters(axis) for axis in (look.steps, look.memory))
    return merge(look) if words else look


def _of_characters(axis: Axis) -> bool:
    if not isinstance(axis, Tokens):
        return False
    lengths = [token.end - token.start for token in axis.tokens if token.start is not None and token.end is not None]
    return max(lengths, default=2) <= 1


def merge(look: Weights) -> Weights:
    """The look over whole words: weights summed over a word's tokens in the memory, averaged over its steps.

    Words are split at white space in `Tokens.text`. A token of white space alone belongs to the next word, or to the
    last; a special token stays on its own; a token that spans several words merges them. Axes other than tokens are
    unchanged. Rows keep their sums: a word's row is the mean of its tokens' rows.
    """
    steps, step_words = _merge_axis(look.steps)
    memory, memory_words = _merge_axis(look.memory)
    mean = step_words.T / step_words.sum(axis=0)[:, None]
    return replace(look, weights=mean @ look.weights @ memory_words, steps=steps, memory=memory)


def _merge_axis(axis: Axis) -> tuple[Axis, Float[np.ndarray, "token word"]]:
    """The axis of words, and a matrix with a one where a token belongs to a word."""
    if not isinstance(axis, Tokens):
        return axis, np.eye(len(axis))
    spans = [match.span() for match in re.finditer(r"\S+", axis.text)]
    words: list[Token] = []
    word_of: list[int] = []
    for token in axis.tokens:
        overlapped = []
        if token.start is not None and token.end is not None:
            reach = max(token.end, token.start + 1)  # an empty token belongs to the word at its position
            overlapped = [(start, end) for start, end in spans if start < reach and token.start < end]
            # Split at white space alone, so that words are numbered as in the text.
            overlapped = overlapped or [span for span in spans if token.start <= span[0]][:1] or spans[-1:]
        if not overlapped:
            words.append(token)
        else:
            (start, _), (_, end) = overlapped[0], overlapped[-1]
            unknown, last = token.unknown, words[-1] if words else None
            if last is not None and last.end is not None and last.start is not None and start < last.end:
                start, end, unknown = min(start, last.start), max(end, last.end), unknown or last.unknown
                words.pop()
            words.append(Token(axis.text[start:end], start, end, unknown))
        word_of.append(len(words) - 1)
    return Tokens(axis.text, tuple(words)), np.eye(len(words))[word_of]


def visible(text: str) -> str:
    """The text without control characters, safe to print on a terminal or draw in a figure.

    Controls become control pictures; line ends and directional marks are replaced; joiners, which scripts need, stay. A
    token of only spaces is shown as open boxes, a lone combining mark on a dotted circle, and a token of only joiners
    by its code.
    """
    if text and not text.strip(" "):
        return "␣" * len(text)
    categories = [unicodedata.category(character) for character in text.strip(" ")]
    if categories and set(categories) == {"Cf"} and not BIDI_CONTROLS & {unicodedata.bidirectional(c) for c in text}:
        return " ".join(f"U+{ord(character):X}" for character in text.strip(" "))
    if categories and categories[0].startswith("M"):
        text = f"◌{text.strip(' ')}"
    return "".join(_visible_character(character) for character in text)


def shorten(label: str, width: int) -> str:
    """The label cut to `width` terminal cells, with "…"; a Chinese character takes two."""
    return label if cell_len(label) <= width else set_cell_size(label, width - 1) + "…"


def shorten_apart(labels: Sequence[str], width: int) -> list[str]:
    """The labels shortened; without their common prefix if they would be identical otherwise."""
    short = [shorten(label, width) for label in labels]
    shared = sum(1 for _ in takewhile(lambda those: len(set(those)) == 1, zip(*labels, strict=False)))
    if len(set(short)) == len(set(labels)) or not shared:
        return short
    return [shorten("…" + label[shared:], width) for label in labels]


def _visible_character(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)  # the block of control pictures
    if code == 0x7F:
        return "␡"
    if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}:
        return "\ufffd"
    return "\ufffd" if unicodedata.bidirectional(character) in BIDI_CONTROLS else character
