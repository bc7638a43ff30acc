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
# Inches.
LARGEST, SMALLEST, WIDE = 0.17, 0.05, 13.0
LABELS, TITLE, STAGES, NOTES = 0.4, 0.3, 0.55, 0.75
STRIP, GAP, MARGIN = 0.17, 0.1, 0.2
# Steps and slots have numbers at least so far apart, in inches.
APART = 0.17


def slot_maps(trace: Trace, path: Path | None = None, step: int | None = None) -> Figure:
    """The maps, with the stages of a step (counted from 0; the first of the output by default) and the memory after it.

    Written to `path` (.png or .svg) if given. Raises `ValueError` for a trace without heads over slots.
    """
    slots = taken(trace)
    return finish(drawn(slots, slots.answered if step is None else step), path)


def slot_animation(trace: Trace, path: Path) -> None:
    """The same step by step, as a GIF; what is still to come is pale."""
    slots, frames = taken(trace), []
    for step in range(slots.steps):
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
    staged = [head for head in slots.kinds[0] if head.stages]
    strips = GAP + STRIP * len(staged[0].strips(0)) if staged else 0.0
    inside = slots.memory.shape[2] if slots.memory is not None else 0
    rows, kinds = len(slots.labels), len(slots.kinds)
    cell = float(np.clip(WIDE / (kinds * slots.steps + inside), SMALLEST, LARGEST))
    # One kind has both rows of bits above it; of two each has its own.
    given, answered = slots.input.shape[1] * cell, slots.output.shape[1] * cell
    bits = max(given, answered, STAGES) if kinds > 1 else given + answered + TITLE
    block = LABELS + slots.steps * cell + strips + GAP
    pairs = list(slots.pairs())
    width = MARGIN + kinds * block + (LABELS + inside * cell if inside else 0) + MARGIN
    height = TITLE + bits + len(pairs) * (TITLE + rows * cell + TITLE) + NOTES
    sheet = Sheet(max(width, 4.2), height)
    for place, heads in enumerate(pairs):
        top = TITLE + bits + TITLE + place * (2 * TITLE + rows * cell)
        for kind, head in enumerate(heads):
            left = MARGIN + LABELS + kind * block
            if place == 0:
                above = {"input": slots.input, "output": slots.output}
                if kinds > 1:
                    above = dict([list(above.items())[min(kind, 1)]]) if kind < 2 else {}
                draw_vectors(sheet, slots, above, step, (left, top - TITLE), cell)
            axes = sheet.axes(left, top, slots.steps * cell, rows * cell)
            draw_map(axes, slots, head, step, cell)
            axes.set_title(label_of(head.name), loc="left", fontsize=MEDIUM, color=INK, pad=4)
            if head.stages:
                draw_stages(sheet, slots, head, step, (left + slots.steps * cell + GAP, top), cell)
    top = TITLE + bits + TITLE
    if slots.memory is not None:
        left = MARGIN + kinds * block + LABELS
        axes = sheet.axes(left, top, inside * cell, len(slots.shown) * cell)
        axes.imshow(
            slots.memory[step][slots.shown], cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest"
        )
        name_slots(axes, slots.labels[: len(slots.shown)], cell)
        axes.set_xticks([])
        axes.set_title("memory after it", loc="left", fontsize=MEDIUM, color=PATH, pad=4)
    draw_notes(sheet, slots, step, height - NOTES)
    return sheet.figure


def draw_vectors(
    sheet: Sheet,
    slots: Slots,
    vectors: Mapping[str, Float[np.ndarray, "step size"]],
    step: int,
    corner: tuple[float, float],
    cell: float,
) -> None:
    """Rows of bits over the steps, upwards from `corner`, the last at the bottom."""
    left, bottom = corner
    for name, rows in reversed(list(vectors.items())):
        size = rows.shape[1]
        axes = sheet.axes(left, bottom - size * cell, slots.steps * cell, size * cell)
        low, high = min(0.0, float(np.nanmin(rows))), max(1.0, float(np.nanmax(rows)))
        axes.imshow(rows.T, cmap=BITS, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
        lines(axes, rows.T.shape, "white", 0.5 if cell > 0.08 else 0.2)
        timed(axes, slots, step, INK)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(name, loc="left", fontsize=MEDIUM, color=INK, pad=3)
        bottom -= size * cell + TITLE


def draw_map(axes: Axes, slots: Slots, head: Head, step: int, cell: float) -> None:
    """The head's weights: slots by steps."""
    axes.imshow(slots.rows(head.weights).T, cmap="cividis", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    name_slots(axes, slots.labels, cell)
    part(axes, slots)
    timed(axes, slots, step, FAINT)
    every = next(count for count in (1, 2, 5, 10, 20, 50, 100, 200, 500, slots.steps) if count * cell >= 1.6 * APART)
    numbers = [number for number in range(1, slots.steps + 1) if number == 1 or number % every == 0]
    axes.set_xticks([number - 1 for number in numbers], [str(number) for number in numbers])


def draw_stages(sheet: Sheet, slots: Slots, head: Head, step: int, corner: tuple[float, float], cell: float) -> None:
    """How the head's weights at the step came about: a strip for each stage, beside the map's slots."""
    strips = head.strips(step)
    rows = slots.rows(np.stack(list(strips.values()))).T
    axes = sheet.axes(*corner, STRIP * len(strips), len(rows) * cell)
    axes.imshow(rows, cmap="cividis", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for place in range(1, len(strips)):
        axes.axvline(place - 0.5, color="white", linewidth=1.5)
    part(axes, slots)
    axes.set_yticks([])
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(strips)), list(strips), rotation=90, color=PATH)


def name_slots(axes: Axes, labels: Sequence[str], cell: float) -> None:
    every = max(1, int(np.ceil(APART * 0.75 / cell)))
    # "other" stands apart from the slots' numbers.
    places = [place for place in range(len(labels)) if place % every == 0 or labels[place] == "other"]
    if len(places) > 1 and labels[-1] == "other" and places[-1] - places[-2] < every:
        del places[-2]
    axes.set_yticks(places, [label_of(labels[place]) for place in places])


def part(axes: Axes, slots: Slots) -> None:
    """White lines where slots are left out."""
    for row in slots.gaps:
        axes.axhline(row - 0.5, color="white", linewidth=1)
    if slots.labels[-1] == "other":
        axes.axhline(len(slots.shown) - 0.5, color="white", linewidth=2)


def lines(axes: Axes, shape: tuple[int, ...], colour: str, width: float) -> None:
    for row in range(1, shape[0]):
        axes.axhline(row - 0.5, color=colour, linewidth=width)
    for column in range(1, shape[1]):
        axes.axvline(column - 0.5, color=colour, linewidth=width)


def timed(axes: Axes, slots: Slots, step: int, colour: str) -> None:
    """The beginning of the output, and the step that is shown in full."""
    axes.set_gid("time")
    if slots.answered:
        axes.axvline(slots.answered - 0.5, color=colour, linewidth=1, linestyle=(0, (2, 2)))
    low, high = sorted(axes.get_ylim())
    here = Rectangle(
        (step - 0.5, low), 1, high - low, fill=False, edgecolor=PATH, linewidth=1.3, clip_on=False, zorder=5
    )
    axes.add_patch(here)


def draw_notes(sheet: Sheet, slots: Slots, step: int, top: float) -> None:
    bar = sheet.axes(MARGIN + LABELS + 0.15, top + 0.12, 0.9, 0.1)
    bar.imshow(np.linspace(0, 1, 64)[None], cmap="cividis", vmin=0, vmax=1, aspect="auto")
    bar.set_yticks([])
    bar.set_xticks([])
    sheet.text(MARGIN + LABELS, top + 0.24, "0")
    sheet.text(MARGIN + LABELS + 1.12, top + 0.24, "1  weight")
    sheet.text(MARGIN + LABELS + 1.9, top + 0.24, f"outlined: {slots.describe(step)}", colour=PATH)
    if slots.left_out():
        sheet.text(MARGIN + LABELS, top + 0.44, slots.left_out())
    if slots.memory is not None:
        note = "memory: zero is grey, the largest number of all steps white, or black if below zero"
        sheet.text(MARGIN + LABELS, top + 0.62, note)
