"""How a look reads, in figures and in words: how spread out it is, whether it moves, what it leaves out.

Steps are rows, cells are columns. Entropies are in nats and are those of rows (or columns) made to sum to one.
"""

import numpy as np
from jaxtyping import Bool, Float

from attend.attention.trace import Axis, Tokens, Weights
from attend.show.words import visible

# A step whose entropy is at least this share of the greatest possible looks nearly everywhere alike.
NEAR_UNIFORM = 0.9
# A cell that gets less than this share of the mean cell's weight, over all steps together, is never attended.
NEVER_ATTENDED = 0.1
MOST_NAMED = 5


def entropy(look: Weights) -> Float[np.ndarray, "step"]:
    """How spread out each step's weights are, in nats: 0 on one cell, log of the number of cells when uniform."""
    return row_entropy(look.weights)


def normalised_entropy(look: Weights) -> Float[np.ndarray, "step"]:
    """Entropy as a share of the greatest possible, from 0 to 1; 0 where there is only one cell."""
    return entropy(look) / np.log(max(len(look.memory), 2))


def coverage(look: Weights) -> Float[np.ndarray, "memory"]:
    """How much each cell was looked at in all: the sum of its weights over the steps."""
    return look.weights.sum(axis=0, dtype=float)


def near_uniform(look: Weights) -> float:
    """The share of steps that look nearly everywhere alike: normalised entropy of `NEAR_UNIFORM` or more."""
    return float((normalised_entropy(look) >= NEAR_UNIFORM).mean())


def still(look: Weights) -> bool:
    """Whether the look does not move: of several cells, all steps (two or more) look most at the same one."""
    if min(look.weights.shape) < 2:
        return False
    strongest = look.weights.argmax(axis=1)
    return bool((strongest == strongest[0]).all())


def never_attended(look: Weights) -> Bool[np.ndarray, "memory"]:
    """True on cells that got less than `NEVER_ATTENDED` of the mean coverage; special tokens don't count as cells."""
    covered = coverage(look)
    return (covered < NEVER_ATTENDED * covered.mean()) & ~special(look.memory)


def badges(look: Weights) -> list[str]:
    """What is odd about a look, in words.

    "near-uniform": at least half of its steps are. "does not move": as `still`. "never attended": the cells that are.
    A look without steps, or with a single cell, has nothing odd about it.
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


def row_entropy(weights: Float[np.ndarray, "row column"]) -> Float[np.ndarray, "row"]:
    """Entropy in nats of each row made to sum to one; 0 for a row of zeros."""
    sums = weights.sum(axis=1, keepdims=True, dtype=float)
    shares = np.divide(weights, sums, out=np.zeros(weights.shape), where=sums > 0)
    # 1 stands in for 0 under the logarithm: 0 log 0 is 0. "0 -", because a minus sign alone would make it -0.
    return 0 - (shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=1)


def special(axis: Axis) -> Bool[np.ndarray, "cell"]:
    """True on special tokens; other axes have none."""
    if not isinstance(axis, Tokens):
        return np.zeros(len(axis), dtype=bool)
    return np.array([token.start is None for token in axis.tokens], dtype=bool)
