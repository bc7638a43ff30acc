"""Is this attention informative? Figures that need no gold alignment.

Figures that viewers show too are in `attend.show.reading`.
"""

from collections.abc import Sequence

import numpy as np

from attend.attention.trace import Weights
from attend.show.reading import (
    coverage,
    entropy,
    near_uniform,
    never_attended,
    normalised_entropy,
    row_entropy,
    special,
    still,
)


def coverage_deviation_penalty(look: Weights) -> float:
    """Mean over cells of log(1 + (1 - coverage)^2): 0 if each has coverage 1.

    CDP of Rikters & Fishel 2017 ("Confidence through Attention"), with the opposite sign: larger is worse.
    """
    return float(np.log1p((1 - coverage(look)) ** 2).mean())


def output_absentmindedness(look: Weights) -> float:
    """Mean entropy of a step's weights: 0 if each step attends to one cell.

    APout of Rikters & Fishel 2017, with the opposite sign: larger is worse.
    """
    return float(entropy(look).mean())


def input_absentmindedness(look: Weights) -> float:
    """Mean entropy of a cell's weights over the steps: 0 if each cell is attended to by one step.

    APin of Rikters & Fishel 2017, as a mean over cells and with the opposite sign: larger is worse.
    """
    return float(row_entropy(look.weights.T).mean())


def special_mass(look: Weights) -> float:
    """Mean weight on special tokens (the end of the sentence) over ordinary steps; 0 without any."""
    steps = look.weights[~special(look.steps)]
    return float(steps[:, special(look.memory)].sum() / max(len(steps), 1))


def audit(looks: Sequence[Weights]) -> dict[str, float]:
    """Every figure, as its mean over looks.

    Raises `ValueError` if there are no looks, or one has no steps or no cells.
    """
    if not looks:
        raise ValueError("there are no looks to audit; give at least one")
    for index, look in enumerate(looks):
        if look.weights.size == 0:
            raise ValueError(f"look {index} has no weights {look.weights.shape}; leave out empty inputs and outputs")
    figures = [_figures(look) for look in looks]
    return {name: float(np.mean([figure[name] for figure in figures])) for name in figures[0]}


def _figures(look: Weights) -> dict[str, float]:
    return {
        "entropy": float(entropy(look).mean()),
        "normalised entropy": float(normalised_entropy(look).mean()),
        "coverage deviation penalty": coverage_deviation_penalty(look),
        "output absentmindedness": output_absentmindedness(look),
        "input absentmindedness": input_absentmindedness(look),
        "near-uniform steps": near_uniform(look),
        "looks that do not move": float(still(look)),
        "cells never attended": float(never_attended(look).sum() / max((~special(look.memory)).sum(), 1)),
        "mass on special tokens": special_mass(look),
    }
