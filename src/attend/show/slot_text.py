"""Heads over memory slots as plain text: time goes to the right, a character for each step; slots go down."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from rich.cells import cell_len

from attend.show.shades import GREYS, shaded
from attend.show.slots import Head, Slots
from attend.show.words import shorten, visible

SET, NOT_SET = "█", "·"
# The longest name of a slot, characters between blocks, and steps between numbers.
LONGEST, APART, EVERY = 12, 3, 10


class Block:
    """Rows of characters, with a name before each."""

    def __init__(self, margin: int) -> None:
        self.margin = margin
        self.rows: list[tuple[str, Sequence[str]]] = []

    def add(self, characters: Sequence[str] = "", name: str = "") -> None:
        """A row; each of `characters` is one on the screen."""
        self.rows.append((name, characters))

    @property
    def width(self) -> int:
        return self.margin + 1 + max(len(characters) for _, characters in self.rows)

    def lines(self, count: int) -> list[str]:
        """So many lines, all as wide as the block."""
        rows = [*self.rows, *[("", "")] * (count - len(self.rows))]
        blanks = [self.width - self.margin - 1 - len(characters) for _, characters in rows]
        return [
            " " * (self.margin - cell_len(name)) + f"{name} {''.join(characters)}{' ' * blank}"
            for (name, characters), blank in zip(rows, blanks, strict=True)
        ]


def slot_text(slots: Slots, width: int, colour: bool, step: int | None = None) -> str:
    """A map for each head, under the bits of input and output, side by side where `width` characters are enough.

    Then, of a step (counted from 0; `Slots.first` by default), the strongest slot after each stage of each head's
    weights, and the memory after it. A sequence that is too long for the width is cut into several maps.
    """
    step = slots.first if step is None else step
    names = [shorten(visible(label), LONGEST) for label in slots.labels]
    margin = max(map(cell_len, [*names, "step"]))
    room = max(width - margin - 1, 1)
    parts = []
    for first in range(0, slots.steps, room):
        span = range(first, min(first + room, slots.steps))
        for place, heads in enumerate(slots.pairs()):
            blocks, memory = [Block(margin) for _ in heads], Block(margin)
            if place == 0:
                draw_bits(blocks, slots, span)
            memory.rows = [("", "")] * len(blocks[0].rows)
            for block, head in zip(blocks, heads, strict=True):
                draw_map(block, slots, head, step, span, names, colour)
            if place == 0 and slots.memory is not None and step in span:
                draw_memory(memory, slots.memory[step][slots.shown], step, names, colour)
                blocks.append(memory)
            parts.append(beside(blocks, width))
    return "\n\n".join([*parts, "\n".join(stages(slots, step)), legend(slots, colour)])


def draw_bits(blocks: Sequence[Block], slots: Slots, span: range) -> None:
    """The rows of each vector; one kind of heads has those of input and output above it, of two each has its own."""
    both = [("input", slots.input), ("output", slots.output)]
    owned = [both] if len(blocks) == 1 else [both[kind : kind + 1] for kind in range(len(blocks))]
    tall = max(sum(1 + vectors.shape[1] for _, vectors in own) for own in owned)
    for block, own in zip(blocks, owned, strict=True):
        for _ in range(tall - sum(1 + vectors.shape[1] for _, vectors in own)):
            block.add()
        for name, vectors in own:
            block.add(name)
            low, high = min(0.0, float(np.nanmin(vectors))), max(1.0, float(np.nanmax(vectors)))
            for row in (vectors[span.start : span.stop].T - low) / (high - low):
                block.add([bit(value) for value in row])


def bit(value: float) -> str:
    if np.isnan(value):
        return " "
    return {0.0: NOT_SET, 1.0: SET}.get(float(value)) or shaded(float(value), False)


def draw_map(
    block: Block, slots: Slots, head: Head, step: int, span: range, names: Sequence[str], colour: bool
) -> None:
    """The head's weights, slots by steps, with the steps' numbers and a mark at the step that is told more of."""
    block.add(visible(head.name))
    for name, row in zip(names, slots.rows(head.weights[span.start : span.stop]).T, strict=True):
        block.add([shaded(float(weight), colour) for weight in row], name)
    numbers = ""
    for place, step_number in enumerate(range(span.start + 1, span.stop + 1)):
        longer = f"{numbers:{place}}{step_number}"
        if (place == 0 or step_number % EVERY == 0) and len(numbers) <= place and len(longer) <= len(span):
            numbers = longer
    block.add(numbers, "step")
    if step in span:
        block.add(f"{'^':>{step - span.start + 1}}")


def draw_memory(
    block: Block, memory: Float[np.ndarray, "slot size"], step: int, names: Sequence[str], colour: bool
) -> None:
    """What the slots that are shown hold after the step."""
    block.add(f"memory after step {step + 1}")
    for name, row in zip(names, memory, strict=False):
        block.add([shaded(float(number), colour, GREYS) for number in row], name)


def beside(blocks: Sequence[Block], width: int) -> str:
    """The blocks side by side where there is room, and else below one another."""
    if sum(block.width for block in blocks) + APART * (len(blocks) - 1) > width:
        stacked = (map(str.rstrip, block.lines(len(block.rows))) for block in blocks)
        return "\n\n".join("\n".join(lines).strip("\n") for lines in stacked)
    tall = max(len(block.rows) for block in blocks)
    return "\n".join(
        (" " * APART).join(pieces).rstrip() for pieces in zip(*(block.lines(tall) for block in blocks), strict=True)
    )


def stages(slots: Slots, step: int) -> list[str]:
    """The step, and the strongest slot of each head before it, after each stage, and so at the step."""
    lines = [f"{slots.describe(step)}, strongest {slots.unit}:"]
    for head in (head for heads in slots.kinds for head in heads):
        strips = head.strips(step) or {"": head.weights[step]}
        known = {name: weights for name, weights in strips.items() if not np.isnan(weights).any()}
        told = [f"{name} {slots.strongest(weights)}".strip() for name, weights in known.items()]
        lines.append(f"  {visible(head.name)}: {' -> '.join(told)}")
    return lines


def legend(slots: Slots, colour: bool) -> str:
    weights = "  ".join(f"{shaded(share, colour)} {share:.2g}" for share in (0, 0.25, 0.5, 0.75, 1))
    lines = [f"weight: {weights}"]
    if slots.left_out():
        lines.append(slots.left_out())
    if slots.memory is not None:
        shades = "  ".join(f"{shaded(share, colour, GREYS)} {share * 2 - 1:.2g}" for share in (0, 0.25, 0.5, 0.75, 1))
        lines.append(f"memory: {shades}  of its largest absolute value")
    return "\n".join(lines)
