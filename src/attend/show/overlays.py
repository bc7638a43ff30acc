"""Weights over the cells of an image, for each word of a caption: the image, darkened where the weights are small."""

import math
import textwrap
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attend.attention.trace import Grid, Picture, PictureEachStep, Tokens, Trace, Weights
from attend.show.figure import INK, MEDIUM, SMALL, blank, finish
from attend.show.moving import frame, write_gif
from attend.show.pictures import PATH, bare
from attend.show.pixels import Pixels, pixels
from attend.show.words import shorten, visible

ACROSS = 6
PANEL = 1.5
GAP = 0.35
# Characters per line of the caption below an animation.
LINE = 44


def grid_looks(trace: Trace) -> dict[str, Weights]:
    """The looks over grids that have steps: the soft ones or, without any, the hard ones (`chosen_cells`)."""
    looks = {
        name: look
        for name, look in trace.looks.items()
        if isinstance(look, Weights) and isinstance(look.memory, Grid) and len(look.steps)
    }
    return {name: look for name, look in looks.items() if not look.hard} or looks


def word_maps(trace: Trace, path: Path | None = None) -> Figure:
    """Two panels for each word: the image under the weights of its cells, and under the same weights smoothed.

    A sampled cell (hard attention), in this look or another of the trace, is outlined. Several looks are stacked, with
    their names. Written to `path` (.png or .svg) if given. Raises `ValueError` for a trace without weights over a grid.
    """
    looks = taken(trace)
    lines = sum(math.ceil(len(look.steps) / ACROSS) for _, look in looks.values())
    shapes = [pictures[0].shape for pictures, _ in looks.values()]
    height = PANEL * max(float(np.clip(rows / columns, 1 / 4, 4)) for rows, columns, _ in shapes)
    figure = blank(PANEL * ACROSS, (2 * height + GAP) * lines)
    # A word is close to its own two panels, and apart from those above.
    grid = figure.add_gridspec(lines, ACROSS, hspace=GAP / (2 * height), wspace=0.06)
    first = 0
    for name, (pictures, look) in looks.items():
        chosen, labels = chosen_cells(trace, look), look.steps.labels()
        for step, label in enumerate(labels):
            pair = grid[first + step // ACROSS, step % ACROSS].subgridspec(2, 1, hspace=0.06)
            for part in (0, 1):
                axes = figure.add_subplot(pair[part])
                overlay(axes, pictures[step], look, step, chosen, smoothed=part == 1)
                if part == 0:
                    axes.set_title(shorten(visible(label), 18), fontsize=SMALL, color=INK, pad=3)
                if step % ACROSS == 0:
                    named = ("cells", "smoothed")[part]
                    if len(looks) > 1:
                        named = f"{shorten(visible(name), 18)}\n{named}"
                    axes.set_ylabel(named, fontsize=SMALL, color=INK, rotation=0, ha="right", va="center")
        first += math.ceil(len(labels) / ACROSS)
    return finish(figure, path)


def word_animation(trace: Trace, path: Path) -> None:
    """The words one after the other, over the cells' own weights, as a GIF. Errors are those of `word_maps`."""
    looks = taken(trace)
    most = max(len(look.steps) for _, look in looks.values())
    # The look with most steps gives the words; a look with fewer stays at its last one.
    longest = next(look for _, look in looks.values() if len(look.steps) == most)
    labels = [visible(label) for label in longest.steps.labels()]
    # The end of a caption is a step, but not a word.
    ended = isinstance(longest.steps, Tokens) and longest.steps.tokens[-1].start is None
    words = labels[:-1] if ended else labels
    frames = []
    for step, label in enumerate(labels):
        figure = frame(3.4 * len(looks), 4.0)
        panels = figure.subplots(1, len(looks), squeeze=False)[0]
        for axes, (name, (pictures, look)) in zip(panels, looks.items(), strict=True):
            at = min(step, len(look.steps) - 1)
            overlay(axes, pictures[at], look, at, chosen_cells(trace, look), smoothed=False)
            title = label if len(looks) == 1 else f"{visible(name)}: {label}"
            axes.set_title(shorten(title, 36), fontsize=MEDIUM, color=PATH, pad=5)
        written = textwrap.fill(" ".join(words[: step + 1]), LINE * len(looks))
        figure.text(0.5, 0.02, written, fontsize=SMALL, color=INK, ha="center", va="bottom")
        frames.append(figure)
    write_gif(frames, path)


def taken(trace: Trace) -> Mapping[str, tuple[list[Pixels], Weights]]:
    """The looks over grids by name, with a picture for each step: white where the input is only features."""
    looks = grid_looks(trace)
    if not looks:
        raise ValueError("the trace has no weights over the cells of a picture")
    return {name: (behind(trace, name, look), look) for name, look in looks.items()}


def behind(trace: Trace, name: str, look: Weights) -> list[Pixels]:
    assert isinstance(look.memory, Grid)
    match trace.media_of(name):
        case PictureEachStep(uris):
            return [pixels(uri) for uri in uris]
        case Picture(uri):
            shared = pixels(uri)
        case _:
            shared = np.full((look.memory.rows, look.memory.columns, 3), 255, dtype=np.uint8)
    return [shared] * len(look.steps)


def chosen_cells(trace: Trace, look: Weights) -> Int[np.ndarray, "step"] | None:
    """The sampled cell at each step, of this look or of a hard one over the same steps and cells."""
    for other in (look, *trace.looks.values()):
        if isinstance(other, Weights) and other.hard and (other.steps, other.memory) == (look.steps, look.memory):
            return other.weights.argmax(axis=1)
    return None


def overlay(
    axes: Axes,
    picture: Pixels,
    look: Weights,
    step: int,
    chosen: Int[np.ndarray, "step"] | None,
    smoothed: bool,
) -> None:
    """The picture at a step: the smaller a cell's weight, the darker it is."""
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
