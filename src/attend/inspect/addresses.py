"""Whether a memory is read where it was written."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from attend.attention.trace import Look, Weights
from attend.data.examples import WRITTEN, Truth


def address_match(examples: Sequence[tuple[Mapping[str, Look], Sequence[Truth], int]]) -> dict[str, float]:
    """The share of an answer's steps at which the strongest slot of a read head is that of a write head at the step
    that wrote what is wanted.

    An example has looks, truths, and how many steps its answer has: the last of each look. An answer longer than what
    was written repeats it. What is read one step ahead reaches an answer through the controller: of no delay and of
    one step, the same for all examples, the figure is of the better. Empty where nothing is known.
    """
    by_delay = []
    for delay in (0, 1):
        found = [
            matches(looks, truth, count, delay)
            for looks, truths, count in examples
            for truth in truths
            if truth.over == WRITTEN and {name.partition(" ")[0] for name in looks} >= {"read", WRITTEN}
        ]
        if found:
            by_delay.append(float(np.concatenate(found).mean()))
    return {"address_match": max(by_delay)} if by_delay else {}


def matches(looks: Mapping[str, Look], truth: Truth, count: int, delay: int) -> Bool[np.ndarray, "step"]:
    """For each step of an answer whether it reads where its part was written."""
    reads, writes = strongest(looks, "read"), strongest(looks, WRITTEN)
    where: Any = truth.where
    first, last = map(int, where)
    start = reads.shape[1] - count
    whole = count - count % (last - first) or count  # an end marker repeats nothing
    answered = reads[:, start - delay : start - delay + whole]
    wanted = writes[:, first + np.arange(whole) % (last - first)]
    return (answered[:, None] == wanted[None]).any((0, 1))


def strongest(looks: Mapping[str, Look], kind: str) -> Int[np.ndarray, "head step"]:
    """The strongest slot of each head of a kind."""
    heads = [look for name, look in looks.items() if name.partition(" ")[0] == kind and isinstance(look, Weights)]
    return np.array([look.weights.argmax(1) for look in heads])
