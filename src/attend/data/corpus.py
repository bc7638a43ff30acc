"""Encoded pairs, held compactly, and the batches of an epoch."""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int, Integer

from attend.data.codec import END, PAD, Codec
from attend.data.files import DataError, Pair, read_pairs

if TYPE_CHECKING:
    from attend.contract import Pairs

# Pairs encoded at a time: enough to be fast, too few to weigh beside the ids.
CHUNK = 4096
# Lines of each kind that a report names.
SHOWN = 3


@dataclass(frozen=True)
class LeftOut:
    """What of the pairs read is not in a corpus: for each reason how many, and the lines of the first of them."""

    read: int
    counts: Mapping[str, int]
    lines: Mapping[str, tuple[int, ...]]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def __str__(self) -> str:
        if not self.counts:
            return f"none of {self.read:,} pairs left out"
        reasons = []
        for reason, count in self.counts.items():
            shown = ", ".join(map(str, self.lines[reason])) + (", ..." if count > SHOWN else "")
            reasons.append(f"{count:,} with {reason} (line{'s' if count > 1 else ''} {shown})")
        return f"{self.total:,} of {self.read:,} pairs left out: {'; '.join(reasons)}"


@dataclass(frozen=True, eq=False)
class Corpus:
    """Pairs of sentences as ids. A side's sentences stand one after the other in one array, each with its END.

    Sentence i takes up the tokens from offset i to offset i + 1.
    """

    source_ids: Integer[np.ndarray, "source_tokens"]
    source_offsets: Int[np.ndarray, "offsets"]
    target_ids: Integer[np.ndarray, "target_tokens"]
    target_offsets: Int[np.ndarray, "offsets"]

    @staticmethod
    def read(
        paths: tuple[str, ...],
        source_codec: Codec,
        target_codec: Codec,
        longest: int,
        source_key: str = "source",
        target_key: str = "target",
    ) -> "tuple[Corpus, LeftOut]":
        """The pairs in these files (see `attend.data.files.read_pairs`), and what was left out.

        Left out are pairs with an empty side, or one of more than `longest` tokens (END not counted). Raises
        `DataError` if the files can't be read or no pair is left.
        """
        corpus, left_out = Corpus.build(read_pairs(paths, source_key, target_key), source_codec, target_codec, longest)
        if not len(corpus):
            raise DataError(
                ", ".join(paths), f"no pair is left to use ({left_out})", "check the files, or allow longer"
            )
        return corpus, left_out

    @staticmethod
    def build(
        pairs: Iterable[Pair], source_codec: Codec, target_codec: Codec, longest: int
    ) -> "tuple[Corpus, LeftOut]":
        """As `read`, from pairs at hand; the corpus may be empty."""
        source_ids, source_offsets = array(id_type(source_codec)), array("q", [0])
        target_ids, target_offsets = array(id_type(target_codec)), array("q", [0])
        read = 0
        counts: dict[str, int] = {}
        lines: dict[str, tuple[int, ...]] = {}
        for chunk in chunks(pairs):
            read += len(chunk)
            sources = source_codec.encode_many(pair.source for pair in chunk)
            targets = target_codec.encode_many(pair.target for pair in chunk)
            for pair, source, target in zip(chunk, sources, targets, strict=True):
                reason = why_left_out(pair, source, target, longest)
                if reason:
                    counts[reason] = counts.get(reason, 0) + 1
                    lines[reason] = (*lines.get(reason, ()), pair.line)[:SHOWN]
                    continue
                source_ids.extend((*source, END))
                source_offsets.append(len(source_ids))
                target_ids.extend((*target, END))
                target_offsets.append(len(target_ids))
        corpus = Corpus(
            np.asarray(source_ids),
            np.frombuffer(source_offsets, dtype=np.int64),
            np.asarray(target_ids),
            np.frombuffer(target_offsets, dtype=np.int64),
        )
        return corpus, LeftOut(read, counts, lines)

    def __len__(self) -> int:
        return len(self.source_offsets) - 1

    @property
    def source_lengths(self) -> Int[np.ndarray, "pairs"]:
        """Tokens of each source, END included."""
        return np.diff(self.source_offsets)

    @property
    def target_lengths(self) -> Int[np.ndarray, "pairs"]:
        """Tokens of each target, END included."""
        return np.diff(self.target_offsets)

    def source(self, index: int) -> Integer[np.ndarray, "memory"]:
        """A source's ids, END at their end."""
        return self.source_ids[self.source_offsets[index] : self.source_offsets[index + 1]]

    def target(self, index: int) -> Integer[np.ndarray, "step"]:
        """A target's ids, END at their end."""
        return self.target_ids[self.target_offsets[index] : self.target_offsets[index + 1]]


def id_type(codec: Codec) -> str:
    """The narrowest `array` type for a codec's ids: two bytes where they suffice."""
    return "H" if len(codec) <= 1 << 16 else "i"


def chunks(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    rest = iter(pairs)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def why_left_out(pair: Pair, source: Sequence[int], target: Sequence[int], longest: int) -> str | None:
    """What is wrong with a pair, if anything; only the first reason counts."""
    for side, text, ids in (("source", pair.source, source), ("target", pair.target, target)):
        if not text.strip():
            return f"an empty {side}"
        if len(ids) > longest:
            return f"a {side} longer than {longest} tokens"
    return None


def plan(
    corpus: Corpus, tokens: int, seed: int, epoch: int, sentences: int | None = None
) -> list[Int[np.ndarray, "batch"]]:
    """An epoch's batches as indices of pairs: every pair once, pairs of like lengths together, in random order.

    A batch holds at most `tokens` tokens a side, padding included; or, where `sentences` is given, exactly so many
    pairs (one batch holds the rest). The same seed and epoch give the same batches; other epochs give others, as pairs
    of the same length are dealt out anew.

    Raises `ValueError` if one pair alone has more than `tokens` tokens on a side.
    """
    generator = np.random.default_rng([seed, epoch])
    lengths = np.stack([corpus.source_lengths, corpus.target_lengths])
    if sentences is None and lengths.max(initial=0) > tokens:
        raise ValueError(
            f"a batch of {tokens} tokens (data.batch_tokens) can't hold the longest sentence, of {lengths.max()}: "
            "raise it, or leave long sentences out"
        )

    def divide(members: np.ndarray) -> list[np.ndarray]:
        """Halve along the side that leaves less padding, until each part is a batch."""
        widths = lengths[:, members].max(axis=1)
        batches = ceil(len(members) / sentences) if sentences else ceil(len(members) * int(widths.max()) / tokens)
        if batches == 1:
            return [members]
        halves = []
        for side in lengths:
            members = generator.permutation(members)
            ordered = members[np.argsort(side[members], kind="stable")]
            if sentences:
                cut = batches // 2 * sentences
            else:
                taken = np.cumsum(lengths[:, ordered].max(axis=0))
                cut = int(np.searchsorted(taken, taken[-1] * (batches // 2) / batches))
                cut = min(max(cut, 1), len(ordered) - 1)
            halves.append((ordered[:cut], ordered[cut:]))
        first, second = min(halves, key=lambda pair: sum(padded(lengths[:, half]) for half in pair))
        return divide(first) + divide(second)

    batches = divide(np.arange(len(corpus))) if len(corpus) else []
    generator.shuffle(batches)
    return batches


def padded(lengths: Int[np.ndarray, "side batch"]) -> int:
    """Tokens of a batch of these lengths, padding included."""
    return int(lengths.max(axis=1).sum()) * lengths.shape[1]


def collate(sources: Sequence[Integer[np.ndarray, "_"]], targets: Sequence[Integer[np.ndarray, "_"]]) -> "Pairs":
    """One batch of sentences that end with END, padded at the right."""
    import torch

    from attend.contract import Pairs

    def pad(sentences: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
        lengths = np.array([len(sentence) for sentence in sentences])
        mask = np.arange(lengths.max()) < lengths[:, None]
        ids = np.full(mask.shape, PAD, dtype=np.int64)
        ids[mask] = np.concatenate(sentences)
        return torch.from_numpy(ids), torch.from_numpy(mask)

    return Pairs(*pad(sources), *pad(targets))
