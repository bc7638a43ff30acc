"""`attend show`"""

import json
import os
import shutil
import sys
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from attend.atomic import write_atomically
from attend.commands.options import GoldForm, InFile, OutFiles, Run, flat, parse
from attend.commands.output import check_outputs, warn_of_changes
from attend.data.files import DataError
from attend.progress import say

if TYPE_CHECKING:
    from attend.attention.trace import Trace, Weights
    from attend.show.formats import Link
    from attend.tasks.caption import Caption, CaptionModel
    from attend.tasks.generation import DrawingModel
    from attend.tasks.image import Answer, ImageModel
    from attend.tasks.text_model import TextModel

PICTURES = (".png", ".svg")
# To leave out each piece of a longer text in turn takes minutes.
LONGEST_EXPLAINED = 500


@dataclass(frozen=True)
class Options:
    """Predict from one text and show where the model looked: a heat map and an alignment in the terminal, or a file.

    Attention shows where the model read, not why.

    examples:
      attend show runs/mine "a dog runs"
      attend show runs/mine "a dog runs" --target "ein Hund läuft" --out dog.html dog.png
      attend show runs/mine "a dog" --target "ein Hund" --gold links --gold-form pharaoh --out dog.svg
      attend show runs/digits seven.png --out path.png path.gif path.html
      attend show runs/digits valid:17 --out path.png
      attend show runs/drawer new:3 --out drawing.gif
    """

    run: Run
    """The run folder."""
    text: Positional[Annotated[str, arg(metavar="TEXT")]]
    """What to predict from. For a run that takes images, an image file; or valid:17 for image 17 of that part of its
    own data. For a run that draws also new, or new:3 for the third of its new images."""
    target: Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="")] = None
    """Read this output, instead of what the model would write."""
    subwords: bool = False
    """Show tokens as the model has them, not whole words."""
    gold: InFile = None
    """Outline a person's links between the text and --target in pictures and pages: a file with those of this one
    sentence."""
    gold_form: GoldForm = "naacl"
    """As in attend evaluate."""
    out: OutFiles = ()
    """Files to write instead: a picture (.png, .svg; of images also a moving one, .gif), a page (.html), or data
    (.json; of text also .npz and .pharaoh)."""


def main(arguments: Sequence[str]) -> int:
    options = parse(Options, "attend show", arguments)
    from attend.attention.trace import Weights
    from attend.show.words import merge

    files = flat(options.out)
    for path in files:
        if path.suffix.lower() not in (*PICTURES, ".gif", ".html", ".json", ".npz", ".pharaoh"):
            kinds = ".png, .svg, .html or .json; for text also .npz or .pharaoh, for images .gif"
            raise ValueError(f"{path}: name a file {kinds}")
    check_outputs(files, [options.text, options.gold])
    pictured = any(path.suffix.lower() in (*PICTURES, ".html") for path in files)
    if options.gold is not None and (options.target is None or options.subwords or not pictured):
        raise ValueError("--gold needs --target and a picture (--out x.png) of whole words, without --subwords")
    from attend.run import load
    from attend.tasks.caption import CaptionModel
    from attend.tasks.generation import DrawingModel
    from attend.tasks.image import ImageModel
    from attend.tasks.text_model import TextModel

    if not options.text.strip():
        raise ValueError("the text is empty: there is nothing to predict from")
    model = load(options.run)
    if isinstance(model, ImageModel | CaptionModel):
        return show_image(model, options, files)
    if isinstance(model, DrawingModel):
        return show_drawing(model, options, files)
    if not isinstance(model, TextModel):
        problem = f"{options.run} is a run of {model.config.recipe!r}, of which there is nothing to show"
        raise ValueError(f"{problem}; attend evaluate measures it")
    if any(path.suffix.lower() == ".gif" for path in files):
        raise ValueError("a .gif is of a run that looks at images: this one reads text")
    trace = model.attention(options.text, options.target).trace(run=str(options.run), recipe=model.config.recipe)
    look = trace.looks.get("source")
    if not isinstance(look, Weights):
        print(trace.output)
        say("this system has no attention: there is nothing to show")
        return 1 if files else 0
    # Characters are not pieces of words to their readers; but a person's links are between words.
    if not options.subwords and (model.config.settings.data.unit != "character" or options.gold is not None):
        look = merge(look)
    shown = replace(trace, looks={"source": look})
    gold = [] if options.gold is None else gold_cells(options.gold, options.gold_form, look)
    if any(path.suffix.lower() == ".html" for path in files):
        trace = for_page(model, trace, options)
    for path in files:
        write(path, trace, shown, look, gold)
    if not files:
        print_look(trace.output, look)
    return 0


def show_image(model: "ImageModel | CaptionModel", options: Options, files: "Sequence[Path]") -> int:
    """The answer for one image, with what was thought after each step; or files."""
    from attend.attention.trace import Windows
    from attend.show.glimpses import animation, scan_path, thoughts
    from attend.show.overlays import grid_look, word_animation, word_maps

    check_for_images(options, files)
    answer = image_of(model, options.text, options.run)
    trace = answer.trace(run=str(options.run), recipe=model.config.recipe)
    in_cells = grid_look(trace) is not None
    in_places = in_cells or any(isinstance(look, Windows) and len(look.scale) for look in trace.looks.values())
    if not in_places and (drawn := [path for path in files if path.suffix.lower() not in (".html", ".json")]):
        problem = f"{options.run} sees the whole image at once: there are no places to draw into {drawn[0]}"
        raise ValueError(f"{problem}; name a file .html or .json")
    for path in files:
        match path.suffix.lower():
            case ".png" | ".svg":
                with warnings_said(path):
                    word_maps(trace, path) if in_cells else scan_path(trace, path)
            case ".gif":
                with warnings_said(path):
                    word_animation(trace, path) if in_cells else animation(trace, path)
            case _:
                write_trace(path, trace)
    if not files:
        print(answer)
        for number, step in enumerate(thoughts(trace), start=1):
            print(f"  step {number}: " + ", ".join(f"{name} {chance:.2f}" for name, chance in step[:3]))
    return 0


def show_drawing(model: "DrawingModel", options: Options, files: "Sequence[Path]") -> int:
    """How an image is drawn, step by step: a new one, or one that is given."""
    from attend.show.canvases import canvas_animation, canvas_steps

    check_for_images(options, files)
    word, _, number = options.text.partition(":")
    if word == "new" and (number.isdecimal() or not number) and not Path(options.text).exists():
        if number and int(number) < 1:
            raise ValueError(f"{options.text}: new images are counted from 1")
        drawn = model.generate(first=int(number or 1) - 1)[0]
    elif (chosen := own_image(model, options.text, options.run)) is not None:
        drawn = next(model.reconstruct_many(chosen, (options.text,)))
    else:
        drawn = model.reconstruct(options.text)
    canvases = [drawn.picture(step) for step in range(len(drawn.canvases))]
    for path in files:
        match path.suffix.lower():
            case ".png" | ".svg":
                canvas_steps(canvases, drawn.looks, drawn.given(), path)
            case ".gif":
                canvas_animation(canvases, drawn.looks, path, drawn.given())
            case _:
                write_trace(path, drawn.trace(run=str(options.run), recipe=model.config.recipe))
    if not files:
        print(f"{drawn.name}: drawn in {len(canvases)} steps; name a file to see it, such as --out drawing.gif")
        for name, look in drawn.looks.items():
            for step, (centre, extent) in enumerate(zip(look.centre, look.extent, strict=True), start=1):
                print(f"  step {step}: {name} {extent[0]:.2f} x {extent[1]:.2f} at {centre[0]:.2f}, {centre[1]:.2f}")
    return 0


def check_for_images(options: Options, files: "Sequence[Path]") -> None:
    """Raises `ValueError` for what is for text alone."""
    for name in ("target", "subwords", "gold"):
        if getattr(options, name):
            raise ValueError(f"--{name} is for runs that read text; {options.run} reads images")
    for path in files:
        if path.suffix.lower() in (".npz", ".pharaoh"):
            raise ValueError(f"{path}: of images, name a file .png, .svg, .gif, .html or .json")


def write_trace(path: Path, trace: "Trace") -> None:
    """As a page or as JSON."""
    if path.suffix.lower() == ".html":
        from attend.show.page import page

        write_text(path, page([trace], trace.input))
    else:
        write_text(path, json.dumps(trace.to_json(), ensure_ascii=False, indent=2) + "\n")


def image_of(model: "ImageModel | CaptionModel", named: str, run: Path) -> "Answer | Caption":
    """The output for an image file, or for one of the run's own images, such as valid:17 (from 1)."""
    chosen = own_image(model, named, run)
    if chosen is None:
        return model.predict(named)
    answer = next(model.predict_many(chosen))
    return answer if chosen.names else replace(answer, name=named)


def own_image(model: "ImageModel | CaptionModel | DrawingModel", named: str, run: Path) -> Any:
    """That image of the run's own data which is named as valid:17 is, from 1; None for the name of a file."""
    import numpy as np

    split, _, number = named.partition(":")
    if split not in ("valid", "test") or not number.isdecimal() or Path(named).exists():
        return None
    warn_of_changes(run)
    part: Any = model.part(split)
    images = getattr(part, "images", part)
    if not 1 <= int(number) <= len(images):
        raise ValueError(f"{named}: the part {split} has images 1 to {len(images):,}")
    return images.select(np.array([int(number) - 1]))


def for_page(model: "TextModel", trace: "Trace", options: Options) -> "Trace":
    """The trace with all that a page can show beside it."""
    from attend.attention.trace import Gold
    from attend.commands.evaluate import read_gold
    from attend.tasks.exploring import detailed

    how = model.config.settings.decoding
    if len(trace.input) > LONGEST_EXPLAINED:
        say(
            f"the page is without what the output depends on: that is for texts of up to {LONGEST_EXPLAINED} characters"
        )
    else:
        trace = detailed(model.task, model.decoder, trace, how, options.target)
    if options.gold is None:
        return trace
    links = read_gold(options.gold, options.gold_form, 1)[0]
    return replace(trace, gold={"source": Gold(tuple(sorted(links.sure)), tuple(sorted(links.possible)))})


def print_look(output: str, look: "Weights") -> None:
    from attend.show.terminal import alignment, heat_map
    from attend.show.words import visible

    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    width = max(shutil.get_terminal_size().columns, 40)
    print(f"{visible(output)}\n\n{heat_map(look, width, colour)}\n\n{alignment(look)}")


def gold_cells(path: str, form: GoldForm, look: "Weights") -> "list[Link]":
    """The (cell, step) of each link of the file. Raises `DataError` for one outside of the text."""
    from attend.attention.trace import Tokens
    from attend.commands.evaluate import read_gold

    words = []
    for axis in (look.memory, look.steps):
        tokens = axis.tokens if isinstance(axis, Tokens) else ()
        words.append([index for index, token in enumerate(tokens) if token.start is not None])
    cells, steps = words
    links = sorted(read_gold(path, form, 1)[0].possible)
    for source, target in links:
        if source >= len(cells) or target >= len(steps):
            problem = f"links word {source + 1} to {target + 1}, but there are {len(cells)} and {len(steps)} words"
            raise DataError(path, problem, "give the alignment of this text and --target", 1)
    return [(cells[source], steps[target]) for source, target in links]


def write(path: Path, trace: "Trace", shown: "Trace", look: "Weights", gold: "Collection[Link]") -> None:
    """The file's form goes by its suffix. A page has the words beside the tokens itself."""
    from attend.show.formats import write_npz, write_pharaoh

    match path.suffix.lower():
        case ".png" | ".svg":
            picture(path, look, gold)
        case ".html":
            from attend.show.page import page

            write_text(path, page([trace], trace.output))
        case ".json":
            write_text(path, json.dumps(shown.to_json(), ensure_ascii=False, indent=2) + "\n")
        case ".npz":
            write_npz(path, shown)
        case ".pharaoh":
            write_pharaoh(path, [look])


def write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def picture(path: Path, look: "Weights", gold: "Collection[Link]") -> None:
    """A heat map."""
    from attend.show.figure import heat_map

    with warnings_said(path):
        heat_map(look, path, gold)


@contextmanager
def warnings_said(path: Path) -> Iterator[None]:
    """What a picture warns of, such as a font that is missing, is said once, as the command line says things."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        say(f"attend: {path}: {message}")
