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

    def decode(self, batch: Any, beam: int, steps: int) -> None:
        """Exactly `steps` tokens for every source of the batch, greedily if `beam` is 1."""
        ...


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
        """Decode test sentences, `size` at a time, each batch to its longest reference's length."""
        pairs = [test[n % len(test)] for n in range(start, start + count)]
        batches = []
        for first in range(0, count, size):
            part = pairs[first : first + size]
            batches.append((contender.batch(part), max(len(target) for _, target in part)))
        begin = time.perf_counter()
        for batch, steps in batches:
            contender.decode(batch, beam, steps)
        return {"seconds": time.perf_counter() - begin, "sentences": count}

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
