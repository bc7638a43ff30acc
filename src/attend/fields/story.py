"""Stories: sentences in order, each of them a memory cell."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from attend.attention.trace import Axis, Token, Tokens
from attend.contract import PAD, UNKNOWN, Cells
from attend.data.captions import tidy
from attend.data.codec import Codec
from attend.data.examples import Column, Log, Truth
from attend.data.ragged import Listed
from attend.fields.field import Fault
from attend.fields.text import check_text
from attend.settings import check_range

# A sentence is a line, and ends with a full stop, an exclamation mark or a question mark before a space.
SENTENCE = re.compile(r"[^\s].*?(?:(?=\n)|[.!?](?=\s)|$)")


@dataclass(frozen=True)
class Story:
    """Sentences, a line each, or one after another, each ended by `.`, `!` or `?`; and how many are kept."""

    vocabulary: int = 20_000
    """Entries of the vocabulary of words, the four special ones included."""
    longest: int = 50
    """Sentences of a story that are read: of a longer one the newest, which is said."""
    words: int = 50
    """Words of a sentence that are read."""
    like: str = ""
    """The field whose vocabulary this one shares, learnt from both together."""

    kind = "text"

    def __post_init__(self) -> None:
        check_range(self, "longest words", 1)
        check_range(self, "vocabulary", 5)

    def column(self, name: str) -> Column:
        return Column(name)

    def kept(self, name: str) -> tuple[str, ...]:
        return (f"{name}.tokenizer.json",)

    def learn(self, values: Iterable[str], log: Log) -> "StoryField":
        return StoryField(self, Codec.train((tidy(text) for text in values), "word", self.vocabulary))

    def share(self, other: Any) -> "StoryField":
        return StoryField(self, other.codec)

    def open(self, folder: Path, name: str) -> "StoryField":
        return StoryField(self, Codec.load(str(folder / f"{name}.tokenizer.json")))

    def example(self, rng: np.random.Generator) -> str:
        counts = rng.integers(1, 5, size=rng.integers(1, 5))
        return " ".join(" ".join(rng.choice(list("abcdef"), count)) + "." for count in counts)

    def example_truth(self, rng: np.random.Generator, name: str, value: str) -> Truth:
        """Random sentences of a story, as if they were its supporting facts."""
        places = sentences_of(value)
        chosen = [places[number] for number in rng.integers(len(places), size=2)]
        return Truth(name, tuple((start, start + len(text)) for start, text in chosen))


class StoryField:
    """Stories as cells of word ids [sentence word], the oldest sentence first; PAD fills shorter ones."""

    varies = True
    limit = None

    def __init__(self, settings: Story, codec: Codec) -> None:
        self.settings, self.codec = settings, codec
        self._cut, self._shortened = 0, 0

    def read(self, given: str | bytes) -> str:
        if isinstance(given, bytes):
            raise ValueError("a text was expected, not a file")
        return given

    def encode(self, values: Sequence[str], training: bool = False) -> list[Any]:
        for value in values:
            check_text(value)
        found = [sentences_of(value) for value in values]
        longest = self.settings.longest
        self._cut += sum(len(story) > longest for story in found)
        stories = [[text for _, text in story[-longest:]] for story in found]
        numbers = iter(self.codec.encode_many(map(tidy, chain.from_iterable(stories))))
        return [
            self.padded([next(numbers) for _ in sentences]) if sentences else Fault("is empty") for sentences in stories
        ]

    def padded(self, sentences: Sequence[Sequence[int]]) -> Int[np.ndarray, "sentence word"]:
        most = self.settings.words
        self._shortened += sum(len(words) > most for words in sentences)
        found: Any = np.full((len(sentences), min(most, max(map(len, sentences)))), PAD, dtype=np.int64)
        for row, words in zip(found, sentences, strict=True):
            row[: len(words)] = words[:most]
        return found

    def prepare(self, raw: Any, name: str = "", encoded: Any = None) -> "StoryValue":
        check_text(raw)
        found = self.encode([raw])[0] if encoded is None else encoded
        if isinstance(found, Fault):
            raise ValueError(f"the story {found}")
        return StoryValue(raw, sentences_of(raw)[-self.settings.longest :], found)

    def places(self, value: str, truths: Sequence[Truth]) -> list[int]:
        """The sentences that truths are about, in their order, by their places among those that are read."""
        starts = [start for start, _ in sentences_of(value)[-self.settings.longest :]]
        wanted = [start for truth in truths for start, _ in truth.where]  # type: ignore[misc]
        return [starts.index(start) for start in wanted if start in starts]

    def column(self) -> Listed:
        return Listed()

    def length(self, encoded: Int[np.ndarray, "sentence word"]) -> int:
        return len(encoded)

    def collate(self, encoded: Any) -> Cells:
        """Cells [batch sentence word]."""
        stories = list(encoded)
        sizes = [max(lengths) for lengths in zip(*(story.shape for story in stories), strict=True)]
        values: Any = np.full((len(stories), *sizes), PAD, dtype=np.int64)
        mask = np.zeros(values.shape[:2], dtype=bool)
        for row, real, story in zip(values, mask, stories, strict=True):
            row[: story.shape[0], : story.shape[1]] = story
            real[: len(story)] = True
        return Cells(torch.from_numpy(values), torch.from_numpy(mask))

    def sizes(self) -> dict[str, int]:
        return {"vocabulary": len(self.codec)}

    def remarks(self) -> list[str]:
        found = []
        if self._cut:
            most = f"{self.settings.longest:,} sentences, of which the newest are read (--inputs.story.longest)"
            found.append(f"stories of more than {most}: {self._cut:,}")
        if self._shortened:
            most = f"{self.settings.words:,} words, of which the first are read (--inputs.story.words)"
            found.append(f"sentences of more than {most}: {self._shortened:,}")
        self._cut = self._shortened = 0
        return found

    def about(self) -> str:
        return f"stories of {len(self.codec):,} words"

    def save(self, folder: Path, name: str) -> None:
        self.codec.save(folder / f"{name}.tokenizer.json")

    def piece(self, token: int) -> str:
        return self.codec.piece(token)


def sentences_of(story: str) -> list[tuple[int, str]]:
    """The sentences of a story, and the characters that they start at."""
    return [(match.start(), match[0].rstrip()) for match in SENTENCE.finditer(story)]


class StoryValue:
    """See `attend.fields.field.Value`. Its cells are its sentences."""

    def __init__(
        self, text: str, sentences: Sequence[tuple[int, str]], encoded: Int[np.ndarray, "sentence word"]
    ) -> None:
        self.text, self.places, self.encoded = text, sentences, encoded

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        return tuple(Token(text, start, start + len(text)) for start, text in self.places)

    def axis(self, cells: int, shape: tuple[int, ...]) -> Axis:
        return Tokens(self.text, self.tokens)

    def media(self) -> None:
        return None

    def unknown(self) -> int:
        return int((self.encoded == UNKNOWN).sum())
