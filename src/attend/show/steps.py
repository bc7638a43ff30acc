"""A picture for each step with the windows of that step: DRAW's canvas, or video frames.

Drawn from any trace that has pictures of each step (`PictureEachStep`).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attend.attention.trace import Picture, PictureEachStep, Trace, Windows
from attend.show.figure import COLOURS, INK, SMALL, blank, finish
from attend.show.moving import frame, write_gif
from attend.show.pictures import NOW, PATH, bare
from attend.show.pixels import Pixels, pixels
from attend.show.words import shorten, visible

ACROSS = 8
PANEL = 1.2
FURTHEST = 1.5


@dataclass(frozen=True)
class Steps:
    """The pictures of each step, their windows by look, and the input's picture if there is one.

    `owner` is the look, or "output", that the pictures belong to. `input_looks` lie in the input's picture too.
    """

    owner: str
    pictures: list[Pixels]
    looks: Mapping[str, Windows]
    given: Pixels | None

    @property
    def input_looks(self) -> dict[str, Windows]:
        return {name: look for name, look in self.looks.items() if name != self.owner}

    def windows(self, name: str, step: int) -> Iterator[tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]]]:
        """Centre and extent of a look's windows at a step: several for a retina of several scales."""
        look = self.looks[name]
        each = len(look.scale) // len(self.pictures)
        for row in range(step * each, (step + 1) * each):
            yield look.centre[row], look.extent[row]

    @property
    def colours(self) -> dict[str, str]:
        others = iter((NOW, *COLOURS[2:]))
        return {name: PATH if name == self.owner else next(others, INK) for name in self.looks}


def steps_of(trace: Trace) -> Steps:
    """The trace's pictures and windows of each step. Raises `ValueError` if it has no pictures of each step."""
    for owner, media in trace.media.items():
        if isinstance(media, PictureEachStep):
            count, given = len(media.uris), trace.media.get("input")
            looks = {
                name: look
                for name, look in trace.looks.items()
                if isinstance(look, Windows) and len(look.scale) and len(look.scale) % count == 0
            }
            shown = pixels(given.uri) if isinstance(given, Picture) else None
            return Steps(owner, [pixels(uri) for uri in media.uris], looks, shown)
    raise ValueError("the trace has no pictures of each step")


def step_panels(trace: Trace, path: Path | None = None) -> Figure:
    """A panel for each step with its windows, after the input's picture if there is one.

    Written to `path` (.png or .svg) if given. Raises `ValueError` for a trace without pictures of each step.
    """
    steps = steps_of(trace)
    panels = len(steps.pictures) + (steps.given is not None)
    across, lines = min(ACROSS, panels), math.ceil(panels / ACROSS)
    figure = blank(PANEL * across, (PANEL + 0.2) * lines + 0.25)
    grid, reach = figure.add_gridspec(lines, across, hspace=0.22, wspace=0.06), reach_of(steps.looks)
    first = 0
    if steps.given is not None:
        show(figure.add_subplot(grid[0, 0]), steps.given, "input", reach)
        first = 1
    for step, picture in enumerate(steps.pictures):
        axes = figure.add_subplot(grid[(first + step) // across, (first + step) % across])
        show(axes, picture, str(step + 1), reach)
        outline(axes, steps, steps.looks, step, reach)
    explain(figure, steps)
    return finish(figure, path)


def step_animation(trace: Trace, path: Path) -> None:
    """The pictures step by step, next to the input's, as a GIF. Errors are those of `step_panels`."""
    steps = steps_of(trace)
    frames, reach = [], reach_of(steps.looks)
    for step, picture in enumerate(steps.pictures):
        figure = frame(3.0 if steps.given is None else 5.8, 3.3)
        figure.subplots_adjust(left=0.02, right=0.98, top=0.93, bottom=0.1, wspace=0.04)
        panels = figure.subplots(1, 1 if steps.given is None else 2, squeeze=False)[0]
        if steps.given is not None:
            show(panels[0], steps.given, "input", reach)
            outline(panels[0], steps, steps.input_looks, step, reach)
        show(panels[-1], picture, f"step {step + 1} of {len(steps.pictures)}", reach)
        outline(panels[-1], steps, steps.looks, step, reach)
        explain(figure, steps)
        frames.append(figure)
    write_gif(frames, path)


def reach_of(looks: Mapping[str, Windows]) -> float:
    """How far around the image to show, in half images; windows that reach further are cut there."""
    edges = [np.abs(look.centre) + look.extent / 2 for look in looks.values()]
    return float(np.clip(max((edge.max() for edge in edges), default=1.0), 1.0, FURTHEST))


def show(axes: Axes, picture: Pixels, title: str, reach: float) -> None:
    """A picture with the margin that windows need."""
    axes.imshow(picture, extent=(-1, 1, 1, -1), interpolation="nearest")
    axes.set_title(title, fontsize=SMALL, color=INK, pad=3)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(reach, -reach)
    axes.set_aspect(picture.shape[0] / picture.shape[1])
    bare(axes)


def outline(axes: Axes, steps: Steps, looks: Mapping[str, Windows], step: int, reach: float) -> None:
    """The windows of a step; those cut at the same edge are drawn a little inside one another."""
    for inside, name in enumerate(looks):
        most = reach - 0.03 * (inside + 1)
        for centre, extent in steps.windows(name, step):
            low, high = np.clip(centre - extent / 2, -most, most), np.clip(centre + extent / 2, -most, most)
            colour = steps.colours[name]
            axes.add_patch(Rectangle((low[0], low[1]), *(high - low), fill=False, edgecolor=colour, linewidth=1.2))


def explain(figure: Figure, steps: Steps) -> None:
    """The legend."""
    boxes = [Rectangle((0, 0), 1, 1, fill=False, edgecolor=colour, linewidth=1.2) for colour in steps.colours.values()]
    if boxes:
        names = [shorten(visible(name), 20) for name in steps.looks]
        figure.legend(boxes, names, loc="lower center", ncols=2, frameon=False, fontsize=SMALL, labelcolor=INK)
