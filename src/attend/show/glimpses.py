"""Where a model looked in a picture, step by step: its path over the picture, what it saw there, what it then thought.

Drawn from traces with `Windows` alone: whatever looks at an image through windows can be shown. Of a step's windows
each is seen at half the resolution of the one before, as in a retina. Of a filter bank, which has one window a step, it
is shown what lies under its grid, and not how finely that was seen.
"""

import io
from base64 import b64decode
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from attend.attention.trace import Trace, Windows
from attend.show.figure import FAINT, INK, SMALL, blank, finish
from attend.show.moving import frame, write_gif
from attend.show.words import shorten_apart, visible

PATH, NOW = "#d55e00", "#56b4e9"
MOST_CLASSES = 10
NUMBER = 0.06
"""Width of a step's number, as a share of the picture: closer ones are written together."""
MOST_CELLS = 256
"""A window is drawn in at most so many rows and columns: a filter bank's can be far larger than the picture."""


def picture_of(trace: Trace) -> UInt8[np.ndarray, "rows columns 3"]:
    """The picture that a trace is about. Raises `ValueError` if it has none."""
    if trace.picture is None:
        raise ValueError("the trace has no picture to show the windows in")
    with Image.open(io.BytesIO(b64decode(trace.picture.split(",", 1)[1]))) as image:
        return np.asarray(image.convert("RGB"))


def windows_of(trace: Trace) -> tuple[Windows, int]:
    """The trace's look through windows, and how many of them belong to a step. Raises `ValueError` if there is none."""
    for look in trace.looks.values():
        if isinstance(look, Windows) and len(look.scale):
            steps = len(trace.alternatives) if trace.alternatives else len(look.scale)
            return look, max(1, len(look.scale) // steps)
    raise ValueError("the trace has no look through windows")


def scan_path(trace: Trace, path: Path | None = None) -> Figure:
    """The picture with the numbered path, and for each step what was seen, a row a scale, and what was thought.

    Written to `path` (.png or .svg) if given. Raises `ValueError` for a trace without a picture or without windows.
    """
    picture, (look, scales) = picture_of(trace), windows_of(trace)
    steps = len(look.scale) // scales
    thought = thoughts(trace)
    classes = min(len(thought[0]), MOST_CLASSES) if thought else 0
    patches, names = 0.85 * scales, 0.17 * classes + 0.3
    figure = blank(3.2 + 0.85 * steps, max(3.0, patches + (names + 0.2 if thought else 0)))
    columns = figure.add_gridspec(1, 2, width_ratios=(3.0, 0.85 * steps), wspace=0.06)
    draw_path(figure.add_subplot(columns[0]), picture, look, scales, steps)
    heights = [0.85] * scales + ([names] if thought else [])
    rows = columns[1].subgridspec(len(heights), steps, hspace=0.15, wspace=0.08, height_ratios=heights)
    for step in range(steps):
        for scale in range(scales):
            axes = figure.add_subplot(rows[scale, step])
            axes.imshow(seen(picture, look, step * scales + scale, 2**scale), interpolation="nearest")
            bare(axes)
            if scale == 0:
                axes.set_title(str(step + 1), fontsize=SMALL, color=INK, pad=2)
            if step == steps - 1 and scales > 1:
                axes.yaxis.set_label_position("right")
                axes.set_ylabel(f"x{2**scale}", fontsize=SMALL, color=INK, rotation=0, ha="left", va="center")
    if thought:
        draw_thoughts(figure.add_subplot(rows[scales, :]), thought)
    return finish(figure, path)


def animation(trace: Trace, path: Path) -> None:
    """The same step by step, as a GIF that begins anew. Errors are those of `scan_path`."""
    picture, (look, scales) = picture_of(trace), windows_of(trace)
    steps = len(look.scale) // scales
    thought = thoughts(trace)
    frames = []
    for step in range(1, steps + 1):
        figure = frame(3.2, 4.0 if thought else 3.2)
        rows = figure.add_gridspec(2 if thought else 1, 1, height_ratios=(3.0, 1.0) if thought else (1.0,))
        draw_path(figure.add_subplot(rows[0]), picture, look, scales, step)
        if thought:
            # At a fixed place, with room for names of so many columns: what moves is the path.
            axes = figure.add_axes((0.4, 0.06, 0.55, 0.2))
            labels, chances = zip(*thought[step - 1][:3], strict=True)
            axes.barh(range(len(labels)), chances, color=[PATH, *[FAINT] * (len(labels) - 1)])
            axes.set_xlim(0, 1)
            named = shorten_apart([visible(label) for label in labels], 14)
            axes.set_yticks(range(len(labels)), named, fontsize=SMALL, color=INK)
            axes.invert_yaxis()
            axes.set_xticks([])
            axes.spines[:].set_visible(False)
            axes.tick_params(length=0)
        frames.append(figure)
    write_gif(frames, path)


def thoughts(trace: Trace) -> list[list[tuple[str, float]]]:
    """For each step the classes with their probabilities, likeliest first; none where the trace does not say."""
    return [
        [(found.text, float(np.exp(found.log_prob))) for found in sorted(step, key=lambda found: -found.log_prob)]
        for step in trace.alternatives or ()
    ]


def draw_path(axes: Axes, picture: UInt8[np.ndarray, "rows columns 3"], look: Windows, scales: int, steps: int) -> None:
    """The picture with the windows of the first steps: the finest as boxes, the last in all its scales."""
    rows, columns = picture.shape[:2]
    axes.imshow(picture, interpolation="nearest")
    half = np.array([columns, rows]) / 2
    centres = (look.centre[::scales][:steps] + 1) * half - 0.5
    axes.plot(centres[:, 0], centres[:, 1], "-", color=PATH, linewidth=1, alpha=0.8)
    for number in range((steps - 1) * scales, steps * scales):
        box(axes, look, number, half, NOW, 1.2)
    for step in range(steps):
        box(axes, look, step * scales, half, PATH, 0.8)
    for those in near_one_another(centres, NUMBER * max(rows, columns)):
        x, y = centres[those[0]]
        axes.text(
            x,
            y,
            ", ".join(str(step + 1) for step in those),
            fontsize=SMALL,
            color="white",
            ha="center",
            va="center",
            bbox={
                "boxstyle": "circle,pad=0.15" if len(those) == 1 else "round,pad=0.2",
                "facecolor": PATH,
                "edgecolor": "none",
                "alpha": 0.9,
            },
        )
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    bare(axes)


def near_one_another(places: Float[np.ndarray, "step 2"], distance: float) -> list[list[int]]:
    """The steps, those together whose places lie within so much of the first of them."""
    found: list[list[int]] = []
    for step, place in enumerate(places):
        near = (those for those in found if np.abs(places[those[0]] - place).max() < distance)
        if (those := next(near, None)) is not None:
            those.append(step)
        else:
            found.append([step])
    return found


def box(axes: Axes, look: Windows, number: int, half: np.ndarray, colour: str, width: float) -> None:
    corner = (look.centre[number] - look.extent[number] / 2 + 1) * half - 0.5
    extent = look.extent[number] * half
    axes.add_patch(
        Rectangle((corner[0], corner[1]), extent[0], extent[1], fill=False, edgecolor=colour, linewidth=width)
    )


def draw_thoughts(axes: Axes, thought: list[list[tuple[str, float]]]) -> None:
    """A row a class, a column a step, those that were likely at the end first; a dot at each step's likeliest."""
    order = [label for label, _ in thought[-1][:MOST_CLASSES]]
    chances = np.array([[dict(step).get(label, 0.0) for step in thought] for label in order])
    axes.imshow(chances, cmap="cividis", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for step in range(len(thought)):
        row = int(chances[:, step].argmax())
        colour = "#000000" if chances[row, step] > 0.5 else "#ffffff"
        axes.plot(step, row, "o", color=colour, markersize=3)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    named = shorten_apart([visible(label) for label in order], 24)
    axes.set_yticks(range(len(order)), named, fontsize=SMALL, color=INK)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(FAINT)


def seen(
    picture: UInt8[np.ndarray, "rows columns 3"], look: Windows, number: int, coarser: int
) -> Float[np.ndarray, "cells cells_across 3"]:
    """What a window showed, brightness from 0 to 1: means over cells so many pixels wide, black outside the picture."""
    rows, columns = picture.shape[:2]
    extent = look.extent[number] * np.array([columns, rows]) / 2
    across, down = (min(max(1, round(float(length) / coarser)), MOST_CELLS) for length in extent)
    finer = 4 * coarser
    low = (look.centre[number] + 1) * np.array([columns, rows]) / 2 - extent / 2
    x, y = (
        np.floor(start + (np.arange(cells * finer) + 0.5) * length / (cells * finer)).astype(int)
        for start, cells, length in zip(low, (across, down), extent, strict=True)
    )
    inside = ((y >= 0) & (y < rows))[:, None] & ((x >= 0) & (x < columns))[None]
    found = picture[np.clip(y, 0, rows - 1)[:, None], np.clip(x, 0, columns - 1)[None]] / 255 * inside[..., None]
    return found.reshape(down, finer, across, finer, 3).mean(axis=(1, 3))
