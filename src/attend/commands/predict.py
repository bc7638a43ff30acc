"""`attend predict`"""

import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from attend.commands.options import (
    Beam,
    Columns,
    Ensemble,
    LengthPenalty,
    Longest,
    OutFile,
    RecipeName,
    Run,
    flat,
    parse,
)
from attend.commands.output import check_outputs, text_output
from attend.commands.runs import TABLES, check_predicts, mapping_of, model_of, refused
from attend.data.examples import TARGET
from attend.data.files import DataError, counted, locate, readable_again, text_suffix, walk
from attend.progress import counting, say

if TYPE_CHECKING:
    from attend.attention.trace import Trace, Weights
    from attend.data.examples import Log, Row
    from attend.model import Model, Prediction
    from attend.outputs.output import Wanted

    Text = Callable[[Prediction], str]

# Examples read and predicted at a time: enough to put those of like length together, too few to fill the memory.
CHUNK = 2048
# The same where none varies in length, as images don't.
FEW = 256


@dataclass(frozen=True)
class Options:
    """Write a prediction for each example, in order, as the examples come.

    For a run that reads text: a line for each line of a file, or of standard input; for an empty line, an empty line.
    For images: a line for each image file, and for each in a folder. For any run, and always for one of several inputs:
    a line for each row of a table (.tsv, .csv, .jsonl) whose columns bear the inputs' names.

    examples:
      attend predict runs/mine captions.en > captions.de
      cat captions.en | attend predict runs/mine --beam 1
      attend predict runs/mine captions.en --format jsonl --best 5 --out captions.jsonl
      attend predict runs/mine captions.en --alignments captions.pharaoh --ensemble runs/second runs/third
      attend predict runs/digits *.png --format tsv
      attend predict runs/entailment pairs.tsv --best 3 --format jsonl
    """

    run: Run
    """The run folder."""
    files: Positional[Annotated[tuple[str, ...], arg(metavar="[FILE ...]")]] = ("-",)
    """What to predict from: texts, a line each (UTF-8, plain, .gz or .xz; "-" for standard input); image files and
    folders of them; files of features; or tables. A value that can't be used is named, and its line has no answer."""
    ensemble: Ensemble = ()
    """More runs, of the same vocabulary or classes, whose probabilities are averaged with the first one's."""
    weights: Literal["model", "last", "averaged"] = "model"
    """Which weights: those that validated best, the last ones, or their running average."""
    columns: Columns = ()
    """What a table calls an input, where not by its name."""
    beam: Beam = None
    """Hypotheses that the search keeps; 1 is greedy."""
    length_penalty: LengthPenalty = None
    """Exponent of the length that log-probabilities are divided by: 0 for none, 1 for their mean."""
    longest: Longest = None
    """Greatest length of an output, in tokens."""
    best: int = 1
    """Outputs an example, best first; at most as many as --beam where there is a search. Several need --format tsv or
    jsonl."""
    samples: int = 0
    """Random outputs an example, drawn from the model, instead of the best. Several need --format tsv or jsonl."""
    seed: int = 1
    """Of the samples."""
    format: Literal["text", "tsv", "jsonl"] = "text"
    """The output; or score and output (of several: line, rank, score, output; of images: file, score, output); or an
    object a line, with attention (of images: the whole trace)."""
    replace_unknown: bool = False
    """Put the source word that was looked at most in the place of <unk> (for word vocabularies)."""
    alignments: OutFile = None
    """Write the attention of each example's first output to this file too, for weights over a text."""
    alignment_form: Literal["pharaoh", "nematus"] = "pharaoh"
    """pharaoh: "i-j" links, source before target, counted from 0. nematus: whole matrices."""
    subwords: bool = False
    """Write alignments of tokens, not of words."""
    out: OutFile = None
    """Write the outputs to this file, not to standard output; it appears when all are there."""
    recipe: RecipeName = None
    """The run's recipe, where it is of a module from outside of attend."""

    @property
    def several(self) -> bool:
        return max(self.best, self.samples) > 1


def main(arguments: Sequence[str]) -> int:
    options = parse(Options, "attend predict", arguments)
    check_outputs([options.out, options.alignments], options.files, (options.run, *flat(options.ensemble)))
    for name, least in (("samples", 0), ("best", 1)):
        if getattr(options, name) < least:
            raise ValueError(f"--{name} is {getattr(options, name)}: it must be at least {least}")
    if options.best > 1 and options.samples:
        raise ValueError("--best and --samples exclude one another: leave out one of them")
    if options.format == "text" and options.several:
        raise ValueError("several outputs an example need --format tsv or --format jsonl")
    model = model_of((options.run, *flat(options.ensemble)), options.recipe, options.weights)
    check_predicts(model, options.run)
    return predict(model, options)


def predict(model: "Model", options: Options) -> int:
    """A line, or several, for each example. Gives the exit status."""
    text = text_of(model, options)
    given = Given(model, options)
    check_outputs([options.out, options.alignments], given.files)
    if options.files == ("-",) and sys.stdin.isatty():
        say("reading from the terminal, an input a line; Ctrl-D ends it")
    form = Form(model, options, given, text)
    with text_output(options.out) as file:

        def written() -> "Iterator[tuple[Trace, Weights]]":
            for chunk in predictions(model, options, given):
                links: list[tuple[Trace, Weights]] = []
                if options.alignments is not None:  # what has none is refused before anything is written
                    links = [aligned(model, options, outputs[0] if outputs else None) for _, outputs in chunk]
                for row, outputs in chunk:
                    file.write(form(row, outputs))
                file.flush()
                yield from links

        if options.alignments is None:
            deque(written(), maxlen=0)
        else:
            write_alignments(options.alignments, options, written())
    if given.refused:
        counts = f"{given.refused:,} of {counted(given.done, given.noun)}"
        say(f"attend: {counts} could not be used, and no answer is in their lines")
    return 2 if given.refused else 0


class Given:
    """The examples to predict from, and how many of them could not be used."""

    def __init__(self, model: "Model", options: Options) -> None:
        self.model = model
        self.paths, self.mapping = options.files, mapping_of(model, options.files, options.columns, target=False)
        columns = model.config.settings.columns()
        self.inputs, self.columns = columns[:-1], columns
        self.single = self.inputs[0] if len(self.inputs) == 1 else None
        self.kinds = [one.kind for one in model.config.settings.fields().values()]
        # A text stands for itself; what is read from files has a name.
        self.named = self.single is not None and self.kinds != ["text"]
        # Images that are named one by one, each to be read on its own.
        self.files = [image for name in options.files for image in self.images(name)]
        self.noun = "line" if not self.named else "file" if self.files else "row"
        self.done = self.refused = 0

    def images(self, name: str) -> list[str]:
        """The file itself, or the images in a folder; none for a table. Raises `DataError` if there is none."""
        if self.single is None or not self.single.files:
            return []
        if name == "-":
            raise ValueError(f"{self.model.config.recipe!r} reads files: name them, or a table that does")
        from attend.data.arrays import holds_arrays

        place = locate(name)
        if not place.is_dir():
            return [] if text_suffix(name) in TABLES or holds_arrays(name) else [name]
        suffixes = self.single.suffixes
        found = [str(folder / file) for folder, _, files in walk(place) for file in files]
        found = [file for file in found if file.lower().endswith(suffixes)]
        if not found:
            raise DataError(name, f"holds no {', '.join(suffixes)} files", "name the files, or the folder of them")
        return found

    def rows(self, log: "Log" = say) -> "Iterator[Row]":
        """All examples. Raises `DataError` for a line that is none. `log` takes remarks."""
        from attend.data.examples import Row
        from attend.data.tables import read

        # Of several inputs, line-aligned files are one for each.
        for paths in [self.paths] if self.single is None else [(path,) for path in self.paths]:
            files = self.images(paths[0])
            for path in files:
                assert self.single is not None
                yield Row({self.single.name: locate(path)}, path)
            if files:
                continue
            # Rows that name the same file are told apart.
            columns = [replace(column, several=False) for column in self.columns]
            for row in read(paths, columns, self.mapping, {TARGET}, log):
                yield replace(row, name=f"{paths[0]}:{row.line}") if self.named and row.name[:5] == "line " else row

    def count(self) -> int:
        """How many there are, where that can be known before; a line that is no text is found by it."""
        if self.single is not None and self.single.files:
            return 0 if any(not self.images(path) for path in self.paths) else len(self.files)
        return sum(1 for _ in self.rows(lambda remark: None)) if readable_again(self.paths) else 0

    def case(self, row: "Row") -> Any:
        """The example's inputs; None for an empty text, and for what can't be used, which is said."""
        values = {column.name: row.values[column.name] for column in self.inputs}
        if self.single is not None and not self.named and not str(values[self.single.name]).strip():
            return None
        try:
            return self.model.task.case(values, row.name)
        except (DataError, ValueError) as error:
            place = "" if self.files and isinstance(error, DataError) else f"{row.name}: "
            say(f"attend: {place}{error}")
            self.refused += 1
            return None


def predictions(model: "Model", options: Options, given: Given) -> "Iterator[list[tuple[Row, list[Prediction]]]]":
    """Each example with its outputs, chunk by chunk: none for an empty text, nor for what can't be used."""
    how = model.how(beam=options.beam, length_penalty=options.length_penalty, longest=options.longest)
    wanted = wanted_of(model, options)
    count, rows = given.count(), given.rows()
    size = CHUNK if any(one.varies for one in model.task.fields.values()) else min(FEW, CHUNK)
    with counting(f"{given.noun}s") as report:
        while chunk := list(islice(rows, size)):
            cases = [given.case(row) for row in chunk]
            usable = [case for case in cases if case is not None]
            before = given.done

            def tell(part: int, of: int, before: int = before) -> None:
                report(before + part, count)

            found = iter(model.predict_cases(usable, how, wanted, tell) if usable else ())
            given.done += len(chunk)
            yield [(row, [] if case is None else next(found)) for row, case in zip(chunk, cases, strict=True)]


def wanted_of(model: "Model", options: Options) -> "Wanted":
    import torch

    from attend.outputs.output import Wanted
    from attend.task import device_of

    generator = torch.Generator(device_of(model.system)).manual_seed(options.seed)
    return Wanted(options.best, options.samples, generator)


class Form:
    """How an example and its outputs are written."""

    def __init__(self, model: "Model", options: Options, given: Given, text: "Text") -> None:
        self.options, self.given, self.text = options, given, text
        self.write = {"text": self.as_text, "tsv": self.as_tsv, "jsonl": self.as_json}[options.format]
        self.number = 0

    def __call__(self, row: "Row", outputs: "Sequence[Prediction]") -> str:
        self.number += 1
        return self.write(row, outputs)

    def as_text(self, row: "Row", outputs: "Sequence[Prediction]") -> str:
        return (one_line(self.text(outputs[0])) if outputs else "") + "\n"

    def as_tsv(self, row: "Row", outputs: "Sequence[Prediction]") -> str:
        scored = [f"{output.score:.6f}\t{one_line(self.text(output))}\n" for output in outputs] or ["\t\n"]
        start = f"{one_line(row.name)}\t" if self.given.named else f"{self.number}\t" if self.options.several else ""
        if self.options.several:
            return "".join(f"{start}{rank}\t{line}" for rank, line in enumerate(scored, start=1))
        return start + scored[0]

    def as_json(self, row: "Row", outputs: "Sequence[Prediction]") -> str:
        if not self.given.named:
            return as_line({"input": self.input(row), "outputs": [self.entry(output) for output in outputs]})
        if not outputs:
            return as_line({"input": row.name, "text": None, "score": None, "trace": None})
        first = outputs[0]
        found = {"input": row.name, "text": self.text(first), "score": first.score, "trace": first.trace().to_json()}
        if self.options.several:
            found["outputs"] = [self.entry(output) for output in outputs]
        return as_line(found)

    def input(self, row: "Row") -> str | dict[str, str]:
        """The text, or all inputs by name."""
        values = {column.name: str(row.values[column.name]) for column in self.given.inputs}
        return values if self.given.single is None else values[self.given.single.name]

    def entry(self, output: "Prediction") -> dict[str, Any]:
        trace = output.trace().to_json()
        found = {"text": self.text(output), "score": output.score, "log_prob": output.log_prob}
        found |= {"tokens": [token.text for token in output.tokens], "token_log_probs": trace["scores"]}
        found |= {"finished": output.finished, "unknown": output.unknown()}
        if probabilities := output.probabilities:
            found["probabilities"] = {name: float(f"{share:.6g}") for name, share in probabilities.items()}
        return found if self.given.named else found | {"attention": next(iter(trace["looks"].values()), None)}


def as_line(found: dict[str, Any]) -> str:
    return json.dumps(found, ensure_ascii=False) + "\n"


def one_line(text: str) -> str:
    """The text with a space for what would end its line or column."""
    return text.translate({ord(character): " " for character in "\t\r\n"})


def text_of(model: "Model", options: Options) -> "Text":
    """How an output's text is taken: as it is, or with its unknown words replaced."""
    if not options.replace_unknown:
        return lambda prediction: prediction.text
    unit = getattr(model.config.settings.output, "unit", None)
    if unit != "word":
        why = "has no tokens of a vocabulary" if unit is None else f"is of unit {unit!r}, not of words"
        raise refused(model, options.run, "replace_unknown", why)

    def replaced(prediction: "Prediction") -> str:
        return replace_unknown(prediction, token_look(model, options, prediction, "replace_unknown"))

    return replaced


def replace_unknown(prediction: "Prediction", look: "Weights") -> str:
    """The output with each unknown word replaced by the source word looked at most (Jean et al. 2015, section 3.3)."""
    from attend.contract import END, UNKNOWN

    labels = look.memory.labels()
    words = []
    for row, token, number in zip(look.weights, prediction.tokens, prediction.ids, strict=True):
        if number == UNKNOWN:
            words.append(labels[int(row[:-1].argmax())])  # the last cell is the text's end
        elif number != END:
            words.append(token.text)
    return " ".join(words)


def token_look(model: "Model", options: Options, prediction: "Prediction", flag: str) -> "Weights":
    """The first look with weights of tokens over tokens. Raises `ValueError`, naming the flag, where there is none."""
    from attend.attention.trace import Tokens, Weights

    for look in prediction.looks.values():
        if isinstance(look, Weights) and isinstance(look.memory, Tokens) and isinstance(look.steps, Tokens):
            return look
    raise refused(model, options.run, flag, "has no weights of tokens over a text")


def aligned(model: "Model", options: Options, output: "Prediction | None") -> "tuple[Trace, Weights]":
    """An output's trace, with the look to write; for an empty text an empty one, so that lines stay in step."""
    import numpy as np

    from attend.attention.trace import Tokens, Trace, Weights
    from attend.show.words import merge

    if output is None:
        nowhere = Tokens("", ())
        look = Weights(np.zeros((0, 0)), nowhere, nowhere)
        return Trace("", "", {"source": look}, ()), look
    look = token_look(model, options, output, "alignments")
    look = look if options.subwords else merge(look)
    return replace(output.trace(), looks={"source": look}, media={}), look


def write_alignments(path: Path, options: Options, found: "Iterable[tuple[Trace, Weights]]") -> None:
    from attend.show.formats import write_nematus, write_pharaoh

    if options.alignment_form == "pharaoh":
        write_pharaoh(path, (look for _, look in found))
    else:
        write_nematus(path, (trace for trace, _ in found))
