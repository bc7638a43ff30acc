"""`attend show`"""

import os
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from attend.commands.gold import read_gold
from attend.commands.options import GoldForm, InFile, LongestInput, OutFiles, RecipeName, Run, flat, named, parse
from attend.commands.output import check_outputs
from attend.commands.runs import kind_of, model_of, refused, say_changes, say_remarks
from attend.data.files import DataError
from attend.progress import say

if TYPE_CHECKING:
    from attend.attention.trace import Gold, Trace
    from attend.model import Model, Prediction

# Of files in which a person's links are outlined.
OUTLINED = (".png", ".svg", ".html")
# Of files that show a step in full.
OF_A_STEP = (".png", ".svg")
# To leave out each piece of a longer text in turn takes minutes.
LONGEST_EXPLAINED = 500
# What only predictions have.
OF_PREDICTIONS = ("inputs", "target", "subwords", "gold")
NARROWEST = 40


@dataclass(frozen=True)
class Options:
    """Predict from one input and show where the model looked: in the terminal, or as files.

    Attention shows where the model read, not why.

    examples:
      attend show runs/mine "a dog runs"
      attend show runs/mine "a dog runs" --target "ein Hund läuft" --out dog.html dog.png
      attend show runs/mine "a dog" --target "ein Hund" --gold links --gold-form pharaoh --out dog.svg
      attend show runs/digits seven.png --out path.png path.gif path.html
      attend show runs/digits valid:17 --out path.png
      attend show runs/entailment --inputs premise="a dog runs" hypothesis="an animal moves"
      attend show runs/copier "101 010 110 000" --step 5 --out copying.png
      attend show runs/drawer new:3 --out drawing.gif
    """

    run: Run
    """The run folder."""
    input: Positional[Annotated[str | None, arg(metavar="[INPUT]", help_behavior_hint="")]] = None
    """What to predict from: a text, or a file of what the run reads; or valid:17 for example 17 of that part of its own
    data. For a run that draws also new, or new:3 for the third of its new images."""
    inputs: Annotated[tuple[str, ...], arg(metavar="NAME=INPUT [...]", help_behavior_hint="")] = ()
    """Several inputs, by their names."""
    target: Annotated[str | None, arg(metavar="TARGET", help_behavior_hint="")] = None
    """Show this output, instead of what the model predicts: a text, or a class."""
    subwords: bool = False
    """Show tokens as the model has them, not whole words."""
    gold: InFile = None
    """Outline a person's links between the text and --target in pictures and pages: a file with those of this one
    sentence."""
    gold_form: GoldForm = "naacl"
    """As in attend evaluate."""
    step: Annotated[int | None, arg(metavar="STEP", help_behavior_hint="")] = None
    """Of heads over the slots of a memory: the step, from 1, that is shown with the stages of its weights and the
    memory after it. By default the first of the output."""
    longest_input: LongestInput = None
    """Greatest length of an input, in tokens of a text."""
    out: OutFiles = ()
    """Files to write instead: a picture (.png, .svg; of images and memory slots also a moving one, .gif), a page
    (.html), or data (.json, .npz; of tokens also .pharaoh)."""
    recipe: RecipeName = None
    """The run's recipe, where it is of a module from outside of attend."""

    @property
    def files(self) -> tuple[Path, ...]:
        return flat(self.out)


def main(arguments: Sequence[str]) -> int:
    options = parse(Options, "attend show", arguments)
    check(options)
    model = model_of([options.run], options.recipe, longest_input=options.longest_input)
    if hasattr(model, "predict_cases"):
        trace = predicted(model, options)
    elif hasattr(model, "generate"):
        trace = drawn(model, options)
    else:
        problem = f"show does not support {kind_of(model)}: {options.run} is a run of {model.config.recipe!r}"
        raise ValueError(f"{problem}; attend evaluate measures it")
    write(options, trace)
    if not options.files and not looked(trace):
        say("this model has no attention: there is nothing but the output to show")
    return 0


def looked(trace: "Trace") -> bool:
    """Whether it has weights over several cells, or windows."""
    from attend.attention.trace import Windows
    from attend.show.words import drawable

    return bool(drawable(trace)) or any(isinstance(look, Windows) for look in trace.looks.values())


def check(options: Options) -> None:
    """Raises `ValueError` for what can't be meant, before anything slow."""
    from attend.show.export import SUFFIXES

    for path in options.files:
        if path.suffix.lower() not in SUFFIXES:
            raise ValueError(f"{path}: name a file {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    inputs = [options.input, options.gold, *named(options.inputs, "--inputs").values()]
    check_outputs(options.files, inputs, [options.run])
    outlined = any(path.suffix.lower() in OUTLINED for path in options.files)
    if options.gold is not None and (options.target is None or options.subwords or not outlined):
        raise ValueError("--gold needs --target and a picture (--out x.png) of whole words, without --subwords")
    if options.step is not None and options.files and not any(f.suffix.lower() in OF_A_STEP for f in options.files):
        raise ValueError("--step needs a picture (--out x.png or x.svg), or the terminal: other files have every step")
    if options.input is None and not options.inputs:
        raise ValueError("missing input: give a text, a file, or --inputs name=...")
    if options.input is not None and options.inputs:
        raise ValueError(f"unexpected argument {options.input!r} beside --inputs: quote a text that has spaces in it")
    if options.input is not None and not options.input.strip():
        raise ValueError("the input is empty: there is nothing to predict from")


def predicted(model: "Model", options: Options) -> "Trace":
    """The trace of a prediction, or of a given target, with all that the files show."""
    from attend.explore import attributable, explain, worked

    case = case_of(model, options)
    say_remarks(model)
    if options.target is None:
        prediction = model.predict_cases([case])[0][0]
    else:
        prediction = model.force_cases([case], [options.target])[0]
    about = {"run": str(options.run), "recipe": model.config.recipe}
    trace = replace(worked(model, prediction), about=about)
    if any(path.suffix.lower() == ".html" for path in options.files):
        if len(trace.input) > LONGEST_EXPLAINED:
            if attributable(prediction) is not None:
                limit = f"that is for inputs of up to {LONGEST_EXPLAINED} characters"
                say(f"the page is without what the output depends on: {limit}")
        else:
            trace = replace(explain(model, prediction, options.target), about=about)
    return trace if options.gold is None else replace(trace, gold=gold_of(model, options, prediction))


def case_of(model: "Model", options: Options) -> Any:
    """The inputs, prepared: those given, or of the row of the run's own data that is named as valid:17 is."""
    if options.inputs:
        given: dict[str, Any] = named(options.inputs, "--inputs")
        return model.task.case(given)
    assert options.input is not None
    number = own_number(options)
    if number is not None:
        split, place = number
        rows = model.part(split).rows
        if not 1 <= place <= len(rows):
            raise ValueError(f"{options.input}: the part {split} has examples 1 to {len(rows):,}")
        row = rows[place - 1]
        names = {name: row.values[name] for name in model.task.fields}
        return model.task.case(names, row.name or options.input)
    if len(model.task.fields) > 1:
        shown = " ".join(f"{name}=..." for name in model.task.fields)
        raise ValueError(f"{options.run} reads {' and '.join(model.task.fields)}: give them with --inputs {shown}")
    (name,) = model.task.fields
    return model.task.case({name: model.task.fields[name].read(options.input)}, options.input)


def own_number(options: Options) -> tuple[Any, int] | None:
    """The part and the number, from 1, that an input such as valid:17 names; None for the name of a file, or a text."""
    assert options.input is not None
    split, _, number = options.input.partition(":")
    if split not in ("valid", "test") or not number.isdecimal() or os.path.exists(options.input):
        return None
    say_changes(options.run)
    return split, int(number)


def drawn(model: Any, options: Options) -> "Trace":
    """The trace of a new image, or of a drawing of one that is given."""
    import numpy as np

    if wrong := [name for name in OF_PREDICTIONS if getattr(options, name)]:
        raise refused(model, options.run, wrong[0], "has no predictions")
    assert options.input is not None
    word, _, number = options.input.partition(":")
    if word == "new" and (number.isdecimal() or not number) and not Path(options.input).exists():
        if number and int(number) < 1:
            raise ValueError(f"{options.input}: new images are counted from 1")
        found = model.generate(first=int(number or 1) - 1)[0]
    elif (own := own_number(options)) is not None:
        split, place = own
        images = model.part(split)
        if not 1 <= place <= len(images):
            raise ValueError(f"{options.input}: the part {split} has images 1 to {len(images):,}")
        found = next(model.reconstruct_many(images.select(np.array([place - 1])), (options.input,)))
    else:
        found = model.reconstruct(options.input)
    return found.trace(run=str(options.run), recipe=model.config.recipe)


def gold_of(model: "Model", options: Options, prediction: "Prediction") -> "dict[str, Gold]":
    """A person's links, for the first look of tokens at tokens. Raises `DataError` for one outside of the texts."""
    from attend.attention.trace import Gold, Tokens, Weights
    from attend.show.export import gold_cells
    from attend.show.words import merge

    assert options.gold is not None
    for name, look in prediction.looks.items():
        if isinstance(look, Weights) and isinstance(look.memory, Tokens) and isinstance(look.steps, Tokens):
            links = read_gold(options.gold, options.gold_form, 1)[0]
            gold = Gold(tuple(sorted(links.sure)), tuple(sorted(links.possible)))
            try:
                gold_cells(merge(look), gold)
            except ValueError as error:
                raise DataError(options.gold, str(error), "give the alignment of this text and --target", 1) from error
            return {name: gold}
    raise refused(model, options.run, "gold", "has no weights of tokens over a text")


def write(options: Options, trace: "Trace") -> None:
    """The files; without any, the terminal."""
    from attend.show import export
    from attend.show.terminal import describe

    words = False if options.subwords else None
    step = step_of(options, trace)
    for path in options.files:
        export.check(path, trace)
    for path in options.files:
        with warnings_said(path):
            export.write(path, trace, words, step)
    if not options.files:
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        print(describe(trace, max(shutil.get_terminal_size().columns, NARROWEST), colour, words, step))


def step_of(options: Options, trace: "Trace") -> int | None:
    """The step to show in full, from 0. Raises `ValueError` if the trace has no such step, or no heads over slots."""
    from attend.show.slots import slots_of

    if options.step is None:
        return None
    slots = slots_of(trace)
    if slots is None:
        raise ValueError(f"--step is for heads over the slots of a memory, and {options.run} has none: leave it out")
    if not 1 <= options.step <= slots.steps:
        raise ValueError(f"--step {options.step}: name one of the steps 1 to {slots.steps} of input and output")
    return options.step - 1


@contextmanager
def warnings_said(path: Path) -> Iterator[None]:
    """What a picture warns of, such as a font that is missing, is said once, as the command line says things."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        say(f"attend: {path}: {message}")
