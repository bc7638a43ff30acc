"""Figures of attention and of training, as PNG or SVG.

Text in an SVG stays text, shaped by the viewer's browser with its fonts. In a PNG matplotlib lays it out:
right-to-left scripts need matplotlib 3.11 or later, and characters need an installed font.
"""

import io
import math
import re
import unicodedata
import warnings
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import matplotlib
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from rich.cells import cell_len

from attend.atomic import write_atomically
from attend.attention.trace import Weights
from attend.show.words import shorten, visible

# Okabe and Ito's colours, distinguishable with common colour blindness, without yellow, which is invisible on white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
DASHES = ("-", "--", "-.", ":")
INK = "#333333"
FAINT = "#d9d9d9"
SMALL, MEDIUM = 8, 10

CELL_INCHES = 0.2
LARGEST_INCHES = 30
MOST_LABELS = 120
LONGEST_LABEL = 30
LONGEST_SENTENCE = 60
BAR_INCHES = 1.4

PREFERRED_FONTS = ("DejaVu Sans", "Noto Sans", "Noto Sans CJK JP", "Noto Sans Arabic", "Noto Sans Hebrew")
# The first word of a character's Unicode name -> the Debian package with a font for it.
FONT_PACKAGES: dict[str, str] = {
    "CJK": "fonts-noto-cjk",
    "HIRAGANA": "fonts-noto-cjk",
    "KATAKANA": "fonts-noto-cjk",
    "HANGUL": "fonts-noto-cjk",
    "BOPOMOFO": "fonts-noto-cjk",
    "IDEOGRAPHIC": "fonts-noto-cjk",
    "FULLWIDTH": "fonts-noto-cjk",
    "HALFWIDTH": "fonts-noto-cjk",
    "SYMBOL": "fonts-symbola",
}
# Mathematical fonts, whose glyphs don't match their codes, and the font that draws a box for any character.
NOT_FOR_TEXT = re.compile(r"cm[a-z]+10$|STIX(Size|NonUni)|Last Resort")


@runtime_checkable
class Bucket(Protocol):
    """A measure over the sentences of `low` to `high` words, both included, and its bootstrap interval."""

    @property
    def low(self) -> int: ...
    @property
    def high(self) -> int: ...
    @property
    def count(self) -> int: ...
    @property
    def value(self) -> float: ...
    @property
    def lower(self) -> float: ...
    @property
    def upper(self) -> float: ...


def heat_map(look: Weights, path: Path | None = None, gold: Collection[tuple[int, int]] = ()) -> Figure:
    """The matrix of weights, steps by cells, with a dot at the strongest cell of each row.

    `gold` are (cell, step) pairs to outline, such as the links of a gold alignment. The figure grows with the matrix up
    to 30 inches; long axes label every second, third, ... cell, and labels are cut to 30 characters.
    Written to `path` (.png or .svg) if given. Warns of characters that no installed font has. Raises `ValueError` for
    an empty look and for another suffix.
    """
    return heat_maps({"": look}, path, {"": gold})


def heat_maps(
    looks: Mapping[str, Weights],
    path: Path | None = None,
    gold: Mapping[str, Collection[tuple[int, int]]] = MappingProxyType({}),
) -> Figure:
    """The matrices of several looks, stacked, with their names, each as in `heat_map`."""
    if not looks:
        raise ValueError("nothing to draw: there are no weights")
    for name, look in looks.items():
        steps, cells = look.weights.shape
        if not steps or not cells:
            raise ValueError(f"nothing to draw: the look {name!r} has {steps} steps and {cells} cells")
    rows, columns = sum(len(look.steps) for look in looks.values()), max(len(look.memory) for look in looks.values())
    inch = min(CELL_INCHES, LARGEST_INCHES / max(rows, columns))
    # Leave room above each matrix but the first for its name and its cells' names.
    rooms = [0.0, *(_room_above(look) for look in list(looks.values())[1:])]
    width, height = columns * inch, rows * inch + sum(rooms)
    figure = blank(width, height)
    top = height
    for (name, look), room in zip(looks.items(), rooms, strict=True):
        steps, cells = look.weights.shape
        bottom = top - room - steps * inch
        # Matrices fill the figure, so that cells are square; saving makes room for the labels and the bar outside.
        axes = figure.add_axes((0, bottom / height, cells * inch / width, steps * inch / height))
        image = _matrix(axes, look, gold.get(name, ()), inch)
        if len(looks) > 1:
            axes.set_title(label_of(name), loc="left", fontsize=MEDIUM, color=INK)
        if top == height:
            bar_height = min(max(steps * inch, 1), 2)
            place = (cells * inch + 0.15, height - bar_height, 0.1, bar_height)
            bar = figure.add_axes((place[0] / width, place[1] / height, place[2] / width, place[3] / height))
            figure.colorbar(image, cax=bar, ticks=[0, 0.5, 1]).outline.set_visible(False)
            _quiet(bar)
        top = bottom
    return finish(figure, path)


def story(look: Weights, answers: Sequence[str] = (), path: Path | None = None) -> Figure:
    """A line for each sentence, with a bar of its weight at every hop; over each hop what is answered after it.

    Written to `path` (.png or .svg) if given. Raises `ValueError` for an empty look and for another suffix.
    """
    steps, cells = look.weights.shape
    if not steps or not cells:
        raise ValueError(f"nothing to draw: the look has {steps} steps and {cells} cells")
    height = max(cells * CELL_INCHES, 1)
    figure = blank(steps * BAR_INCHES, height)
    names = [shorten(visible(label), LONGEST_SENTENCE) for label in look.memory.labels()]
    for step, (label, weights) in enumerate(zip(look.steps.labels(), look.weights, strict=True)):
        axes = figure.add_axes((step / steps, 0, 0.9 / steps, 1))
        colours = [COLOURS[1] if cell == weights.argmax() else COLOURS[0] for cell in range(cells)]
        axes.barh(range(cells), weights, color=colours, height=0.7)
        axes.set_xlim(0, 1)
        axes.set_ylim(cells - 0.5, -0.5)
        axes.set_xticks([])
        axes.set_yticks(range(cells), names if step == 0 else [""] * cells)
        answer = f"\n{label_of(answers[step])}" if step < len(answers) else ""
        axes.set_title(f"hop {label_of(label)}{answer}", loc="left", fontsize=SMALL, color=INK)
        _quiet(axes)
    return finish(figure, path)


def _matrix(axes: Axes, look: Weights, gold: Collection[tuple[int, int]], inch: float) -> AxesImage:
    steps, cells = look.weights.shape
    image = axes.imshow(look.weights, cmap="cividis", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    strongest = [(row.argmax(), step) for step, row in enumerate(look.weights) if row.any()]
    dot = (inch * 72 / 4) ** 2
    # A white dot would be invisible on the light end of the map.
    colours = ["#000000" if look.weights[step, cell] > 0.5 else "#ffffff" for cell, step in strongest]
    axes.scatter([cell for cell, _ in strongest], [step for _, step in strongest], s=dot, c=colours, linewidths=0)
    for cell, step in gold:
        axes.add_patch(Rectangle((cell - 0.5, step - 0.5), 1, 1, fill=False, edgecolor="#d55e00", linewidth=1.5))
    axes.xaxis.tick_top()
    every = math.ceil(cells / MOST_LABELS)
    axes.set_xticks(range(0, cells, every), [label_of(label) for label in look.memory.labels()[::every]], rotation=90)
    every = math.ceil(steps / MOST_LABELS)
    axes.set_yticks(range(0, steps, every), [label_of(label) for label in look.steps.labels()[::every]])
    _quiet(axes)
    return image


def _quiet(axes: Axes) -> None:
    axes.tick_params(length=0, labelsize=SMALL, labelcolor=INK, pad=3)
    axes.spines[:].set_visible(False)


def _room_above(look: Weights) -> float:
    """Inches for a look's name and the vertical names of its cells."""
    longest = max(cell_len(label_of(label)) for label in look.memory.labels())
    return 0.4 + longest * SMALL * 0.75 / 72


def label_of(text: str) -> str:
    """A token as a matrix's label, cut: very long words would displace the matrix."""
    return shorten(visible(text), LONGEST_LABEL)


def curves(
    panels: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]], path: Path | None = None, over: str = "updates"
) -> Figure:
    """Named lines of (x, y) points, in a panel for each quantity, such as training loss and BLEU over updates.

    Raises `ValueError` if there is no panel.
    """
    if not panels:
        raise ValueError("curves needs at least one panel")
    figure = blank(6.4, 3.4 * len(panels))
    for place, (value, series) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(len(panels), 1, place)
        _plain(axes, over, value)
        for index, (name, points) in enumerate(series.items()):
            colour, dashes = _line(index)
            axes.plot([x for x, _ in points], [y for _, y in points], dashes, color=colour, label=visible(name))
        _legend(axes)
    figure.subplots_adjust(hspace=0.45)
    return finish(figure, path)


def length_curve(
    runs: Sequence[tuple[str, Sequence[Bucket]]], value: str, path: Path | None = None, unit: str = "words"
) -> Figure:
    """Quality by source length: a line for each run with its bootstrap interval, and the sentences per bucket.

    Raises `ValueError` if the runs have different buckets.
    """
    if not runs:
        raise ValueError("length_curve needs at least one run")
    expected = [(bucket.low, bucket.high, bucket.count) for bucket in runs[0][1]]
    figure = blank(6.4, 3.6)
    axes = figure.add_subplot()
    _plain(axes, f"source length ({unit}), with the number of sentences", value)
    for index, (name, buckets) in enumerate(runs):
        if [(bucket.low, bucket.high, bucket.count) for bucket in buckets] != expected:
            raise ValueError(f"run {name!r} has other length buckets than run {runs[0][0]!r}; use the same for both")
        places = range(len(buckets))
        colour, dashes = _line(index)
        values = [bucket.value for bucket in buckets]
        axes.plot(places, values, f"o{dashes}", color=colour, markersize=4, label=visible(name))
        lower, upper = [bucket.lower for bucket in buckets], [bucket.upper for bucket in buckets]
        axes.fill_between(places, lower, upper, color=colour, alpha=0.15, linewidth=0)
    axes.set_xticks(range(len(expected)), [f"{low}–{high}\n{count}" for low, high, count in expected])
    _legend(axes)
    return finish(figure, path)


def missing_glyphs(text: str) -> dict[str, str]:
    """The characters of the text that no installed font can draw, by script.

    Unicode names begin with the script ("HIRAGANA LETTER A"); signs and emoji are grouped under "SYMBOL".
    """
    missing: dict[str, str] = {}
    for character in sorted(_choose_fonts(text)[1]):
        symbol = unicodedata.category(character).startswith("S")
        script = "SYMBOL" if symbol else unicodedata.name(character, "UNNAMED").split()[0]
        missing[script] = missing.get(script, "") + character
    return missing


def font_advice(missing: Mapping[str, str]) -> str:
    """Which characters have no font, and what to install: a line for each script."""
    return "\n".join(
        f"no installed font has the {script} characters {characters[:20]}: "
        f"install {FONT_PACKAGES.get(script, 'fonts-noto-core')} on Debian (elsewhere: Noto fonts), or write SVG"
        for script, characters in missing.items()
    )


def _choose_fonts(text: str) -> tuple[list[str], set[str]]:
    """Installed font families that together cover the text, preferred ones first, and the uncovered characters."""
    # Spaces and layout controls have no glyphs.
    needed = {character for character in text if unicodedata.category(character) not in {"Cc", "Cf", "Zs"}}
    files = {
        entry.name: entry.fname
        for entry in font_manager.fontManager.ttflist
        if entry.style == "normal" and entry.weight == 400 and not NOT_FOR_TEXT.match(entry.name)
    }
    chosen = []
    for family in (*PREFERRED_FONTS, *sorted(files)):
        if needed and family in files:
            covered = {character for character in needed if ord(character) in _coverage(files[family])}
            if covered:
                needed -= covered
                chosen.append(family)
    return chosen or [PREFERRED_FONTS[0]], needed


@cache
def _coverage(file: str) -> frozenset[int]:
    return frozenset(font_manager.get_font(file).get_charmap())


def blank(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _plain(axes: Axes, x: str, y: str) -> None:
    """Axes with labels, a faint grid and no box."""
    axes.set_xlabel(visible(x), fontsize=MEDIUM, color=INK)
    axes.set_ylabel(visible(y), fontsize=MEDIUM, color=INK)
    axes.tick_params(length=0, labelsize=SMALL, labelcolor=INK)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)


def _line(index: int) -> tuple[str, str]:
    """A colour and dash pattern: colours cycle, with another pattern each time."""
    return COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS) % len(DASHES)]


def _legend(axes: Axes) -> None:
    axes.legend(frameon=False, fontsize=SMALL, labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1), ncols=4)


def finish(figure: Figure, path: Path | None) -> Figure:
    """Choose fonts, and write the figure if there is a path."""
    if path is not None and path.suffix.lower() not in (".png", ".svg"):
        raise ValueError(f"{path}: a figure is written as .png or .svg, not {path.suffix or 'without a suffix'}")
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    drawn = "".join(text.get_text() for text in texts)
    fonts, _ = _choose_fonts(drawn)
    for text in texts:
        text.set_fontfamily(fonts)
        text.set_parse_math(False)  # "$" is a token like any other
    missing = missing_glyphs(drawn)
    if missing and (path is None or path.suffix.lower() == ".png"):
        warnings.warn(font_advice(missing), stacklevel=3)
    if path is not None:
        file = io.BytesIO()
        # No date and no random ids: the same figure is the same file.
        fixed = matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "attend"})
        with fixed, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # warned of above, once and with advice
            metadata = {"Date": None} if path.suffix.lower() == ".svg" else {}
            figure.savefig(file, format=path.suffix.lower()[1:], bbox_inches="tight", pad_inches=0.1, metadata=metadata)
        write_atomically(path, lambda partial: partial.write_bytes(file.getvalue()))
    return figure
