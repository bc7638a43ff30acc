"""What every contender's process speaks: on standard input a JSON request a line, on standard output its JSON reply.

It needs torch only, so that it runs in each contender's own environment. Batches are built before the clock starts,
except where a request is about a contender's own data loader.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import MagicMock

import torch

from memory import peak_memory_mb

# The ids that the data folder uses.
PAD, UNKNOWN, BEGIN, END = 0, 1, 2, 3
# Size of embeddings, states and alignment model of every contender, and its optimiser's settings.
SIZE = 256
LEARNING_RATE = 1e-3
LARGEST_GRADIENT = 1.0

# A source and its target as ids, END at the end of both.
Pair = tuple[list[int], list[int]]
Handler = Callable[..., dict[str, Any]]


class Contender(Protocol):
    """One implementation of the model."""

    def batch(self, pairs: list[Pair]) -> Any:
        """These pairs in the form that the implementation takes."""
        ...

    def train(self, batch: Any) -> int:
        """One update; returns the batch's target tokens, padding not counted."""
        ...

    def decode(self, batch: Any, beam: int, lengths: list[int]) -> list[int]:
        """Outputs of exactly these lengths, END counted, greedily if `beam` is 1; returns the lengths that came out."""
        ...


class Ends:
    """Sets END's score at each step, so that the n-th output of a batch ends at the n-th of `lengths`, END counted.

    `drops` says whether the search takes sentences that have ended out of the batch.
    """

    def __init__(self, lengths: torch.Tensor, end: int, drops: bool) -> None:
        self.lengths, self.end, self.drops = lengths, end, drops
        self.length = 0

    def __call__(self, scores: torch.Tensor) -> None:
        """`scores` (row, vocabulary) are written over; the hypotheses of a sentence are rows beside each other."""
        self.length += 1
        left = self.lengths[self.lengths >= self.length] if self.drops else self.lengths
        now = (left == self.length).repeat_interleave(len(scores) // len(left))
        scores[:, self.end] = torch.where(now, 1e4, -torch.inf)


def until(output: list[int], end: int) -> int:
    """The length of an output up to its first END, END counted."""
    return output.index(end) + 1


def read_sizes(folder: Path) -> tuple[int, int]:
    """Source and target vocabulary sizes."""
    sizes = json.loads((folder / "sizes.json").read_text())
    return sizes["source"], sizes["target"]


def without(*modules: str) -> None:
    """Stand-ins for modules that a peer imports but that nothing measured here calls (plots, corpus filters, ...)."""
    for module in modules:
        sys.modules[module] = MagicMock(name=module)


def timed(contender: Contender, batches: Iterable[Any]) -> dict[str, Any]:
    """Updates on these batches; the time it takes to get them counts."""
    begin, tokens = time.perf_counter(), 0
    for batch in batches:
        tokens += contender.train(batch)
    return {"seconds": time.perf_counter() - begin, "tokens": tokens, "peak_mb": peak_memory_mb()}


def handlers(contender: Contender, folder: Path) -> dict[str, Handler]:
    """The requests that every contender answers."""
    shared: list[list[Pair]] = json.loads((folder / "train.json").read_text())
    test: list[Pair] = json.loads((folder / "test.json").read_text())

    def train(start: int, count: int) -> dict[str, Any]:
        """Updates on the batches that all contenders share."""
        return timed(contender, [contender.batch(shared[n % len(shared)]) for n in range(start, start + count)])

    def train_length(length: int, sentences: int) -> dict[str, Any]:
        """One update on pairs of random tokens, `length` on both sides."""
        vocabulary = min(read_sizes(folder))
        drawn = torch.randint(END + 1, vocabulary, (sentences, 2, length - 1)).tolist()
        pairs = [([*source, END], [*target, END]) for source, target in drawn]
        return timed(contender, [contender.batch(pairs)])

    def decode(start: int, count: int, size: int, beam: int) -> dict[str, Any]:
        """Decode test sentences, `size` at a time, each to its own reference's length."""
        pairs = [test[n % len(test)] for n in range(start, start + count)]
        parts = [pairs[first : first + size] for first in range(0, count, size)]
        batches = [(contender.batch(part), [len(target) for _, target in part]) for part in parts]
        begin = time.perf_counter()
        written = [contender.decode(batch, beam, lengths) for batch, lengths in batches]
        seconds = time.perf_counter() - begin
        wanted = [lengths for _, lengths in batches]
        if written != wanted:
            raise ValueError(f"the outputs have lengths {written}, not {wanted}")
        return {"seconds": seconds, "sentences": count}

    return {"train": train, "train length": train_length, "decode": decode}


def own_loader(contender: Contender, batches: Iterator[Any]) -> Handler:
    """The request for updates on batches from the contender's own data loader, whose time counts."""
    return lambda count: timed(contender, islice(batches, count))


def serve(answers: Mapping[str, Handler]) -> None:
    """Answer requests until the input ends. What libraries print goes to standard error."""
    with os.fdopen(os.dup(1), "w", buffering=1) as replies:
        os.dup2(2, 1)
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        for line in sys.stdin:
            request = json.loads(line)
            reply = answers[request.pop("do")](**request)
            print(json.dumps(reply), file=replies)
