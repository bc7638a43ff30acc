"""Where a model looked in a picture's cells as it wrote each word: the weights over the picture, a panel a word."""

import math
import textwrap
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attend.attention.trace import Grid, Tokens, Trace, Weights
from attend.show.figure import INK, MEDIUM, SMALL, blank, finish
from attend.show.glimpses import PATH, bare, picture_of
from attend.show.moving import frame, write_gif
from attend.show.words import shorten, visible

ACROSS = 6
PANEL = 1.5
GAP = 0.35
# Characters of a line of what is written below a moving picture.
LINE = 44


def grid_look(trace: Trace) -> Weights | None:
    """The trace's look at the cells of a picture, if it has one."""
    looks = (look for look in trace.looks.values() if isinstance(look, Weights) and isinstance(look.memory, Grid))
    return next(looks, None)


def word_maps(trace: Trace, path: Path | None = None) -> Figure:
    """The picture, and for each word what it was bright with: above the cells' own weights, below the same smoothed.

    A choice of one cell (hard attention), by this look or by another of the trace, is outlined. Written to `path` (.png
    or .svg) if given. Raises `ValueError` for a trace without weights over a picture's cells.
    """
    picture, look = taken(trace)
    chosen, labels = chosen_cells(trace), look.steps.labels()
    lines = math.ceil(len(labels) / ACROSS)
    height = PANEL * float(np.clip(picture.shape[0] / picture.shape[1], 1 / 4, 4))
    figure = blank(PANEL * ACROSS, (2 * height + GAP) * lines)
    # A word stands close to its own two panels, and apart from those above.
    grid = figure.add_gridspec(lines, ACROSS, hspace=GAP / (2 * height), wspace=0.06)
    for step, label in enumerate(labels):
        pair = grid[step // ACROSS, step % ACROSS].subgridspec(2, 1, hspace=0.06)
        for part in (0, 1):
            axes = figure.add_subplot(pair[part])
            overlay(axes, picture, look, step, chosen, smoothed=part == 1)
            if part == 0:
                axes.set_title(shorten(visible(label), 18), fontsize=SMALL, color=INK, pad=3)
            if step % ACROSS == 0:
                named = ("cells", "smoothed")[part]
                axes.set_ylabel(named, fontsize=SMALL, color=INK, rotation=0, ha="right", va="center")
    return finish(figure, path)


def word_animation(trace: Trace, path: Path) -> None:
    """The same word by word, over the cells' own weights, as a GIF. Errors are those of `word_maps`."""
    picture, look = taken(trace)
    chosen, labels = chosen_cells(trace), [visible(label) for label in look.steps.labels()]
    # The end of a caption is a step, and no word of it.
    ended = isinstance(look.steps, Tokens) and look.steps.tokens[-1].start is None
    words = labels[:-1] if ended else labels
    frames = []
    for step, label in enumerate(labels):
        figure = frame(3.4, 4.0)
        axes = figure.add_subplot()
        overlay(axes, picture, look, step, chosen, smoothed=False)
        axes.set_title(shorten(label, 36), fontsize=MEDIUM, color=PATH, pad=5)
        written = textwrap.fill(" ".join(words[: step + 1]), LINE)
        figure.text(0.5, 0.02, written, fontsize=SMALL, color=INK, ha="center", va="bottom")
        frames.append(figure)
    write_gif(frames, path)


def taken(trace: Trace) -> tuple[UInt8[np.ndarray, "rows columns 3"], Weights]:
    """The picture, or where the model was given features of one a white one, and the weights over its cells."""
    look = grid_look(trace)
    if look is None or not isinstance(look.memory, Grid):
        raise ValueError("the trace has no weights over the cells of its picture")
    if trace.picture is None:
        return np.full((look.memory.rows, look.memory.columns, 3), 255, dtype=np.uint8), look
    return picture_of(trace), look


def chosen_cells(trace: Trace) -> Int[np.ndarray, "step"] | None:
    """The cell that each step chose, where a look says that one was."""
    for look in trace.looks.values():
        if isinstance(look, Weights) and isinstance(look.memory, Grid) and look.hard:
            return look.weights.argmax(axis=1)
    return None


def overlay(
    axes: Axes,
    picture: UInt8[np.ndarray, "rows columns 3"],
    look: Weights,
    step: int,
    chosen: Int[np.ndarray, "step"] | None,
    smoothed: bool,
) -> None:
    """The picture, shining through where a step's weights are: what was not looked at is dark."""
    assert isinstance(look.memory, Grid)
    rows, columns = look.memory.rows, look.memory.columns
    weights = look.weights[step].reshape(rows, columns)
    place = (-0.5, picture.shape[1] - 0.5, picture.shape[0] - 0.5, -0.5)
    dark = np.zeros((rows, columns, 4))
    dark[..., 3] = 0.85 * (1 - weights / max(weights.max(), 1e-9))
    axes.imshow(picture)
    axes.imshow(dark, extent=place, interpolation="bicubic" if smoothed else "nearest")
    if chosen is not None and not smoothed:
        row, column = divmod(int(chosen[step]), columns)
        height, width = picture.shape[0] / rows, picture.shape[1] / columns
        corner = (column * width - 0.5, row * height - 0.5)
        axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=PATH, linewidth=1.5))
    axes.set_xlim(place[:2])
    axes.set_ylim(place[2:])
    bare(axes)
