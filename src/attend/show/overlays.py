"""Where a model looked in a picture's cells as it wrote each word: the weights over the picture, a panel a word."""

import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attend.attention.trace import Grid, Trace, Weights
from attend.show.figure import INK, SMALL, blank, finish
from attend.show.glimpses import PATH, bare, picture_of
from attend.show.words import visible

ACROSS = 6
PANEL = 1.5


def grid_look(trace: Trace) -> Weights | None:
    """The trace's look at the cells of a picture, if it has one."""
    looks = (look for look in trace.looks.values() if isinstance(look, Weights) and isinstance(look.memory, Grid))
    return next(looks, None)


def word_maps(trace: Trace, path: Path | None = None) -> Figure:
    """The picture, and for each word what it was bright with: above the cells' own weights, below the same smoothed.

    A choice of one cell (hard attention) is outlined. Written to `path` (.png or .svg) if given. Raises `ValueError`
    for a trace without a picture, or without weights over its cells.
    """
    picture, look = picture_of(trace), grid_look(trace)
    if look is None or not isinstance(look.memory, Grid):
        raise ValueError("the trace has no weights over the cells of its picture")
    rows, columns = look.memory.rows, look.memory.columns
    labels = look.steps.labels()
    lines = math.ceil(len(labels) / ACROSS)
    figure = blank(PANEL * ACROSS, (2 * PANEL + 0.3) * lines)
    grid = figure.add_gridspec(2 * lines, ACROSS, hspace=0.06, wspace=0.06)
    place = (-0.5, picture.shape[1] - 0.5, picture.shape[0] - 0.5, -0.5)
    for step, label in enumerate(labels):
        weights = look.weights[step].reshape(rows, columns)
        for part, smoothing in enumerate(("nearest", "bicubic")):
            axes = figure.add_subplot(grid[2 * (step // ACROSS) + part, step % ACROSS])
            axes.imshow(picture)
            # What was not looked at is dark: the picture shines through where the weights are.
            dark = np.zeros((rows, columns, 4))
            dark[..., 3] = 0.85 * (1 - weights / max(weights.max(), 1e-9))
            axes.imshow(dark, extent=place, interpolation=smoothing)
            if part == 0:
                axes.set_title(visible(label), fontsize=SMALL, color=INK, pad=3)
                if look.hard:
                    row, column = divmod(int(weights.argmax()), columns)
                    height, width = picture.shape[0] / rows, picture.shape[1] / columns
                    corner = (column * width - 0.5, row * height - 0.5)
                    axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=PATH, linewidth=1.5))
            if step % ACROSS == 0:
                axes.set_ylabel(("cells", "smoothed")[part], fontsize=SMALL, color=INK)
            axes.set_xlim(place[:2])
            axes.set_ylim(place[2:])
            bare(axes)
    return finish(figure, path)
