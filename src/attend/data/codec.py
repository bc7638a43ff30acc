"""Texts to ids and back, with every token's offsets in the raw text.

A codec is a vocabulary of words, of subwords (byte-pair encoding, Sennrich et al. 2016; or a unigram language model,
Kudo 2018), or of characters, on the `tokenizers` library. Nothing is normalised: offsets point into the text as given.
"""

import json
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from attend.atomic import write_atomically
from attend.data.files import DataError, locate

# Otherwise the library warns once for each forked worker.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# The first ids of every vocabulary.
PAD, UNKNOWN, BEGIN, END = 0, 1, 2, 3
SPECIAL = ("<pad>", "<unk>", "<begin>", "<end>")
# No token contains a space, so that no text can be tokenised to a special token, not even one that spells it.
STORED = tuple(f"{name[:-1]} >" for name in SPECIAL)

Unit = Literal["word", "bpe", "unigram", "character"]


@dataclass(frozen=True)
class Encoded:
    """A text as tokens: `tokens[i]` is `text[start:end]` of `offsets[i]`, in characters. No END is added.

    The offsets never overlap. A subword at the start of a word includes the space before it.
    """

    text: str
    ids: list[int]
    tokens: list[str]
    offsets: list[tuple[int, int]]

    def words(self) -> list[int]:
        """For each token the index of its whitespace-separated word; spaces belong to the next word."""
        ends = []
        position = 0
        for word in self.text.split():
            position = self.text.index(word, position) + len(word)
            ends.append(position)
        last = max(len(ends) - 1, 0)
        return [min(bisect_right(ends, start), last) for start, _ in self.offsets]


class Codec:
    """A vocabulary: ids 0 to 3 are PAD, UNKNOWN, BEGIN and END; `Codec.train` learns the others from text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        # The library does not save this.
        tokenizer.encode_special_tokens = True
        self._gap = " " if isinstance(tokenizer.pre_tokenizer, pre_tokenizers.WhitespaceSplit) else ""
        self._prefix = " " if isinstance(tokenizer.normalizer, normalizers.Prepend) else ""

    @staticmethod
    def train(lines: Iterable[str], kind: Unit, size: int) -> "Codec":
        """The vocabulary of these texts: at most `size` entries, the four special ones included.

        "word" keeps the most frequent words, "character" the most frequent characters (a space is one); the others are
        UNKNOWN. "bpe" and "unigram" keep every character, even where that takes more than `size` entries, so that
        `decode` restores each text of known characters. The same texts give the same vocabulary.

        Raises `ValueError` if `size` leaves no room beside the special entries, or if the texts are all empty.
        """
        if size <= len(SPECIAL):
            raise ValueError(
                f"a vocabulary of {size} has no room beside its {len(SPECIAL)} special entries: raise size"
            )
        tokenizer, trainer = untrained(kind, size)
        try:
            tokenizer.train_from_iterator(checked(lines), trainer)
        except Exception as error:
            if isinstance(error, ValueError) or "not large enough" not in str(error):
                raise
            raise ValueError(f"a vocabulary of {size} can't hold every character of the texts: raise size") from error
        if tokenizer.get_vocab_size() == len(SPECIAL):
            raise ValueError("a vocabulary can't be learnt: every line is empty")
        if kind == "unigram":
            tokenizer.model = reproducible(tokenizer)
        return Codec(tokenizer)

    @staticmethod
    def load(path: str) -> "Codec":
        """A codec that `save` wrote. Raises `DataError` for other files."""
        place = locate(path)
        try:
            tokenizer = Tokenizer.from_file(str(place))
        except Exception as error:  # the library has no narrower class
            raise DataError(path, f"not a vocabulary ({error})", "give one that attend saved") from error
        if tuple(tokenizer.id_to_token(special) for special in (PAD, UNKNOWN, BEGIN, END)) != STORED:
            raise DataError(path, f"its first ids are not {', '.join(SPECIAL)}", "give a vocabulary that attend saved")
        return Codec(tokenizer)

    def save(self, path: str | Path) -> None:
        """Write the codec as the JSON of the `tokenizers` library."""
        text = self._tokenizer.to_str(pretty=True)
        write_atomically(Path(path), lambda partial: partial.write_text(text, encoding="utf-8"))

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size()

    def encode(self, text: str) -> Encoded:
        """The tokens of a text and their offsets. Raises `ValueError` for a text with a lone surrogate."""
        encoding = self._tokenizer.encode(next(checked([text])), add_special_tokens=False)
        # The space prepended to a text is not in it, but the library gives it the first character's offsets.
        after = [start for start, _ in encoding.offsets[1:]] + [len(text)]
        offsets = [(start, min(end, limit)) for (start, end), limit in zip(encoding.offsets, after, strict=False)]
        return Encoded(text, encoding.ids, [text[start:end] for start, end in offsets], offsets)

    def encode_many(self, texts: Iterable[str]) -> list[list[int]]:
        """The ids of many texts, fast."""
        return [e.ids for e in self._tokenizer.encode_batch_fast(list(checked(texts)), add_special_tokens=False)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of these ids up to the first END. PAD and BEGIN are skipped; UNKNOWN is shown as "<unk>"."""
        return self.spell(ids).text

    def spell(self, ids: Iterable[int]) -> Encoded:
        """The text of `decode` with every token's offsets (skipped ids are left out)."""
        kept: list[int] = []
        for token in ids:
            if token == END:
                break
            if token not in (PAD, BEGIN):
                kept.append(int(token))
        pieces = [self.piece(token) for token in kept]
        text = self._gap.join(pieces)
        dropped = len(self._prefix) if text.startswith(self._prefix) else 0
        text = text[dropped:]
        offsets = []
        position = -dropped
        for piece in pieces:
            offsets.append((max(position, 0), position + len(piece)))
            position += len(piece) + len(self._gap)
        return Encoded(text, kept, [text[start:end] for start, end in offsets], offsets)

    def piece(self, token: int) -> str:
        """An id's entry; that of a subword at the start of a word begins with a space.

        Raises `ValueError` for an id that is not in the vocabulary.
        """
        piece = self._tokenizer.id_to_token(token) if 0 <= token < len(self) else None
        if piece is None:
            raise ValueError(f"id {token} is not in this vocabulary of {len(self)}: was it made with another?")
        return SPECIAL[token] if token < len(SPECIAL) else piece


def checked(texts: Iterable[str]) -> Iterator[str]:
    """The texts; `ValueError` at one with a lone surrogate, which is half a character."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"character {error.start} of {text!r} is a lone surrogate: remove it") from error
        yield text


def untrained(kind: Unit, size: int) -> tuple[Tokenizer, trainers.Trainer]:
    """How texts are split, and what learns the vocabulary."""
    special = list(STORED)
    unknown = STORED[UNKNOWN]
    if kind == "bpe":
        tokenizer = Tokenizer(models.BPE(unk_token=unknown, fuse_unk=True))
        trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    elif kind == "unigram":
        tokenizer = Tokenizer(models.Unigram())
        trainer = trainers.UnigramTrainer(
            vocab_size=size, special_tokens=special, unk_token=unknown, show_progress=False
        )
    else:
        tokenizer = Tokenizer(models.WordLevel(unk_token=unknown))
        trainer = trainers.WordLevelTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    if kind == "word":
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    elif kind == "character":
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    else:
        # A word includes the space before it, as in SentencePiece, but as a real space: a text may contain "▁" itself.
        # The first word gets one too, so that it is the same token as elsewhere.
        tokenizer.normalizer = normalizers.Prepend(" ")
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_next")
    return tokenizer, trainer


def reproducible(tokenizer: Tokenizer) -> models.Unigram:
    """The unigram model, the same on every run.

    The library sums in the order of a hash table with a different seed in each process, so that scores differ in their
    last bits, and so the order of the entries.
    """
    entries = json.loads(tokenizer.to_str())["model"]["vocab"]
    special, learnt = entries[: len(SPECIAL)], entries[len(SPECIAL) :]
    rounded = sorted(((piece, round(score, 9)) for piece, score in learnt), key=lambda entry: (-entry[1], entry[0]))
    return models.Unigram([*map(tuple, special), *rounded], unk_id=UNKNOWN, byte_fallback=False)
