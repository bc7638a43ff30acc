"""The tasks of the Neural Turing Machine paper: sequences of bits, new in every epoch, and what becomes of them.

Graves, Wayne & Danihelka, 2014 (arXiv 1410.5401), section 4. A row has a `sequence`, vectors [step size], and the
`target`, vectors of bits. Besides sequences as long as those of training, the validation part has the groups "at_2x"
and "at_4x", of the greatest length times 2 and 4.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Integer

from attend.data.examples import TARGET, WRITTEN, Column, Fresh, Log, Row, Span, Split, Truth, check_columns
from attend.settings import check_range

Vectors = Float[np.ndarray, "_ _"]
Pair = tuple[Vectors, Vectors, Span | None]
"""An input, its target, and the steps of the input that the target repeats, if any."""
# Measured in groups of their own: how many times longer than in training.
BEYOND = (2, 4)


@dataclass(frozen=True)
class Algorithm:
    """What the tasks share: how much is generated. `pair` is the task."""

    name: str = ""
    """What the data is called in results and model cards."""
    examples: int = 3200
    """Training sequences an epoch."""
    measured: int = 100
    """Sequences of each group of the validation part."""

    beyond: ClassVar[tuple[int, ...]] = BEYOND

    def __post_init__(self) -> None:
        check_range(self, "examples measured", 1)

    def pair(self, rng: np.random.Generator, times: int = 0) -> Pair:
        """A random input and its target; of the greatest length `times` so many where that is not 0."""
        raise NotImplementedError

    def open(self, columns: Sequence[Column], seed: int, log: Log) -> Fresh:
        check_columns(columns, ("sequence", TARGET), f"{self.name} sequences")
        return Sequences(self, seed)

    def reads(self) -> tuple[str, ...]:
        return ()

    def files(self, split: Split) -> tuple[str, ...]:
        return (f"{self.name} sequences ({split})",)


@dataclass(frozen=True)
class Copy(Algorithm):
    """Write what was read:

        sequence   0110 1011 0001 |      -> target   0110 1011 0001

    `|` is a vector with a 1 in a channel of its own, as everywhere here.
    """

    name: str = "copy"
    bits: int = 8
    """Bits of a vector."""
    longest: int = 20
    """Vectors of the longest sequence."""

    def pair(self, rng: np.random.Generator, times: int = 0) -> Pair:
        length = self.longest * times or rng.integers(1, self.longest + 1)
        vectors = bits(rng, int(length), self.bits)
        return join(channels(vectors, 1), mark(self.bits, 1, 0)), vectors, (0, len(vectors))


@dataclass(frozen=True)
class RepeatCopy(Algorithm):
    """Write it several times, and then say that this is the end:

        sequence   0110 1011 |3          -> target   0110 1011 0110 1011 0110 1011 |

    The number of times is given in a channel of its own, scaled to mean 0 and variance 1.
    """

    name: str = "repeat copy"
    bits: int = 8
    """Bits of a vector."""
    longest: int = 10
    """Vectors of the longest sequence, and the most times that it is written."""

    def pair(self, rng: np.random.Generator, times: int = 0) -> Pair:
        length, repeats = (int(number) for number in rng.integers(1, self.longest + 1, size=2))
        vectors = bits(rng, self.longest * times or length, self.bits)
        scaled = (repeats - (self.longest + 1) / 2) / max(1.0, ((self.longest**2 - 1) / 12) ** 0.5)
        sequence = join(channels(vectors, 2), mark(self.bits, 2, 0) + scaled * mark(self.bits, 2, 1))
        target = join(channels(np.tile(vectors, (repeats, 1)), 1), mark(self.bits, 1, 0))
        return sequence, target, (0, len(vectors))


@dataclass(frozen=True)
class Recall(Algorithm):
    """Items of three vectors, and then one of them: which came next?

    sequence   | 01 10 11 | 00 01 00 | 11 11 01 ? 00 01 00 ?     -> target   11 11 01
    """

    name: str = "associative recall"
    bits: int = 6
    """Bits of a vector."""
    items: int = 6
    """Most items of a sequence; the least is 2."""

    beyond = (2,)

    def pair(self, rng: np.random.Generator, times: int = 0) -> Pair:
        count = self.items * times or int(rng.integers(2, self.items + 1))
        items = bits(rng, 3 * count, self.bits).reshape(count, 3, self.bits)
        asked = int(rng.integers(count - 1))
        item, query = mark(self.bits, 2, 0), mark(self.bits, 2, 1)
        listed = [part for one in items for part in (item, channels(one, 2))]
        first = 4 * (asked + 1) + 1
        return join(*listed, query, channels(items[asked], 2), query), items[asked + 1], (first, first + 3)


@dataclass(frozen=True)
class NGrams(Algorithm):
    """The next bit of a sequence whose bits depend on the five before it, by a table that is new in every sequence:

        sequence   0 1 1 0 1 0 0 ...     -> target   1 1 0 1 0 0 1 ...

    The table's 32 probabilities are of a Beta(1/2, 1/2) distribution. `bayes_bits` says what the best estimate costs.
    """

    name: str = "6-grams"
    length: int = 200
    """Bits of a sequence."""

    beyond = ()

    def pair(self, rng: np.random.Generator, times: int = 0) -> Pair:
        table, draws = rng.beta(0.5, 0.5, size=32), rng.random(self.length)
        found = [int(draw < 0.5) for draw in draws[:5]]
        for draw in draws[5:]:
            found.append(int(draw < table[context(found)]))
        target = np.array(found, dtype=np.float32)[:, None]
        return np.concatenate([np.zeros((1, 1), dtype=np.float32), target[:-1]]), target, None


@dataclass(frozen=True)
class Sort(Algorithm):
    """Vectors with priorities: write those of the highest, in order:

    sequence   01:0.2 11:-0.5 10:0.9 |      -> target   10 01
    """

    name: str = "priority sort"
    bits: int = 8
    """Bits of a vector."""
    count: int = 20
    """Vectors of a sequence."""
    kept: int = 16
    """Vectors of the target."""

    beyond = ()

    def pair(self, rng: np.random.Generator, times: int = 0) -> Pair:
        vectors, priority = bits(rng, self.count, self.bits), rng.uniform(-1, 1, self.count)
        sequence = channels(vectors, 2)
        sequence[:, self.bits] = priority
        order = np.argsort(-priority)[: self.kept]
        return join(sequence, mark(self.bits, 2, 1)), vectors[order], None


class Sequences:
    """See `attend.data.examples.Fresh`."""

    splits: tuple[Split, ...] = ("train", "valid", "test")

    def __init__(self, task: Algorithm, seed: int) -> None:
        self.task, self.seed = task, seed

    def rows(self, split: Split) -> Iterator[Row]:
        stream = {"train": 0, "valid": 1, "test": 2}[split]
        groups = [(0, "")] + ([(times, f"at_{times}x") for times in self.task.beyond] if stream else [])
        for times, group in groups:
            for number in range(self.task.measured):
                rng = np.random.default_rng([self.seed, 0, stream, times, number])
                name = f"sequence {number + 1}" + (f" {group}" if group else "")
                yield row(*self.task.pair(rng, times), name=name, group=group)

    def __len__(self) -> int:
        return self.task.examples

    def column(self, epoch: int, name: str) -> Sequence[Any]:
        return [one.values[name] for one in self.draw(epoch, np.arange(len(self)))]

    def draw(self, epoch: int, index: Integer[np.ndarray, "chosen"]) -> Sequence[Row]:
        streams = (np.random.default_rng([self.seed, epoch + 1, number]) for number in index.tolist())
        return [
            row(*self.task.pair(rng), f"sequence {number}") for rng, number in zip(streams, index.tolist(), strict=True)
        ]


def row(sequence: Vectors, target: Vectors, repeated: Span | None, name: str, group: str = "") -> Row:
    truth = () if repeated is None else (Truth(WRITTEN, repeated),)
    return Row({"sequence": sequence, TARGET: target}, name, truth=truth, group=group)


def bits(rng: np.random.Generator, count: int, size: int) -> Vectors:
    return rng.integers(2, size=(count, size)).astype(np.float32)


def channels(vectors: Vectors, more: int) -> Vectors:
    """The vectors, with more channels, of zeros."""
    return np.pad(vectors, ((0, 0), (0, more)))


def mark(size: int, more: int, channel: int) -> Vectors:
    """One vector, of zeros but for one of the channels after the bits."""
    found = np.zeros((1, size + more), dtype=np.float32)
    found[0, size + channel] = 1
    return found


def join(*parts: Vectors) -> Vectors:
    return np.concatenate(parts).astype(np.float32)


def context(found: Sequence[int]) -> int:
    """The last five bits, as a number."""
    return int("".join(map(str, found[-5:])), 2)


def bayes_bits(target: Float[np.ndarray, "step 1"]) -> float:
    """What the Bayes-optimal estimate of a sequence of 6-grams costs, in bits: (N1 + 1/2) / (N0 + N1 + 1) (Murphy,
    2012), with N1 and N0 how often 1 and 0 followed these five bits so far; 1/2 for the first five bits."""
    found = [int(value) for value in target[:, 0]]
    counts, cost = np.zeros((32, 2)), float(min(5, len(found)))
    for place in range(5, len(found)):
        before, bit = context(found[:place]), found[place]
        cost -= float(np.log2((counts[before, bit] + 0.5) / (counts[before].sum() + 1)))
        counts[before, bit] += 1
    return cost
