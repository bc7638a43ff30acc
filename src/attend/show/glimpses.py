"""Glimpses at an image: the path over it, the patch seen at each step, and the classes' probabilities after it.

Drawn from any trace that has `Windows` in a picture. Where a step has several windows, each has half the resolution of
the one before, as in a retina. For a filter bank, with one window a step, the image under its grid is shown at full
resolution.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attend.attention.trace import Picture, Trace, Windows
from attend.show.figure import FAINT, INK, SMALL, blank, finish
from attend.show.moving import frame, write_gif
from attend.show.pictures import NOW, PATH, bare
from attend.show.pixels import Pixels, pixels
from attend.show.reading import predictions
from attend.show.words import shorten_apart, visible

MOST_CLASSES = 10
NUMBER = 0.06
"""Width of a step's number, as a share of the picture: numbers of closer steps are merged into one label."""
MOST_CELLS = 256
"""Maximum rows and columns of a drawn window: a filter bank's can be far larger than the picture."""


def pictured_windows(trace: Trace) -> str | None:
    """The name of the first look that has windows in a picture, if there is one."""
    for name, look in trace.looks.items():
        if isinstance(look, Windows) and len(look.scale) and isinstance(trace.media_of(name), Picture):
            return name
    return None


def taken(trace: Trace) -> tuple[Pixels, Windows, int]:
    """The picture, the windows in it, and how many of them a step has. Raises `ValueError` if there are none."""
    name = pictured_windows(trace)
    if name is None:
        raise ValueError("the trace has no windows in a picture")
    look, picture = trace.looks[name], trace.media_of(name)
    assert isinstance(look, Windows)
    assert isinstance(picture, Picture)
    return pixels(picture.uri), look, trace.windows_each_step(name)


def scan_path(trace: Trace, path: Path | None = None) -> Figure:
    """The picture with the numbered path; for each step its patches, a row a scale, and the classes' probabilities.

    Written to `path` (.png or .svg) if given. Raises `ValueError` for a trace without a picture or without windows.
    """
    picture, look, scales = taken(trace)
    steps = len(look.scale) // scales
    found = predictions(trace)
    classes = min(len(found[0]), MOST_CLASSES) if found else 0
    patches, names = 0.85 * scales, 0.17 * classes + 0.3
    figure = blank(3.2 + 0.85 * steps, max(3.0, patches + (names + 0.2 if found else 0)))
    columns = figure.add_gridspec(1, 2, width_ratios=(3.0, 0.85 * steps), wspace=0.06)
    draw_path(figure.add_subplot(columns[0]), picture, look, scales, steps)
    heights = [0.85] * scales + ([names] if found else [])
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
    if found:
        draw_predictions(figure.add_subplot(rows[scales, :]), found)
    return finish(figure, path)


def scan_animation(trace: Trace, path: Path) -> None:
    """The same step by step, as a GIF that repeats. Errors are those of `scan_path`."""
    picture, look, scales = taken(trace)
    steps = len(look.scale) // scales
    found = predictions(trace)
    frames = []
    for step in range(1, steps + 1):
        figure = frame(3.2, 4.0 if found else 3.2)
        rows = figure.add_gridspec(2 if found else 1, 1, height_ratios=(3.0, 1.0) if found else (1.0,))
        draw_path(figure.add_subplot(rows[0]), picture, look, scales, step)
        if found:
            # A fixed layout, with room for this many columns of names: only the path changes.
            axes = figure.add_axes((0.4, 0.06, 0.55, 0.2))
            labels, chances = zip(*found[step - 1][:3], strict=True)
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


def draw_path(axes: Axes, picture: Pixels, look: Windows, scales: int, steps: int) -> None:
    """The picture with the path of the first steps: the finest window of each, and all scales of the last one."""
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
    """The steps in groups: each step joins the first group whose first place is nearer than `distance`."""
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


def draw_predictions(axes: Axes, found: list[list[tuple[str, float]]]) -> None:
    """A row a class, sorted by final probability, and a column a step; a dot at each step's most probable class."""
    order = [label for label, _ in found[-1][:MOST_CLASSES]]
    chances = np.array([[dict(step).get(label, 0.0) for step in found] for label in order])
    axes.imshow(chances, cmap="cividis", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for step in range(len(found)):
        row = int(chances[:, step].argmax())
        colour = "#000000" if chances[row, step] > 0.5 else "#ffffff"
        axes.plot(step, row, "o", color=colour, markersize=3)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    named = shorten_apart([visible(label) for label in order], 24)
    axes.set_yticks(range(len(order)), named, fontsize=SMALL, color=INK)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def seen(picture: Pixels, look: Windows, number: int, coarser: int) -> Float[np.ndarray, "cells cells_across 3"]:
    """The image in a window, from 0 to 1: means over cells of `coarser` pixels, black outside the picture."""
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
