"""Side-by-side measurements: every contender takes its turn in every round, and ratios are taken within a round.

What else the machine does changes from minute to minute; two turns that follow one another see about the same of it.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from worker import Worker

Rates = Mapping[str, list[float]]


class Ratio(NamedTuple):
    """How many times faster: the median over the rounds, and the least and the greatest of them."""

    middle: float
    low: float
    high: float


def alternate(turns: Mapping[str, Callable[[int], float]], rounds: int) -> Rates:
    """Call each contender's turn with the number of the round; returns what each turn measured."""
    rates: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(rounds):
        for name, turn in turns.items():
            rates[name].append(turn(number))
    return rates


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Our rate over theirs, round by round."""
    each = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return Ratio(median(each), min(each), max(each))


def training(worker: Worker, batches: int) -> Callable[[int], float]:
    """A turn of updates on the shared batches, the same ones for all in a round: target tokens a second."""

    def turn(number: int) -> float:
        reply = worker.ask("train", start=number * batches, count=batches)
        return reply["tokens"] / reply["seconds"]

    return turn


def training_own(worker: Worker, batches: int) -> Callable[[int], float]:
    """A turn of updates on batches from the contender's own loader: target tokens a second."""

    def turn(number: int) -> float:
        reply = worker.ask("train own", count=batches)
        return reply["tokens"] / reply["seconds"]

    return turn


def decoding(worker: Worker, sentences: int, size: int, beam: int) -> Callable[[int], float]:
    """A turn of decoding, the same sentences for all in a round: sentences a second."""

    def turn(number: int) -> float:
        reply = worker.ask("decode", start=number * sentences, count=sentences, size=size, beam=beam)
        return reply["sentences"] / reply["seconds"]

    return turn
