"""A trace as a file: the figure depends on the file's suffix and on the trace's content, not on the model.

- `.png`, `.svg`: the first of these that the trace has: pictures of each step with their windows; weights over an
  image's cells; glimpses at an image; heads over memory slots; the matrices of all weights. `.gif`: the same step by
  step, except matrices.
- `.html`: the interactive page. `.json`, `.npz`: the trace itself, with the model's tokens.
- `.pharaoh`: the links of tokens to tokens, a line for each look.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from attend.atomic import write_atomically
from attend.attention.trace import Gold, PictureEachStep, Tokens, Trace, Weights, Windows
from attend.show.figure import heat_maps, story
from attend.show.formats import Link, write_npz, write_pharaoh
from attend.show.glimpses import pictured_windows, scan_animation, scan_path
from attend.show.overlays import grid_looks, word_animation, word_maps
from attend.show.page import page
from attend.show.reading import predictions
from attend.show.slot_maps import slot_animation, slot_maps
from attend.show.slots import slots_of
from attend.show.steps import step_animation, step_panels
from attend.show.words import drawable, even, readable, tells_story

Draw = Callable[[Trace, Path], object]

SUFFIXES = (".png", ".svg", ".gif", ".html", ".json", ".npz", ".pharaoh")


def write(path: Path, trace: Trace, words: bool | None = None, step: int | None = None) -> None:
    """Write the trace in the format of the suffix; figures and links merge subwords as `readable` does.

    `step` is the one that a figure of heads over memory slots shows in full, counted from 0.
    Gold alignments (`Trace.gold`) are outlined in matrices of whole words. Raises `ValueError` as `check` does; figures
    warn of characters that no installed font has.
    """
    _writer(path, trace, words, step)()


def check(path: Path, trace: Trace) -> None:
    """Raises `ValueError`, naming the file and what the trace lacks, if `write` can't write it."""
    _writer(path, trace, None)


def _writer(path: Path, trace: Trace, words: bool | None, step: int | None = None) -> Callable[[], object]:
    match path.suffix.lower():
        case ".png" | ".svg":
            return _figure(path, trace, words, step)
        case ".gif":
            return _animation(path, trace)
        case ".html":
            return lambda: _write_text(path, page([trace], trace.output or trace.input))
        case ".json":
            return lambda: _write_text(path, json.dumps(trace.to_json(), ensure_ascii=False, indent=2) + "\n")
        case ".npz":
            return partial(write_npz, path, trace)
        case ".pharaoh":
            looks = [look for look in drawable(trace).values() if _of_tokens(look)]
            if not looks:
                raise ValueError(
                    f"{path}: links are between tokens, and the trace has no weights of tokens over tokens"
                )
            if any(map(even, looks)):
                raise ValueError(f"{path}: every token has the same weight: without attention there are no links")
            return lambda: write_pharaoh(path, [readable(look, words) for look in looks])
    raise ValueError(f"{path}: name a file {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")


def _figure(path: Path, trace: Trace, words: bool | None, step: int | None) -> Callable[[], object]:
    draw = _over_images(trace, step_panels, word_maps, scan_path)
    if draw is not None:
        return partial(draw, trace, path)
    if slots_of(trace) is not None:
        return partial(slot_maps, trace, path, step)
    looks = drawable(trace)
    if not looks:
        raise ValueError(f"{path}: nothing to draw: {_lack(trace)}; name a file .html or .json")
    return lambda: _write_matrices(path, trace, words)


def _animation(path: Path, trace: Trace) -> Callable[[], object]:
    draw = _over_images(trace, step_animation, word_animation, scan_animation)
    if draw is None and slots_of(trace) is not None:
        draw = slot_animation
    if draw is None:
        other = ".png, .svg, .html or .json" if drawable(trace) else ".html or .json"
        raise ValueError(f"{path}: a .gif shows looks at an image, and {_lack(trace)}; name a file {other}")
    return partial(draw, trace, path)


def _over_images(trace: Trace, steps: Draw, cells: Draw, windows: Draw) -> Draw | None:
    """The function that draws the trace; None if it has no looks at an image."""
    each_step = [name for name, media in trace.media.items() if isinstance(media, PictureEachStep)]
    # Pictures of a look with weights are drawn under the weights, or beside them.
    if any(not isinstance(trace.looks.get(name), Weights) for name in each_step):
        return steps
    if grid_looks(trace):
        return cells
    return windows if pictured_windows(trace) else None


def _lack(trace: Trace) -> str:
    """Why there is nothing to draw."""
    if any(isinstance(look, Windows) for look in trace.looks.values()):
        return "the trace has no picture for its windows"
    if drawable(trace):
        return f"the trace has weights only over {', '.join(trace.looks)}"
    return "the trace has no weights over several cells, and no windows in an image"


def _write_matrices(path: Path, trace: Trace, words: bool | None) -> None:
    looks, gold = {}, {}
    for name, look in drawable(trace).items():
        linked = name in trace.gold and words is not False
        looks[name] = readable(look, True if linked else words)
        if linked:
            gold[name] = gold_cells(looks[name], trace.gold[name])
    only = next(iter(looks.values()))
    if len(looks) == 1 and tells_story(only):
        answers = [step[0][0] if step else "" for step in predictions(trace)]
        story(only, answers, path)
    else:
        heat_maps(looks, path, gold)


def gold_cells(look: Weights, gold: Gold) -> list[Link]:
    """(cell, step) of each possible link, in a look of whole words. Raises `ValueError` for one outside the text."""
    cells, steps = (
        [index for index, token in enumerate(axis.tokens) if token.start is not None]
        for axis in (look.memory, look.steps)
        if isinstance(axis, Tokens)
    )
    for cell, step in gold.possible:
        if cell >= len(cells) or step >= len(steps):
            counts = f"{len(cells)} and {len(steps)} words"
            raise ValueError(f"gold links word {cell + 1} to {step + 1}, but there are {counts}")
    return [(cells[cell], steps[step]) for cell, step in sorted(gold.possible)]


def _of_tokens(look: Weights) -> bool:
    return isinstance(look.memory, Tokens) and isinstance(look.steps, Tokens)


def _write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))
