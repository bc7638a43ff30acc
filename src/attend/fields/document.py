"""Documents: a text as words, each with the sentence that it is in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int

from attend.attention.trace import Axis, Named, Token, Tokens
from attend.contract import PAD, UNKNOWN, Cells
from attend.data.captions import tidy
from attend.data.codec import Codec, Encoded
from attend.data.examples import Column, Log
from attend.data.ragged import Listed
from attend.fields.field import Fault
from attend.fields.story import SENTENCE
from attend.fields.text import TOKEN_CHARACTERS, check_text, tokens_of
from attend.settings import check_range


class Cut(NamedTuple):
    """The words of a text that are read, in lower case and apart from punctuation; how many each sentence has; and
    whether there are more."""

    words: list[str]
    counts: list[int]
    more: bool


@dataclass(frozen=True)
class Document:
    """A text cut into sentences, each a line or ended by `.`, `!` or `?`; and how much of it is read."""

    vocabulary: int = 20_000
    """Entries of the vocabulary of words, the four special ones included."""
    longest: int = 600
    """Words that are read: of a longer text the first, which is said."""
    sentence: int = 40
    """Words of a sentence: a longer one goes on as another."""
    like: str = ""
    """The field whose vocabulary this one shares, learnt from both together."""

    kind = "text"

    def __post_init__(self) -> None:
        check_range(self, "longest sentence", 1)
        check_range(self, "vocabulary", 5)

    def column(self, name: str) -> Column:
        return Column(name)

    def kept(self, name: str) -> tuple[str, ...]:
        return (f"{name}.tokenizer.json",)

    def learn(self, values: Iterable[str], log: Log) -> "DocumentField":
        return DocumentField(
            self, Codec.train((" ".join(self.cut(text).words) for text in values), "word", self.vocabulary)
        )

    def share(self, other: Any) -> "DocumentField":
        return DocumentField(self, other.codec)

    def open(self, folder: Path, name: str) -> "DocumentField":
        return DocumentField(self, Codec.load(str(folder / f"{name}.tokenizer.json")))

    def example(self, rng: np.random.Generator) -> str:
        counts = rng.integers(1, 5, size=rng.integers(1, 5))
        return " ".join(" ".join(rng.choice(list("abcdef"), count)) + "." for count in counts)

    def cut(self, text: str) -> Cut:
        most, words, counts = self.longest * TOKEN_CHARACTERS, [], []
        for match in SENTENCE.finditer(text, 0, most):
            found = tidy(match[0]).split(" ")
            words += found
            counts += [min(self.sentence, len(found) - start) for start in range(0, len(found), self.sentence)]
            if len(words) > self.longest:
                break
        return Cut(words[: self.longest], counts, len(words) > self.longest or len(text) > most)


class DocumentField:
    """Documents as cells [word 2]: a word's number, and that of its sentence, from 0."""

    varies = True
    limit = None

    def __init__(self, settings: Document, codec: Codec) -> None:
        self.settings, self.codec = settings, codec
        self._shortened = 0

    def read(self, given: str | bytes) -> str:
        if isinstance(given, bytes):
            raise ValueError("a text was expected, not a file")
        return given

    def encode(self, values: Sequence[str], training: bool = False) -> list[Any]:
        for value in values:
            check_text(value)
        cuts = [self.settings.cut(value) for value in values]
        self._shortened += sum(cut.more for cut in cuts)
        numbers = self.codec.encode_many(" ".join(cut.words) for cut in cuts)
        return [cells(ids, cut.counts) if ids else Fault("is empty") for ids, cut in zip(numbers, cuts, strict=True)]

    def prepare(self, raw: Any, name: str = "", encoded: Any = None) -> "DocumentValue":
        check_text(raw)
        found = self.encode([raw])[0] if encoded is None else encoded
        if isinstance(found, Fault):
            raise ValueError(f"the text {found}")
        return DocumentValue(self.codec, " ".join(self.settings.cut(raw).words), found)

    def column(self) -> Listed:
        return Listed()

    def length(self, encoded: Int[np.ndarray, "word 2"]) -> int:
        return len(encoded)

    def collate(self, encoded: Any) -> Cells:
        """Cells [batch word 2]."""
        documents = list(encoded)
        lengths = np.array([len(document) for document in documents])
        mask = np.arange(lengths.max()) < lengths[:, None]
        values: Any = np.full((*mask.shape, 2), PAD, dtype=np.int64)
        values[mask] = np.concatenate(documents)
        return Cells(torch.from_numpy(values), torch.from_numpy(mask))

    def sizes(self) -> dict[str, int]:
        return {"vocabulary": len(self.codec)}

    def remarks(self) -> list[str]:
        if not self._shortened:
            return []
        most = f"{self.settings.longest:,} words, of which the first are read (--inputs.text.longest)"
        count, self._shortened = self._shortened, 0
        return [f"texts of more than {most}: {count:,}"]

    def about(self) -> str:
        return f"documents of {len(self.codec):,} words"

    def save(self, folder: Path, name: str) -> None:
        self.codec.save(folder / f"{name}.tokenizer.json")

    def piece(self, token: int) -> str:
        return self.codec.piece(token)


def cells(ids: Sequence[int], counts: Sequence[int]) -> Int[np.ndarray, "word 2"]:
    sentences = np.repeat(np.arange(len(counts)), counts)[: len(ids)]
    return np.stack([np.array(ids), sentences], 1).astype(np.int32)


class DocumentValue:
    """See `attend.fields.field.Value`. Its cells are its words, or its sentences."""

    def __init__(self, codec: Codec, text: str, encoded: Int[np.ndarray, "word 2"]) -> None:
        self._codec, self.text, self.encoded = codec, text, encoded

    @cached_property
    def spelt(self) -> Encoded:
        return self._codec.encode(self.text)

    def axis(self, cells: int, shape: tuple[int, ...]) -> Axis:
        if cells == len(self.encoded):
            return Tokens(self.text, tuple(tokens_of(self.spelt)))
        starts = np.flatnonzero(np.diff(self.encoded[:, 1], prepend=-1))
        if cells != len(starts):
            return Named(tuple(str(number + 1) for number in range(cells)))
        offsets = self.spelt.offsets
        ends = [*(starts[1:] - 1), len(offsets) - 1]
        spans = [(offsets[first][0], offsets[last][1]) for first, last in zip(starts, ends, strict=True)]
        return Tokens(self.text, tuple(Token(self.text[start:end], start, end) for start, end in spans))

    def media(self) -> None:
        return None

    def unknown(self) -> int:
        return int((self.encoded[:, 0] == UNKNOWN).sum())
