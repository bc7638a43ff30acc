"""A trace as plain text, for a terminal of any width."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.cells import cell_len, set_cell_size, split_graphemes

from attend.attention.trace import Grid, Named, Tokens, Trace, Weights, Windows
from attend.show.reading import predictions
from attend.show.shades import COLOURS, RESET, SHADES, level
from attend.show.slot_text import slot_text
from attend.show.slots import slots_of
from attend.show.words import drawable, readable, shorten, tells_story, visible

EIGHTHS = " ▏▎▍▌▋▊▉"
# The length of a whole bar, in terminal cells.
BAR = 8
LABEL_ROWS = 12
NARROWEST = 12
# A matrix that would be wrapped into more panels than this is not printed.
MOST_PANELS = 6
MOST_ALTERNATIVES = 3


def describe(trace: Trace, width: int, colour: bool, words: bool | None = None, step: int | None = None) -> str:
    """The output, its attention, and the predictions of each step.

    For each look with weights: a heat map (not over the cells of an image, the frames of a sound, or more cells than
    fit into a few panels of `width` terminal cells), and an alignment. Then, unless the output is a sequence of tokens,
    the most probable alternatives after each step; without alternatives the windows of each step. `words` is as in
    `attend.show.words.readable`. Heads over memory slots are drawn as in `attend.show.slot_text`, with `step` in full.
    """
    slots = slots_of(trace)
    if slots is not None:
        return f"{visible(trace.input)}: {visible(trace.output)}\n\n{slot_text(slots, width, colour, step)}"
    shown = {name: readable(look, words) for name, look in drawable(trace).items()}
    # The looks below already show an input text.
    known = any(isinstance(look.memory, Tokens) and look.memory.text == trace.input for look in shown.values())
    # Of several inputs each has a line.
    given = trace.input
    for name, look in shown.items():
        if tells_story(look) and isinstance(look.memory, Tokens):  # its sentences have lines below
            given = given.replace(f"{name}: {look.memory.text}\n", "")
    inputs = [visible(line) for line in given.split("\n")]
    head = visible(trace.output)
    if not known:
        head = f"{inputs[0]}: {head}" if len(inputs) == 1 and given == trace.input else "\n".join([*inputs, head])
    if trace.finished is False:
        head += " (cut off at the maximum length)"
    if unknown := list(dict.fromkeys(_unknown(trace))):
        head += f"\n(in no vocabulary: {', '.join(unknown)})"
    parts = [head]
    for name, look in shown.items():
        if len(shown) > 1:
            parts.append(f"{visible(name)}:")
        if tells_story(look):
            parts.append(story(look, width))
        elif isinstance(look.memory, Tokens | Named) and len(look.memory) <= MOST_PANELS * _per_panel(look, width):
            parts.append(heat_map(look, width, colour))
        if not tells_story(look):
            parts.append(alignment(look))
    steps = list(_steps(trace))
    # Lines about each step follow the output directly.
    return "\n\n".join(parts if not steps else [*parts[:-1], "\n".join([parts[-1], *steps])])


def _unknown(trace: Trace) -> Iterator[str]:
    """The pieces of input and output that are in no vocabulary."""
    for look in trace.looks.values():
        for axis in (look.steps, look.memory) if isinstance(look, Weights) else (look.steps,):
            if isinstance(axis, Tokens):
                yield from (visible(token.text.strip()) for token in axis.tokens if token.unknown)


def _steps(trace: Trace) -> Iterator[str]:
    """A line for each step of a prediction that is not a sequence of tokens."""
    written = any(isinstance(look.steps, Tokens) and look.steps.text == trace.output for look in trace.looks.values())
    if not written and trace.alternatives:
        for number, step in enumerate(predictions(trace), start=1):
            named = ", ".join(f"{visible(text)} {share:.2f}" for text, share in step[:MOST_ALTERNATIVES])
            yield f"  step {number}: {named}"
        return
    for name, look in trace.looks.items():
        if isinstance(look, Windows):
            for step, ((x, y), (across, down)) in enumerate(zip(look.centre, look.extent, strict=True), start=1):
                yield f"  step {step}: {visible(name)} {across:.2f} x {down:.2f} at {x:.2f}, {y:.2f}"


def heat_map(look: Weights, width: int, colour: bool) -> str:
    """The matrix of weights, steps by cells, in lines of at most `width` terminal cells.

    A cell is two characters wide, shaded by its weight, with "*" at the strongest of each row. Wide matrices wrap into
    several panels. Raises `ValueError` if `width` is less than 12.
    """
    if width < NARROWEST:
        raise ValueError(f"a heat map needs a width of at least {NARROWEST} characters, not {width}")
    rows = [visible(label) for label in look.steps.labels()]
    columns = [visible(label) for label in look.memory.labels()]
    margin, per_panel = _margin(look, width), _per_panel(look, width)
    rows = [_pad_left(shorten(label, margin), margin) for label in rows]
    panels = [
        _panel(look, rows, columns, margin, range(first, min(first + per_panel, len(columns))), colour)
        for first in range(0, len(columns), per_panel)
    ]
    return "\n\n".join([*panels, _legend(width, colour)])


def story(look: Weights, width: int) -> str:
    """A line for each cell, with a bar of its weight at every step and "*" at the strongest of each, as in

                        1               2
        John left.      ██       0.25   ████████*1.00

    in lines of at most `width` terminal cells, but with at least 12 of each name.
    """
    names = [visible(label) for label in look.memory.labels()]
    each = BAR + len("*0.00   ")
    margin = max(min(max(map(cell_len, names)), width - len(look.steps) * each), NARROWEST)
    strongest = look.weights.argmax(1)
    lines = ["".join([" " * (margin + 2), *(f"{shorten(visible(step), BAR):{each}}" for step in look.steps.labels())])]
    for cell, name in enumerate(names):
        bars = [
            f"{_bar(float(row[cell]))}{'*' if strongest[step] == cell and row.any() else ' '}{row[cell]:.2f}   "
            for step, row in enumerate(look.weights)
        ]
        lines.append("".join([set_cell_size(shorten(name, margin), margin), "  ", *bars]))
    return "\n".join(line.rstrip() for line in lines)


def _bar(weight: float) -> str:
    """A bar of `BAR` cells, full at 1, to an eighth of a cell."""
    eighths = min(round(weight * 8 * BAR), 8 * BAR)
    return f"{'█' * (eighths // 8)}{EIGHTHS[eighths % 8]}".strip(" ").ljust(BAR)


def _margin(look: Weights, width: int) -> int:
    """The width of the steps' names."""
    return min(max((cell_len(visible(label)) for label in look.steps.labels()), default=0), width // 3)


def _per_panel(look: Weights, width: int) -> int:
    """How many cells fit side by side."""
    return (width - _margin(look, width) - 1) // 2


def alignment(look: Weights, least: float = 0.05, most: int = 3) -> str:
    """A line for each step with its strongest cells: "haus <- house 0.91, the 0.05".

    It names the `most` strongest cells with a weight of at least `least`, and always the strongest unless its weight is
    0. Cells of a grid are named by row and column, from 1.
    """
    if isinstance(look.memory, Grid):
        rows, columns = range(1, look.memory.rows + 1), range(1, look.memory.columns + 1)
        names = tuple(f"row {row} column {column}" for row in rows for column in columns)
        look = replace(look, memory=Named(names))
    columns = [visible(label) for label in look.memory.labels()]
    lines = []
    for label, weights in zip(look.steps.labels(), look.weights, strict=True):
        strongest = (-weights).argsort(kind="stable")[:most]
        named = [cell for cell in strongest if weights[cell] > 0 and (cell == strongest[0] or weights[cell] >= least)]
        reads = ", ".join(f"{columns[cell]} {weights[cell]:.2f}" for cell in named)
        lines.append(f"{visible(label)} <- {reads}")
    return "\n".join(lines)


def _panel(look: Weights, rows: Sequence[str], columns: Sequence[str], margin: int, shown: range, colour: bool) -> str:
    lines = [f"{'':{margin}} {line}".rstrip() for line in _vertical([columns[cell] for cell in shown])]
    for label, weights in zip(rows, look.weights, strict=True):
        strongest = int(weights.argmax()) if weights.any() else None
        cells = [_cell(float(weights[cell]), cell == strongest, colour) for cell in shown]
        lines.append(f"{label} {''.join(cells)}")
    return "\n".join(lines)


def _cell(weight: float, strongest: bool, colour: bool) -> str:
    mark = "*" if strongest else " "
    if not colour:
        shade = SHADES[level(weight, len(SHADES))]
        return shade + (mark if strongest else shade)
    shade = level(weight, len(COLOURS))
    ink = 15 if shade < len(COLOURS) // 2 else 16  # white on the dark half, black on the light one
    return f"\x1b[38;5;{ink};48;5;{COLOURS[shade]}m {mark}{RESET}"


def _vertical(labels: Sequence[str]) -> list[str]:
    """Lines with each label written downwards in its column of two cells, aligned at the bottom."""
    columns = []
    for label in labels:
        characters = [label[start:end] for start, end, _ in split_graphemes(label)[0]]
        if len(characters) > LABEL_ROWS:
            characters = [*characters[: LABEL_ROWS - 1], "…"]
        columns.append([set_cell_size(character, 2) for character in characters])
    height = max(map(len, columns), default=0)
    columns = [["  "] * (height - len(column)) + column for column in columns]
    return ["".join(line) for line in zip(*columns, strict=True)]


def _pad_left(label: str, width: int) -> str:
    return " " * (width - cell_len(label)) + label


def _legend(width: int, colour: bool) -> str:
    levels = len(COLOURS) if colour else len(SHADES)
    weights = [shade / (levels - 1) for shade in range(levels)]
    entries = [f"{_cell(weight, False, colour)} {weight:.2g}" for weight in weights] + ["* strongest"]
    per_line = max(1, width // (len("* strongest") + 2))
    lines = [entries[first : first + per_line] for first in range(0, len(entries), per_line)]
    return "\n".join("  ".join(line) for line in lines)
