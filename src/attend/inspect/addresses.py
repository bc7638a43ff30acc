"""Whether a memory is read where it was written."""

from collections.abc import Mapping, Sequence

import numpy as np

from attend.attention.trace import Look, Weights
from attend.data.examples import WRITTEN, Truth


def address_match(examples: Sequence[tuple[Mapping[str, Look], Sequence[Truth], int]]) -> dict[str, float]:
    """The share of an answer's steps at which the strongest slot of a read head is that of a write head at the step
    that wrote what is wanted.

    An example has looks, truths, and how many steps its answer has: the last of each look. An answer longer than what
    was written repeats it. Empty where nothing is known.
    """
    found = []
    for looks, truths, count in examples:
        reads, writes = strongest(looks, "read"), strongest(looks, WRITTEN)
        for truth in truths if len(reads) and len(writes) else ():
            if truth.over == WRITTEN:
                first, last = map(int, truth.where[:2])
                wanted = writes[:, first:last]
                answered = reads[:, reads.shape[1] - count :][:, : count - count % (last - first) or count]
                steps = np.arange(answered.shape[1]) % (last - first)
                found.append((answered[:, None] == wanted[None, :, steps]).any((0, 1)))
    return {"address_match": float(np.concatenate(found).mean())} if found else {}


def strongest(looks: Mapping[str, Look], kind: str) -> np.ndarray:
    """The strongest slot of each head of a kind, [head step]."""
    heads = [look for name, look in looks.items() if name.partition(" ")[0] == kind and isinstance(look, Weights)]
    return np.array([look.weights.argmax(1) for look in heads])
