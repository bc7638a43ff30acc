"""Pointing accuracy, for every look whose correct cells or regions are known."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool

from attend.attention.trace import Axis, Grid, Look, Tokens, Windows
from attend.data.examples import Truth
from attend.inspect.cells import cells_in_box
from attend.inspect.looks import fixations


def pointing(examples: Sequence[tuple[Mapping[str, Look], Sequence[Truth]]]) -> dict[str, float]:
    """How often the strongest cell, or the centre of a window, lies in the correct region.

    `pointing_accuracy` is over all steps with a known region; the others are over parts of outputs (the name of an
    object, the year of a date), which have one such step or several: at the part's first step, its last, or any.
    Where all steps of all examples have a known region (glimpses, hops), `pointing_accuracy_step_1` and so on are of
    each step; and where that is several places (supporting facts), `pointing_recall` is the share of places that some
    step pointed at. `pointing_by_chance` is the share of cells that are correct. Empty where nothing is known.
    """
    parts, chances, found_places, whole = [], [], [], True
    for looks, truths in examples:
        for truth in truths:
            look = looks.get(truth.over) or next(iter(looks.values()), None)
            found = None if look is None else hits(look, truth)
            if found is not None and len(found[0]):
                parts.append(found[0])
                chances.append(found[1])
                found_places += places_found(look, truth)
                whole = whole and truth.of is None
    if not parts:
        return {}
    figures = {"pointing_accuracy": float(np.concatenate(parts).mean())}
    if any(len(part) > 1 for part in parts):
        figures |= {
            "pointing_accuracy_first_step": float(np.mean([part[0] for part in parts])),
            "pointing_accuracy_last_step": float(np.mean([part[-1] for part in parts])),
            "pointing_accuracy_any_step": float(np.mean([part.any() for part in parts])),
        }
    if whole and len({len(part) for part in parts}) == 1 and len(parts[0]) > 1:
        by_step = np.mean(parts, axis=0)
        figures |= {f"pointing_accuracy_step_{step}": float(value) for step, value in enumerate(by_step, start=1)}
    if found_places:
        figures["pointing_recall"] = float(np.mean(found_places))
    return figures | {"pointing_by_chance": float(np.mean(chances))}


def hits(look: Look, truth: Truth) -> tuple[Bool[np.ndarray, "step"], float] | None:
    """For each step with this truth, whether the look is correct; and the share of cells that are correct.

    None where the cells' places are not known.
    """
    if isinstance(look, Windows):
        places, (left, top, right, bottom) = fixations(look), box_of(truth)
        inside = np.asarray(((places >= [left, top]) & (places <= [right, bottom])).all(1), dtype=bool)
        return inside, (min(right, 1) - max(left, -1)) * (min(bottom, 1) - max(top, -1)) / 4
    right = right_cells(look.memory, truth)
    if right is None:
        return None
    steps = steps_of(look.steps, truth)
    strongest = look.weights[steps].argmax(1)
    return np.asarray(right[strongest], dtype=bool), float(right.mean())


def places_found(look: Look | None, truth: Truth) -> list[bool]:
    """Of each place of a truth of several, whether some step's strongest cell is there. Empty for one place alone."""
    if isinstance(look, Windows) or look is None or not isinstance(truth.where[0], tuple):
        return []
    strongest = look.weights[steps_of(look.steps, truth)].argmax(1)
    cells = (right_cells(look.memory, replace(truth, where=place)) for place in truth.where)
    return [bool(right[strongest].any()) for right in cells if right is not None]


def box_of(truth: Truth) -> tuple[float, float, float, float]:
    where = truth.where
    if len(where) != 4 or isinstance(where[0], tuple):
        raise ValueError(f"the truth over {truth.over!r} must be a region of the image, not {where}")
    return where  # type: ignore[return-value]


def right_cells(memory: Axis, truth: Truth) -> Bool[np.ndarray, "memory"] | None:
    spans: Any = truth.where if isinstance(truth.where[0], tuple) else (truth.where,)
    if isinstance(memory, Grid) and len(spans[0]) == 4:
        return cells_in_box(np.array(spans[0], dtype=np.float64), memory.rows, memory.columns)
    if isinstance(memory, Tokens) and len(spans[0]) == 2:
        inside = [
            token.start is not None and token.end is not None and token.start < end and token.end > start
            for token in memory.tokens
            for start, end in spans
        ]
        found = np.any(np.array(inside, dtype=bool).reshape(len(memory), -1), axis=1, keepdims=True)[:, 0]
        return found if found.any() else None  # of a long text the place may not have been read
    return None


def steps_of(steps: Axis, truth: Truth) -> list[int]:
    """The steps that write the part; all of them if the output is not text."""
    if truth.of is None or not isinstance(steps, Tokens):
        return list(range(len(steps)))
    start, end = truth.of
    return [
        place
        for place, token in enumerate(steps.tokens)
        if token.start is not None and token.end is not None and token.start < end and token.end > start
    ]
