"""How a picture was drawn: the canvas after each step, with the windows that the step wrote and read through.

Drawn from the canvases and `Windows` looks alone: whatever draws step by step can be shown.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attend.attention.trace import Windows
from attend.show.figure import INK, SMALL, blank, finish
from attend.show.glimpses import NOW, PATH, bare
from attend.show.moving import frame, write_gif

ACROSS = 8
PANEL = 1.2
FURTHEST = 1.5
COLOURS = {"write": PATH, "read": NOW}

Picture = UInt8[np.ndarray, "rows columns *channel"]


def canvas_steps(
    canvases: Sequence[Picture],
    looks: Mapping[str, Windows],
    given: Picture | None = None,
    path: Path | None = None,
) -> Figure:
    """A panel a step, after the given picture if there is one. Written to `path` (.png or .svg) if given.

    A look has a window for each canvas. Raises `ValueError` without canvases, and for another suffix.
    """
    if not canvases:
        raise ValueError("there is no canvas to show")
    panels = len(canvases) + (given is not None)
    across, lines = min(ACROSS, panels), math.ceil(panels / ACROSS)
    figure = blank(PANEL * across, (PANEL + 0.2) * lines + 0.25)
    grid, reach = figure.add_gridspec(lines, across, hspace=0.22, wspace=0.06), reach_of(looks)
    for panel in range(panels):
        axes = figure.add_subplot(grid[panel // across, panel % across])
        step = panel - (given is not None)
        if given is not None and step < 0:
            show(axes, given, "given", reach)
        else:
            show(axes, canvases[step], str(step + 1), reach, looks, step)
    explain(figure, looks)
    return finish(figure, path)


def canvas_animation(
    canvases: Sequence[Picture], looks: Mapping[str, Windows], path: Path, given: Picture | None = None
) -> None:
    """The canvas step by step, beside the given picture, as a GIF. Errors are those of `canvas_steps`."""
    if not canvases:
        raise ValueError("there is no canvas to show")
    frames, reach = [], reach_of(looks)
    for step, canvas in enumerate(canvases):
        figure = frame(3.0 if given is None else 5.8, 3.3)
        figure.subplots_adjust(left=0.02, right=0.98, top=0.93, bottom=0.1, wspace=0.04)
        panels = figure.subplots(1, 1 if given is None else 2, squeeze=False)[0]
        if given is not None:
            # Where it reads is in the picture.
            show(panels[0], given, "given", reach, {name: look for name, look in looks.items() if name == "read"}, step)
        show(panels[-1], canvas, f"step {step + 1} of {len(canvases)}", reach, looks, step)
        explain(figure, looks)
        frames.append(figure)
    write_gif(frames, path)


def reach_of(looks: Mapping[str, Windows]) -> float:
    """How far to show, in half images: windows may lie over the image's edge. Those that go on further end there."""
    edges = [np.abs(look.centre) + look.extent / 2 for look in looks.values()]
    return float(np.clip(max((edge.max() for edge in edges), default=1.0), 1.0, FURTHEST))


def show(
    axes: Axes, picture: Picture, title: str, reach: float, looks: Mapping[str, Windows] | None = None, step: int = 0
) -> None:
    """A picture, and the windows of a step in it."""
    axes.imshow(picture, extent=(-1, 1, 1, -1), interpolation="nearest", cmap="gray", vmin=0, vmax=255)
    # Two windows that end at the same edge are both to be seen.
    for inside, (name, look) in enumerate((looks or {}).items()):
        most = reach - 0.03 * (inside + 1)
        low = np.clip(look.centre[step] - look.extent[step] / 2, -most, most)
        high = np.clip(look.centre[step] + look.extent[step] / 2, -most, most)
        colour = COLOURS.get(name, PATH)
        axes.add_patch(Rectangle((low[0], low[1]), *(high - low), fill=False, edgecolor=colour, linewidth=1.2))
    axes.set_title(title, fontsize=SMALL, color=INK, pad=3)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(reach, -reach)
    axes.set_aspect(picture.shape[0] / picture.shape[1])
    bare(axes)


def explain(figure: Figure, looks: Mapping[str, Windows]) -> None:
    """What the colours mean."""
    boxes = [Rectangle((0, 0), 1, 1, fill=False, edgecolor=COLOURS.get(name, PATH), linewidth=1.2) for name in looks]
    if boxes:
        figure.legend(boxes, list(looks), loc="lower center", ncols=2, frameon=False, fontsize=SMALL, labelcolor=INK)
