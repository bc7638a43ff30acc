"""Texts, cut into tokens: words, subwords or characters, with their places in the text."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer

from attend.attention.trace import Axis, Named, Token, Tokens
from attend.contract import END, UNKNOWN, Cells
from attend.data.captions import tidy
from attend.data.codec import Codec, Encoded, Unit
from attend.data.examples import Column, Log
from attend.data.normal import normalised_each, normalised_together
from attend.data.ragged import Ragged
from attend.fields.field import Fault, TooLong, stack_cells
from attend.settings import FORMERLY, check_range

END_SHOWN = "</s>"
# A text may be so many times as long as those that were learnt from: beyond that it is no use, and takes long.
LIMIT = 4
# More characters than a token has on average in any text: what has more is too long, and need not be cut into tokens.
TOKEN_CHARACTERS = 100
# Of a vocabulary that follows the size of the data: some twenty words an entry, in any script.
LEAST_ENTRIES, MOST_ENTRIES, CHARACTERS_AN_ENTRY = 100, 8000, 100
MORE = "the most that is read: split it, or read more (--longest-input; in Python read_up_to)"


@dataclass(frozen=True)
class Text:
    """A text, and how it is cut into tokens."""

    unit: Unit = "bpe"
    """What a token is: a whole word, a subword (bpe or unigram), or a character."""
    vocabulary: int = 0
    """Entries of the vocabulary, the four special ones included; 0 for one for each 100 characters of the training
    texts, from 100 to 8,000."""
    longest: int = 100
    """Longer texts (in tokens) are left out of training, and counted."""
    like: str = ""
    """The field whose vocabulary this one shares, learnt from both together."""
    tidy: bool = False
    """Put the text in lower case, with punctuation apart from words, before it is cut."""
    normalise: bool = field(default=True, metadata={FORMERLY: False})
    """Compose characters (NFC), and leave out byte order marks and stray spaces, before the text is cut."""

    kind = "text"

    def __post_init__(self) -> None:
        check_range(self, "longest", 1)
        if self.vocabulary:
            check_range(self, "vocabulary", 5)

    def column(self, name: str) -> Column:
        return Column(name)

    def kept(self, name: str) -> tuple[str, ...]:
        return (f"{name}.tokenizer.json",)

    def learn(self, values: Iterable[str], log: Log) -> "TextField":
        texts = normalised_each(values) if self.normalise else values
        texts = (tidy(text) for text in texts) if self.tidy else texts
        size = self.vocabulary
        if not size:
            size, texts = (MOST_ENTRIES, texts) if self.unit == "character" else fitting(texts)
        return TextField(self, Codec.train(texts, self.unit, size))

    def share(self, other: Any) -> "TextField":
        return TextField(self, other.codec)

    def open(self, folder: Path, name: str) -> "TextField":
        return TextField(self, Codec.load(str(folder / f"{name}.tokenizer.json")))

    def example(self, rng: np.random.Generator) -> str:
        return " ".join(rng.choice(list("abcdef"), rng.integers(1, 6)))


def fitting(texts: Iterable[str]) -> tuple[int, Iterable[str]]:
    """A size of vocabulary with enough text to learn each entry from; and the texts, which are read no further than it
    takes to find it."""
    rest, begun, characters = iter(texts), [], 0
    for text in rest:
        begun.append(text)
        characters += len(text)
        if characters >= MOST_ENTRIES * CHARACTERS_AN_ENTRY:
            break
    return min(MOST_ENTRIES, max(LEAST_ENTRIES, characters // CHARACTERS_AN_ENTRY)), chain(begun, rest)


class TextField:
    """Texts as token ids, which end with END."""

    varies = True

    def __init__(self, settings: Text, codec: Codec) -> None:
        self.settings, self.codec = settings, codec
        self.limit = LIMIT * settings.longest

    def read(self, given: str | bytes) -> str:
        if isinstance(given, bytes):
            raise ValueError("a text was expected, not a file")
        return given

    def encode(self, values: Sequence[str], training: bool = False) -> list[Any]:
        for value in values:
            check_text(value)
        longest, found = self.settings.longest if training else self.limit, []
        characters = longest * TOKEN_CHARACTERS
        read = values
        if max(map(len, values), default=0) > characters:
            read = [value[: characters + 1] for value in values]
        texts = self.normal(read)
        for raw, text, tokens in zip(read, texts, self.codec.encode_many(texts), strict=True):
            usual = len(tokens) <= longest and not text.isspace() and bool(text) and not self.settings.tidy
            if (usual and len(raw) <= characters) or (fault := self.fault(raw, text, len(tokens), longest)) is None:
                tokens.append(END)
                found.append(tokens)
            else:
                found.append(fault)
        return found

    def normal(self, texts: Sequence[str]) -> Sequence[str]:
        """Texts as the vocabulary was learnt from them."""
        texts = normalised_together(texts) if self.settings.normalise else texts
        return [tidy(text) for text in texts] if self.settings.tidy else texts

    def fault(self, raw: str, text: str, tokens: int, longest: int) -> Fault | None:
        if self.settings.tidy and (reason := control_character(raw)):
            return Fault(reason)
        if not text.strip():
            return Fault("is empty")
        if tokens > longest or len(raw) > longest * TOKEN_CHARACTERS:
            return TooLong(f"has more than {longest:,} tokens")
        return None

    def prepare(self, raw: Any, name: str = "", encoded: Any = None) -> "TextValue":
        check_text(raw)
        if len(raw) > self.limit * TOKEN_CHARACTERS:
            raise ValueError(f"the text has more than {self.limit:,} tokens, {MORE}")
        (text,) = self.normal([raw])
        value = TextValue(self.codec, text)
        tokens = 0 if encoded is not None else len(value.spelt.ids)
        if fault := self.fault(raw, text, tokens, self.limit):
            raise ValueError(f"the text {fault}" + (f", {MORE}" if tokens > self.limit else ""))
        return value

    def column(self) -> Ragged:
        return Ragged(len(self.codec))

    def length(self, encoded: Sequence[int] | Integer[np.ndarray, "token"]) -> int:
        return len(encoded)

    def collate(self, encoded: Any) -> Cells:
        return stack_cells(encoded)

    def sizes(self) -> dict[str, int]:
        return {"vocabulary": len(self.codec)}

    def remarks(self) -> list[str]:
        return []

    def about(self) -> str:
        return f"{len(self.codec):,} {self.settings.unit} tokens"

    def save(self, folder: Path, name: str) -> None:
        self.codec.save(folder / f"{name}.tokenizer.json")

    def piece(self, token: int) -> str:
        """A token as it is shown."""
        return END_SHOWN if token == END else self.codec.piece(token)


class TextValue:
    """See `attend.fields.field.Value`. Its cells are its tokens and their END."""

    def __init__(self, codec: Codec, text: str) -> None:
        self._codec, self.text = codec, text

    @cached_property
    def spelt(self) -> Encoded:
        return self._codec.encode(self.text)

    @cached_property
    def encoded(self) -> Integer[np.ndarray, "token"]:
        return np.array([*self.spelt.ids, END])

    def axis(self, cells: int, shape: tuple[int, ...]) -> Axis:
        if cells != len(self.spelt.ids) + 1:
            return Named(("summary",))
        return Tokens(self.text, (*tokens_of(self.spelt), Token(END_SHOWN)))

    def media(self) -> None:
        return None

    def unknown(self) -> int:
        return self.spelt.ids.count(UNKNOWN)


def check_text(value: Any) -> None:
    """Raise `TypeError` for what is no text."""
    if not isinstance(value, str):
        raise TypeError(f"a text was expected, not {type(value).__name__}")


def tokens_of(spelt: Encoded) -> list[Token]:
    parts = zip(spelt.tokens, spelt.offsets, spelt.ids, strict=True)
    return [Token(text, *place, unknown=number == UNKNOWN) for text, place, number in parts]


def control_character(text: str) -> str | None:
    """Why a text with a control character can't be learnt."""
    if text.isprintable():
        return None
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs") and not character.isspace():
            return f"has the control character U+{ord(character):04X}"
    return None
