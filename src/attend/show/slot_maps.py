"""Heads over memory slots as figures: time goes to the right, slots go down.

A map for each head, the kinds (write, read) side by side, under the vectors that were given and answered; and for one
step the stages of each head's weights, and the memory after it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attend.attention.trace import Trace
from attend.show.figure import FAINT, INK, MEDIUM, SMALL, blank, finish, label_of
from attend.show.moving import write_gif
from attend.show.pictures import PATH
from attend.show.slots import Head, Slots, slots_of

BITS = LinearSegmentedColormap.from_list("bits", ["#ececec", INK])
# Inches: of the figure, unless its steps need more, of all maps that are below one another, and of a vector's bits.
WIDE, TALL, VECTOR = 13.0, 9.0, 2.0
# A step, a slot and a bit are no larger, and no smaller.
LARGEST, SMALLEST = 0.17, 0.012
LABELS, TITLE, STAGES, TIMES = 0.6, 0.3, 0.55, 0.4
# The lines below all maps, and the width of the longest one.
NOTE, LONGEST = 0.2, 6.2
STRIP, GAP, MARGIN = 0.17, 0.1, 0.2
# Of the memory's numbers, and its title.
INSIDE, NAMED = 1.6, 1.5
# Steps and slots have numbers at least so far apart.
APART = 0.17
# With fewer steps than this, outlines are thick.
THICK = 100
# Of more steps than this, a GIF has as many.
MOST_FRAMES = 50


def slot_maps(trace: Trace, path: Path | None = None, step: int | None = None) -> Figure:
    """The maps, with the stages of a step (counted from 0; `Slots.first` by default) and the memory after it.

    Written to `path` (.png or .svg) if given. Raises `ValueError` for a trace without heads over slots, and for a step
    that it has not.
    """
    slots = taken(trace)
    if step is not None and not 0 <= step < slots.steps:
        raise ValueError(f"there is no step {step + 1}: the trace has steps 1 to {slots.steps}")
    return finish(drawn(slots, slots.first if step is None else step), path)


def slot_animation(trace: Trace, path: Path) -> None:
    """The same step by step, as a GIF; what is still to come is pale."""
    slots, frames = taken(trace), []
    for step in range(0, slots.steps, -(-slots.steps // MOST_FRAMES)):
        figure = drawn(slots, step)
        figure.set_dpi(100)
        for axes in figure.axes:
            if axes.get_gid() == "time" and step + 1 < slots.steps:
                low, high = sorted(axes.get_ylim())
                later = Rectangle((step + 0.5, low), slots.steps - step - 1, high - low, color="white", alpha=0.8, lw=0)
                axes.add_patch(later)
        frames.append(figure)
    write_gif(frames, path)


def taken(trace: Trace) -> Slots:
    slots = slots_of(trace)
    if slots is None:
        raise ValueError("the trace has no heads over the slots of a memory, a row for each vector of input and output")
    return slots


class Sheet:
    """A figure on which axes are placed in inches from its top left."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = blank(width, height)
        self.width, self.height = width, height

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        place = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(place)
        axes.tick_params(length=0, labelsize=SMALL, labelcolor=INK, pad=3)
        axes.spines[:].set_visible(False)
        return axes

    def text(self, left: float, top: float, text: str, size: float = SMALL, colour: str = INK) -> None:
        self.figure.text(left / self.width, 1 - top / self.height, text, fontsize=size, color=colour, va="bottom")


def drawn(slots: Slots, step: int) -> Figure:
    """The figure of a step."""
    pairs, kinds, rows = list(slots.pairs()), len(slots.kinds), len(slots.labels)
    strips = GAP + STRIP * max(len(head.strips(0)) for head in pairs[0])
    numbers = slots.memory.shape[2] if slots.memory is not None else 0
    inside = min(LARGEST, INSIDE / max(numbers, 1)) * numbers
    fixed = 2 * MARGIN + kinds * (LABELS + strips + GAP) + (LABELS + max(inside, NAMED) if numbers else 0)
    across = float(np.clip((WIDE - fixed) / (kinds * slots.steps), SMALLEST, LARGEST))
    down = float(np.clip(TALL / (len(pairs) * rows), SMALLEST, LARGEST))
    sizes = slots.input.shape[1], slots.output.shape[1]
    bit = min(max(across, LARGEST / 2), VECTOR / max(sizes))
    # One kind has both rows of bits above it; of two each has its own.
    bits = max(*(size * bit for size in sizes), STAGES) if kinds > 1 else sum(sizes) * bit + TITLE
    wide, tall = slots.steps * across, rows * down
    top = TITLE + bits + TITLE
    apart = tall + TIMES + max(TITLE, STAGES)
    below = top + (len(pairs) - 1) * apart + tall + TIMES
    sheet = Sheet(max(fixed + kinds * wide, LONGEST), below + 4 * NOTE)
    for kind in range(kinds):
        left = MARGIN + LABELS + kind * (LABELS + wide + strips + GAP)
        above = {"input": slots.input, "output": slots.output}
        if kinds > 1:
            above = dict(list(above.items())[kind : kind + 1])
        draw_vectors(sheet, slots, above, step, (left, top - TITLE), (wide, bit))
        for place, heads in enumerate(pairs):
            if kind >= len(heads):
                continue
            head, down_to = heads[kind], top + place * apart
            axes = sheet.axes(left, down_to, wide, tall)
            draw_map(axes, slots, head, step, (across, down))
            axes.set_title(label_of(head.name), loc="left", fontsize=MEDIUM, color=INK, pad=4)
            if head.stages:
                draw_stages(sheet, slots, head, step, (left + wide + GAP, down_to), tall)
    if slots.memory is not None:
        left = MARGIN + kinds * (LABELS + wide + strips + GAP) + LABELS
        draw_memory(sheet.axes(left, top, inside, len(slots.shown) * down), slots, slots.memory[step], step, down)
    draw_notes(sheet, slots, step, below)
    return sheet.figure


def draw_vectors(
    sheet: Sheet,
    slots: Slots,
    vectors: Mapping[str, Float[np.ndarray, "step size"]],
    step: int,
    corner: tuple[float, float],
    extent: tuple[float, float],
) -> None:
    """Rows of bits over the steps, upwards from `corner`, the last at the bottom; each as wide and high as `extent`."""
    left, bottom = corner
    wide, bit = extent
    for name, rows in reversed(list(vectors.items())):
        size = rows.shape[1]
        axes = sheet.axes(left, bottom - size * bit, wide, size * bit)
        low, high = min(0.0, float(np.nanmin(rows))), max(1.0, float(np.nanmax(rows)))
        axes.imshow(rows.T, cmap=BITS, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
        if wide / slots.steps > LARGEST / 3:
            lines(axes, rows.T.shape)
        timed(axes, slots, step, INK)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(name, loc="left", fontsize=MEDIUM, color=INK, pad=3)
        bottom -= size * bit + TITLE


def draw_map(axes: Axes, slots: Slots, head: Head, step: int, cell: tuple[float, float]) -> None:
    """The head's weights: slots by steps, each as wide and high as `cell`."""
    across, down = cell
    axes.imshow(slots.rows(head.weights).T, cmap="cividis", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    name_slots(axes, slots.labels, down)
    axes.set_ylabel(slots.unit, fontsize=SMALL, color=INK, labelpad=2)
    axes.set_xlabel("step", fontsize=SMALL, color=INK, labelpad=1)
    part(axes, slots.gaps, slots.others)
    timed(axes, slots, step, FAINT)
    every = next(count for count in (1, 2, 5, 10, 20, 50, 100, 200, 500, slots.steps) if count * across >= 1.6 * APART)
    numbers = [number for number in range(1, slots.steps + 1) if number == 1 or number % every == 0]
    axes.set_xticks([number - 1 for number in numbers], [str(number) for number in numbers])


def draw_stages(sheet: Sheet, slots: Slots, head: Head, step: int, corner: tuple[float, float], tall: float) -> None:
    """How the head's weights at the step came about: a strip for each stage, beside the map's slots."""
    strips = head.strips(step)
    rows = slots.rows(np.stack(list(strips.values()))).T
    axes = sheet.axes(*corner, STRIP * len(strips), tall)
    axes.imshow(rows, cmap="cividis", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for place in range(1, len(strips)):
        axes.axvline(place - 0.5, color="white", linewidth=1.5)
    part(axes, slots.gaps, slots.others)
    axes.set_yticks([])
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(strips)), list(strips), rotation=90, color=PATH)


def draw_memory(axes: Axes, slots: Slots, memory: Float[np.ndarray, "slot size"], step: int, down: float) -> None:
    """What the slots that are shown hold after the step."""
    axes.imshow(memory[slots.shown], cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    name_slots(axes, slots.labels[: len(slots.shown)], down)
    part(axes, slots.gaps)
    axes.set_xticks([])
    axes.set_title(f"memory after step {step + 1}", loc="left", fontsize=MEDIUM, color=PATH, pad=4)


def name_slots(axes: Axes, labels: Sequence[str], cell: float) -> None:
    every = max(1, int(np.ceil(APART * 0.75 / cell)))
    # "other" stands apart from the slots' numbers.
    places = [place for place in range(len(labels)) if place % every == 0 or labels[place] == "other"]
    if len(places) > 1 and labels[-1] == "other" and places[-1] - places[-2] < every:
        del places[-2]
    axes.set_yticks(places, [label_of(labels[place]) for place in places])


def part(axes: Axes, gaps: Sequence[int], others: int | None = None) -> None:
    """White lines where slots are left out, and above the row of all others."""
    for row in gaps:
        axes.axhline(row - 0.5, color="white", linewidth=1)
    if others is not None:
        axes.axhline(others - 0.5, color="white", linewidth=2)


def lines(axes: Axes, shape: tuple[int, ...]) -> None:
    """White lines between bits."""
    for row in range(1, shape[0]):
        axes.axhline(row - 0.5, color="white", linewidth=0.5)
    for column in range(1, shape[1]):
        axes.axvline(column - 0.5, color="white", linewidth=0.5)


def timed(axes: Axes, slots: Slots, step: int, colour: str) -> None:
    """The beginning of the output, and the step that is shown in full."""
    axes.set_gid("time")
    if slots.answered:
        # Above the outline of the first step of the output.
        axes.axvline(slots.answered - 0.5, color=colour, linewidth=1.3, linestyle=(0, (2, 2)), zorder=6)
    low, high = sorted(axes.get_ylim())
    line = 1.3 if slots.steps < THICK else 0.6
    around = {"fill": False, "edgecolor": PATH, "linewidth": line, "clip_on": False, "zorder": 5}
    axes.add_patch(Rectangle((step - 0.5, low), 1, high - low, **around))


def draw_notes(sheet: Sheet, slots: Slots, step: int, top: float) -> None:
    bar = sheet.axes(MARGIN + LABELS + 0.15, top + 0.12, 0.9, 0.1)
    bar.imshow(np.linspace(0, 1, 64)[None], cmap="cividis", vmin=0, vmax=1, aspect="auto")
    bar.set_yticks([])
    bar.set_xticks([])
    sheet.text(MARGIN + LABELS, top + 0.24, "0")
    sheet.text(MARGIN + LABELS + 1.12, top + 0.24, "1  weight")
    notes = [f"orange: {slots.describe(step)}"]
    if slots.left_out():
        notes.append(slots.left_out())
    if slots.memory is not None:
        notes.append("memory: zero is grey, the largest number of all steps white, or black if below zero")
    sheet.text(MARGIN + LABELS + 1.9, top + 0.24, notes[0], colour=PATH)
    for line, note in enumerate(notes[1:], start=1):
        sheet.text(MARGIN + LABELS, top + 0.24 + line * NOTE, note)
