"""Statistics of a look (entropy, coverage), warnings from them, and the predictions of each step.

Steps are rows, cells are columns. Entropies are in nats, of rows (or columns) normalised to sum to one.
"""

import numpy as np
from jaxtyping import Bool, Float

from attend.attention.trace import Axis, Tokens, Trace, Weights
from attend.show.words import visible

# A step whose normalised entropy is at least this is near-uniform.
NEAR_UNIFORM = 0.9
# A cell whose coverage is below this share of the mean coverage is never attended.
NEVER_ATTENDED = 0.1
MOST_NAMED = 5


def entropy(look: Weights) -> Float[np.ndarray, "step"]:
    """The entropy of each step's weights, in nats: 0 on one cell, log of the number of cells when uniform."""
    return row_entropy(look.weights)


def normalised_entropy(look: Weights) -> Float[np.ndarray, "step"]:
    """Entropy divided by that of uniform weights, from 0 to 1; 0 where there is only one cell."""
    return entropy(look) / np.log(max(len(look.memory), 2))


def coverage(look: Weights) -> Float[np.ndarray, "memory"]:
    """The sum of each cell's weights over the steps."""
    return look.weights.sum(axis=0, dtype=float)


def near_uniform(look: Weights) -> float:
    """The share of steps whose normalised entropy is `NEAR_UNIFORM` or more."""
    return float((normalised_entropy(look) >= NEAR_UNIFORM).mean())


def still(look: Weights) -> bool:
    """Whether all steps (two or more) have their strongest weight on the same one of several cells."""
    if min(look.weights.shape) < 2:
        return False
    strongest = look.weights.argmax(axis=1)
    return bool((strongest == strongest[0]).all())


def never_attended(look: Weights) -> Bool[np.ndarray, "memory"]:
    """True on cells with less than `NEVER_ATTENDED` of the mean coverage; never on special tokens."""
    covered = coverage(look)
    return (covered < NEVER_ATTENDED * covered.mean()) & ~special(look.memory)


def badges(look: Weights) -> list[str]:
    """Warnings about a look: "near-uniform" (at least half of its steps), "does not move" (`still`), "never attended".

    There are none for a look without steps or with a single cell.
    """
    steps, cells = look.weights.shape
    if not steps or cells < 2:
        return []
    found = []
    if near_uniform(look) >= 0.5:
        found.append("near-uniform")
    if still(look):
        found.append("does not move")
    labels = look.memory.labels()
    unread = [visible(labels[cell]) for cell in np.flatnonzero(never_attended(look))]
    if unread:
        more = f" and {len(unread) - MOST_NAMED} more" if len(unread) > MOST_NAMED else ""
        found.append(f"never attended: {', '.join(unread[:MOST_NAMED])}{more}")
    return found


def predictions(trace: Trace) -> list[list[tuple[str, float]]]:
    """For each step the alternatives with their probabilities, highest first; empty where the trace has none."""
    return [
        [(other.text, float(np.exp(other.log_prob))) for other in sorted(step, key=lambda other: -other.log_prob)]
        for step in trace.alternatives or ()
    ]


def row_entropy(weights: Float[np.ndarray, "row column"]) -> Float[np.ndarray, "row"]:
    """Entropy in nats of each row, normalised to sum to one; 0 for a row of zeros."""
    sums = weights.sum(axis=1, keepdims=True, dtype=float)
    shares = np.divide(weights, sums, out=np.zeros(weights.shape), where=sums > 0)
    # 0 log 0 is 0: take log 1 there. "0 -", because negation alone would give -0.
    return 0 - (shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=1)


def special(axis: Axis) -> Bool[np.ndarray, "cell"]:
    """True on special tokens; other axes have none."""
    if not isinstance(axis, Tokens):
        return np.zeros(len(axis), dtype=bool)
    return np.array([token.start is None for token in axis.tokens], dtype=bool)
