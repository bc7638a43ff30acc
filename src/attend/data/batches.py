"""The batches of an epoch, a function of (seed, epoch) alone, so that a run can resume within an epoch."""

from collections.abc import Iterator, Sequence
from math import ceil

import numpy as np
from jaxtyping import Float, Int


def plan(
    lengths: Sequence[Int[np.ndarray, "example"]], count: int, examples: int, tokens: int, seed: int, epoch: int
) -> list[Int[np.ndarray, "batch"]]:
    """An epoch's batches as indices of its `count` examples: every example once, in random order.

    `lengths` has an array for each input or target of variable length; examples of similar lengths are batched
    together. A batch holds `examples` of them (one batch holds the rest) or, where `tokens` is not 0, at most so many
    tokens of each input or target, padding included. The same seed and epoch give the same batches; examples of the
    same length are shuffled in each epoch.

    Raises `ValueError` if one example alone has more than `tokens` tokens.
    """
    generator = np.random.default_rng([seed, epoch])
    if not len(lengths):
        order = generator.permutation(count)
        return [order[start : start + examples] for start in range(0, count, examples)]
    if len(lengths) == 1 and not tokens:
        order = generator.permutation(count)
        order = order[np.argsort(lengths[0][order], kind="stable")]
        starts = generator.permutation(np.arange(0, count, examples))
        return [order[start : start + examples] for start in starts]
    return halved(np.stack(lengths), examples, tokens, generator)


def halved(
    lengths: Int[np.ndarray, "side example"], examples: int, tokens: int, generator: np.random.Generator
) -> list[Int[np.ndarray, "batch"]]:
    """Examples divided into batches, each time by the side that leaves less padding."""
    if tokens and lengths.max(initial=0) > tokens:
        raise ValueError(
            f"a batch of {tokens} tokens (training.batch_tokens) can't hold the longest example, of {lengths.max()}: "
            "raise it, or leave long examples out"
        )

    def divide(members: np.ndarray) -> list[np.ndarray]:
        widths = lengths[:, members].max(axis=1)
        batches = ceil(len(members) * int(widths.max()) / tokens) if tokens else ceil(len(members) / examples)
        if batches == 1:
            return [members]
        halves = []
        for side in lengths:
            members = generator.permutation(members)
            ordered = members[np.argsort(side[members], kind="stable")]
            if tokens:
                taken = np.cumsum(lengths[:, ordered].max(axis=0))
                cut = int(np.searchsorted(taken, taken[-1] * (batches // 2) / batches))
                cut = min(max(cut, 1), len(ordered) - 1)
            else:
                cut = batches // 2 * examples
            halves.append((ordered[:cut], ordered[cut:]))
        first, second = min(halves, key=lambda pair: sum(padded(lengths[:, half]) for half in pair))
        return divide(first) + divide(second)

    batches = divide(np.arange(lengths.shape[1])) if lengths.shape[1] else []
    generator.shuffle(batches)
    return batches


def padded(lengths: Int[np.ndarray, "side batch"]) -> int:
    """Tokens of a batch of these lengths, padding included."""
    return int(lengths.max(axis=1).sum()) * lengths.shape[1]


def groups(
    lengths: Sequence[int] | Int[np.ndarray, "example"],
    most: int,
    tokens: int,
    shares: Float[np.ndarray, "example"] | None = None,
) -> Iterator[list[int]]:
    """Indices of examples of similar length, to predict together: at most `most`, and `tokens` with padding.

    `shares` are those of the memory that a batch may take, which each example would take of it. What is beyond a limit
    by itself is alone.
    """
    order = np.argsort(lengths, kind="stable").tolist()
    group: list[int] = []
    largest = 0.0
    for place in order:
        largest = largest if shares is None else max(largest, shares[place])
        size = len(group) + 1
        if group and (size > most or size * lengths[place] > tokens or size * largest > 1):
            yield group
            group, largest = [], 0.0 if shares is None else shares[place]
        group.append(place)
    if group:
        yield group
