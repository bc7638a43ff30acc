"""An algorithmic task of one's own: reverse a sequence of bits.

    attend train own_algorithm:RECIPE --out runs/reverse
    attend show runs/reverse valid:3 --recipe own_algorithm:RECIPE --out reverse.png

Run in this folder, or with it on PYTHONPATH. Sequences from files need no code: see `attend train ntm --help`.
"""

from dataclasses import dataclass, replace

import numpy as np

from attend.catalogue import find
from attend.data.algorithms import Algorithm, Pair, bits, channels, join, mark


@dataclass(frozen=True)
class Reverse(Algorithm):
    """01 11 00 |  ->  00 11 01, where | is a mark in a channel of its own."""

    name: str = "reverse"
    longest: int = 8
    """Vectors of the longest sequence."""

    def pair(self, rng: np.random.Generator, times: int = 0) -> Pair:
        """A random input and its target; of the greatest length `times` so many where that is not 0."""
        length = self.longest * times or int(rng.integers(1, self.longest + 1))
        vectors = bits(rng, length, 4)
        return join(channels(vectors, 1), mark(4, 1, 0)), vectors[::-1], None


COPY = find("ntm-copy")
RECIPE = replace(COPY, about="reversing", settings=replace(COPY.settings, data=Reverse()), variant=False)
