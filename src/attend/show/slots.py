"""Looks of heads over memory slots through time, as a Neural Turing Machine has them: what all drawings of them share.

A look "write: content" is a stage of the look "write": a trace may have several, in their order.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from attend.attention.trace import Named, PictureEachStep, Trace, Weights
from attend.data.vectors import parse
from attend.show.pixels import pixels
from attend.show.words import drawable

# A slot that no head gives as much at any step is never visited.
VISITED = 0.05
# The weights before the first stage, and after the last.
BEFORE, LAST = "before", "sharpen"


@dataclass(frozen=True)
class Head:
    """One look: its weights, and the stages that lead to them."""

    name: str
    weights: Float[np.ndarray, "step slot"]
    stages: Mapping[str, Float[np.ndarray, "step slot"]]

    def strips(self, step: int) -> dict[str, Float[np.ndarray, "slot"]]:
        """The weights before a step, and after each stage of it; none for a look without stages.

        Before the first step they are not known (NaN).
        """
        if not self.stages:
            return {}
        before = self.weights[step - 1] if step else np.full(self.weights.shape[1], np.nan)
        return {BEFORE: before, **{name: rows[step] for name, rows in self.stages.items()}, LAST: self.weights[step]}


@dataclass(frozen=True)
class Slots:
    """Heads of each kind (write, read), beside the vectors that were given and answered.

    A vector is at the step at which it was given, or answered; elsewhere is NaN. `shown` are the slots that some head
    visits (or all, if none is). `memory` has for each step the slots' numbers, from 0 over 0.5 (zero) to 1, or None.
    """

    input: Float[np.ndarray, "step given"]
    output: Float[np.ndarray, "step bit"]
    kinds: Sequence[Sequence[Head]]
    names: tuple[str, ...]
    shown: Int[np.ndarray, "shown"]
    memory: Float[np.ndarray, "step slot size"] | None

    @property
    def steps(self) -> int:
        return len(self.input)

    @property
    def answered(self) -> int:
        """The first step of the output."""
        return int(np.isfinite(self.output[:, 0]).argmax())

    @property
    def first(self) -> int:
        """The step to show at first: that of the output; the middle, where there is an output from the start."""
        return self.answered or self.steps // 2

    @property
    def unit(self) -> str:
        """What is looked at: slots of a memory, or cells of anything else."""
        return "slot" if self.kinds[0][0].name.partition(" ")[0] in ("read", "write") else "cell"

    @property
    def labels(self) -> list[str]:
        """Of the rows that `rows` gives."""
        shown = [self.names[slot] for slot in self.shown]
        return shown if self.others is None else [*shown, "other"]

    @property
    def others(self) -> int | None:
        """The row that is the sum of all slots that are not shown, if some are not."""
        return len(self.shown) if len(self.shown) < len(self.names) else None

    @property
    def gaps(self) -> list[int]:
        """The rows before which slots are left out."""
        return [row for row in range(1, len(self.shown)) if self.shown[row] > self.shown[row - 1] + 1]

    def rows(self, weights: Float[np.ndarray, "*step slot"]) -> Float[np.ndarray, "*step row"]:
        """The weights of the slots that are shown and, where some are not, the sum of all others."""
        kept = weights[..., self.shown]
        if self.others is None:
            return kept
        others = np.delete(weights, self.shown, -1).sum(-1, keepdims=True)
        return np.concatenate([kept, others], -1)

    def pairs(self) -> Iterator[list[Head]]:
        """The first head of each kind, then the second of each, ..."""
        for place in range(max(map(len, self.kinds))):
            yield [heads[place] for heads in self.kinds if place < len(heads)]

    def describe(self, step: int) -> str:
        """What a step is: "step 7 (output 1)"."""
        parts = {"input": self.input, "output": self.output}
        here = {name: np.isfinite(vectors[:, 0]) for name, vectors in parts.items()}
        what = [f"{name} {int(real[: step + 1].sum())}" for name, real in here.items() if real[step]]
        return f"step {step + 1} ({', '.join(what)})"

    def strongest(self, weights: Float[np.ndarray, "slot"]) -> str:
        """The name of the strongest slot, and its weight: "12 (0.98)"."""
        best = int(weights.argmax())
        return f"{self.names[best]} ({weights[best]:.2f})"

    def left_out(self) -> str:
        """A sentence on the slots that are not shown; empty if all are."""
        hidden = len(self.names) - len(self.shown)
        if not hidden:
            return ""
        return (
            f"{hidden} of {len(self.names)} {self.unit}s never have a weight of {VISITED:g} or more: other is their sum"
        )


def slots_of(trace: Trace) -> Slots | None:
    """The trace's heads; None if it has other looks, or other rows than the vectors of its input and output."""
    looks = drawable(trace)
    heads = {name: look for name, look in looks.items() if not is_stage(name, looks)}
    if not heads or len(heads) < sum(not is_stage(name, trace.looks) for name in trace.looks):
        return None
    first = next(iter(heads.values()))
    axes = first.steps.labels(), first.memory
    if not isinstance(first.memory, Named) or any((one.steps.labels(), one.memory) != axes for one in looks.values()):
        return None
    placed = vectors_of(trace, axes[0])
    if placed is None:
        return None
    kinds: dict[str, list[Head]] = {}
    for name, look in heads.items():
        stages = {one.removeprefix(f"{name}: "): looks[one].weights for one in looks if one.startswith(f"{name}: ")}
        kinds.setdefault(name.partition(" ")[0], []).append(Head(name, look.weights, stages))
    most = np.max([look.weights.max(0) for look in heads.values()], 0)
    shown = np.flatnonzero(most >= VISITED)
    # What is written stands before what is read of it.
    ordered = [heads for _, heads in sorted(kinds.items(), key=lambda kind: kind[0] != "write")]
    everything = shown if len(shown) else np.arange(len(most))
    return Slots(*placed, ordered, first.memory.names, everything, memory_of(trace, heads))


def is_stage(name: str, looks: Mapping[str, Any]) -> bool:
    """Whether a look is a stage of another one."""
    owner, colon, _ = name.rpartition(": ")
    return bool(colon) and owner in looks


def vectors_of(
    trace: Trace, labels: Sequence[str]
) -> tuple[Float[np.ndarray, "step given"], Float[np.ndarray, "step bit"]] | None:
    """Input and output, each at its steps: the output after the input or, where all are the input's, at their end."""
    given, answered = trace.input.split(), trace.output.split()
    if list(labels) not in ([*given, *answered], given) or len(answered) > len(labels):
        return None
    try:
        vectors = parse(trace.input), parse(trace.output)
    except ValueError:
        return None
    first, last = (np.full((len(labels), one.shape[1]), np.nan) for one in vectors)
    first[: len(given)], last[len(labels) - len(answered) :] = vectors
    return first, last


def memory_of(trace: Trace, heads: Mapping[str, Weights]) -> Float[np.ndarray, "step slot size"] | None:
    """From the pictures that the first head with some has: a row of pixels for each slot."""
    for name, look in heads.items():
        media = trace.media.get(name)
        if isinstance(media, PictureEachStep):
            found = np.stack([pixels(uri)[..., 0] for uri in media.uris]) / 255
            if found.shape[1] == len(look.memory):
                return found
    return None
