"""From subwords to words, and how a token is shown."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

import numpy as np
from jaxtyping import Float
from rich.cells import cell_len, set_cell_size

from attend.attention.trace import Axis, Token, Tokens, Weights

BIDI_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def merge(look: Weights) -> Weights:
    """The look of whole words: summed over the pieces of a word looked at, averaged over the pieces of a word written.

    Words are the runs of `Tokens.text` between white space. A token of white space alone belongs to the word after it,
    or to the last; a special token stays on its own; a token that reaches over several words joins them. Axes other
    than tokens stay as they are. Rows keep their sums: a word's row is the mean of its pieces' rows.
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
            reach = max(token.end, token.start + 1)  # an empty token belongs where it stands
            overlapped = [(start, end) for start, end in spans if start < reach and token.start < end]
            # White space alone: so that words are numbered as in the text.
            overlapped = overlapped or [span for span in spans if token.start <= span[0]][:1] or spans[-1:]
        if not overlapped:
            words.append(token)
        else:
            start, end = overlapped[0][0], overlapped[-1][1]
            last = words[-1] if words else None
            if last is not None and last.end is not None and last.start is not None and start < last.end:
                start, end = min(start, last.start), max(end, last.end)
                words.pop()
            words.append(Token(axis.text[start:end], start, end))
        word_of.append(len(words) - 1)
    return Tokens(axis.text, tuple(words)), np.eye(len(words))[word_of]


def visible(text: str) -> str:
    """The text with nothing in it that acts on a terminal or a drawing: control characters become pictures.

    Line ends, escapes and the marks that turn the direction of writing are replaced; joiners, which scripts need, stay.
    A token of spaces alone is shown as open boxes, a mark without the character that it stands on by a dotted circle,
    and one of nothing but joiners by its code.
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
    """The label, or what of it and "…" fits in so many cells of a terminal: a Chinese character takes two."""
    return label if cell_len(label) <= width else set_cell_size(label, width - 1) + "…"


def shorten_apart(labels: Sequence[str], width: int) -> list[str]:
    """The labels shortened; without how they all begin where they would look alike else."""
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
