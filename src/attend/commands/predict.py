"""`attend predict`"""

import json
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from attend.commands.alignments import AlignmentForm, aligned, token_look, write_alignments
from attend.commands.options import (
    Beam,
    Columns,
    Ensemble,
    LengthPenalty,
    Longest,
    LongestInput,
    NgramSize,
    NoUnknown,
    OutFile,
    RecipeName,
    Run,
    flat,
    named,
    parse,
)
from attend.commands.output import check_outputs, text_output
from attend.commands.runs import (
    TABLES,
    check_predicts,
    columns_of,
    model_of,
    refused,
    say_remarks,
    search_of,
)
from attend.data.examples import TARGET
from attend.data.files import DataError, counted, locate, readable_again, text_suffix
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
# Cells of inputs, such as tokens, that are predicted from at a time, each once for every output that is wanted: the
# attention of all of them is kept until they are written.
CHUNK_CELLS = 2**16


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
    """Greatest length of an output, in tokens: what has not ended by then is cut there, and counted."""
    longest_input: LongestInput = None
    """Greatest length of an input that varies in it, of a text in tokens. What is longer is named, and not answered."""
    no_repeat_ngram: NgramSize = None
    """Write no n-gram of this many tokens twice, against outputs that go round in a loop; 0 allows all."""
    no_unknown: NoUnknown = False
    """Never write <unk>."""
    best: int = 1
    """Outputs an example, best first and no text twice; at most as many as --beam where there is a search. Several need
    --format tsv or jsonl."""
    samples: int = 0
    """Random outputs an example, drawn from the model, instead of the best. Several need --format tsv or jsonl."""
    seed: int = 1
    """Of the samples."""
    format: Literal["text", "tsv", "jsonl"] = "text"
    """The output; or score and output (of several: line, rank, score, output; of images: file, score, output); or an
    object a line, with attention (of images: the whole trace), whether the output is finished, how many tokens are
    unknown, and why an example was left out. The score of a sequence is its log-probability, END included, divided by
    length^length_penalty; that of a class its log-probability."""
    replace_unknown: bool = False
    """Put the source word that was looked at most in the place of <unk> (for word vocabularies)."""
    alignments: OutFile = None
    """Write the attention of each example's first output to this file too, for weights over a text."""
    alignment_form: AlignmentForm = "pharaoh"
    """pharaoh: "i-j" links, source before target, counted from 0. nematus: whole matrices. npz: the same as NumPy
    arrays: "7/weights" of example 7, a row for each word of the output, with "7/source" and "7/target"."""
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
    runs = (options.run, *flat(options.ensemble))
    model = model_of(runs, options.recipe, options.weights, options.longest_input)
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
                    links = [aligned(model, options.run, first(one), options.subwords) for one in chunk]
                for one in chunk:
                    file.write(form(one))
                    given.note(one.outputs)
                file.flush()
                yield from links

        if options.alignments is None:
            deque(written(), maxlen=0)
        else:
            write_alignments(options.alignments, options.alignment_form, written())
    say_remarks(model)
    if given.cut:
        say(f"{counted(given.cut, 'output')} cut at the greatest length (--longest; finished in --format jsonl)")
    if given.loops:
        say(f"{counted(given.loops, 'output')} in a loop, the same tokens again and again: try --no-repeat-ngram 3")
    if given.incomplete:
        counts = f"{given.incomplete:,} of {counted(given.done, given.noun)}"
        say(f"{counts} with tokens that are in no vocabulary (<unk>): --format jsonl counts them")
    if given.refused:
        counts = f"{given.refused:,} of {counted(given.done, given.noun)}"
        say(f"attend: {counts} could not be used, and no answer is in their lines")
    return 2 if given.refused else 0


@dataclass(frozen=True)
class Answer:
    """An example with its outputs: none for an empty text, nor for one that can't be used, and why (`left_out`)."""

    row: "Row"
    outputs: "Sequence[Prediction]"
    left_out: str | None = None


def first(answer: Answer) -> "Prediction | None":
    return answer.outputs[0] if answer.outputs else None


class Given:
    """The examples to predict from, and how many of them could not be used."""

    def __init__(self, model: "Model", options: Options) -> None:
        self.model = model
        self.paths, self.mapping = options.files, named(options.columns, "--columns")
        columns = columns_of(model)
        self.inputs, self.columns = columns[:-1], columns
        self.single = self.inputs[0] if len(self.inputs) == 1 else None
        self.kinds = [one.kind for one in model.config.settings.fields().values()]
        # A text stands for itself; what is read from files has a name.
        self.named = self.single is not None and self.kinds != ["text"]
        # Images that are named one by one, each to be read on its own.
        self.images = {name: self.images_of(name) for name in options.files}
        self.files = [image for name in options.files for image in self.images[name]]
        self.noun = "line" if not self.named else "file" if self.files else "row"
        self.done = self.refused = self.incomplete = self.cut = self.loops = 0

    def images_of(self, name: str) -> list[str]:
        """The file itself, or the images in a folder, where others are said; none for a table.

        Raises `DataError` for a folder without any.
        """
        if self.single is None or not self.single.files:
            return []
        if name == "-":
            raise ValueError(f"{self.model.config.recipe!r} reads files: name them, or a table that does")
        from attend.data.arrays import holds_arrays
        from attend.data.folders import list_files

        if not locate(name).is_dir():
            return [] if text_suffix(name) in TABLES or holds_arrays(name) else [name]
        found, folder = list_files(name, self.single)
        if folder.left_out:
            say(f"{name}: {folder}")
        return found

    def rows(self, log: "Log" = say) -> "Iterator[Row | DataError]":
        """All examples, with an error in the place of each that can't be read. `log` takes remarks.

        Raises `DataError` for what ends reading.
        """
        from attend.data.examples import Row
        from attend.data.tables import scan_each

        # Of several inputs, line-aligned files are one for each.
        for paths in [self.paths] if self.single is None else [(path,) for path in self.paths]:
            files = self.images[paths[0]]
            for path in files:
                assert self.single is not None
                yield Row({self.single.name: locate(path)}, path)
            if files:
                continue
            # Rows that name the same file are told apart.
            columns = [replace(column, several=False) for column in self.columns]
            for row in scan_each(paths, columns, self.mapping, {TARGET}, log):
                if self.named and isinstance(row, Row) and row.name[:5] == "line ":
                    row = replace(row, name=f"{paths[0]}:{row.line}")
                yield row

    def count(self) -> int:
        """How many there are, where that can be known before; what ends reading is found by it."""
        if self.single is not None and self.single.files:
            return len(self.files) if all(self.images.values()) else 0
        return sum(1 for _ in self.rows(lambda remark: None)) if readable_again(self.paths) else 0

    def case(self, row: "Row | DataError") -> Any:
        """The example's inputs; None for an empty text; for what can't be used, which is said, the reason."""
        if isinstance(row, DataError):
            return self.refuse(str(row), row)
        values = {column.name: row.values[column.name] for column in self.inputs}
        if self.single is not None and not self.named and not str(values[self.single.name]).strip():
            return None
        try:
            return self.model.task.case(values, row.name)
        except (DataError, ValueError) as error:
            place = "" if self.files and isinstance(error, DataError) else f"{row.name}: "
            return self.refuse(f"{place}{error}", error)

    def refuse(self, said: str, error: ValueError) -> str:
        say(f"attend: {said}")
        self.refused += 1
        return error.problem if isinstance(error, DataError) else str(error)

    def note(self, outputs: "Sequence[Prediction]") -> None:
        """Count what is wrong with an example's outputs."""
        self.incomplete += bool(outputs) and outputs[0].unknown() > 0
        self.cut += sum(not output.finished for output in outputs)
        self.loops += sum(output.loops for output in outputs)


def predictions(model: "Model", options: Options, given: Given) -> Iterator[list[Answer]]:
    """Each example with its outputs, chunk by chunk."""
    how = model.how(**search_of(options))
    wanted = wanted_of(model, options)
    count, rows = given.count(), given.rows()
    with counting(f"{given.noun}s") as report:
        while chunk := some(model, options, given, rows):
            usable = [case for _, case in chunk if not isinstance(case, str | None)]
            before, here = given.done, len(chunk)

            def tell(part: int, of: int, share: float | None = None, /, before: int = before, here: int = here) -> None:
                report(before + part, count, (before + here * (share or 0.0)) / count if count else None)

            found = iter(model.predict_cases(usable, how, wanted, tell) if usable else ())
            given.done += len(chunk)
            yield [answer(row, case, found, given.named) for row, case in chunk]


def answer(row: "Row | DataError", case: Any, found: "Iterator[list[Prediction]]", named: bool) -> Answer:
    """An example with its outputs, the next of those found; or with the reason, its case, why it has none."""
    from attend.data.examples import Row

    if isinstance(row, DataError):
        row = Row({}, f"{row.file}:{row.line}" if named else f"line {row.line}", row.line or 0)
    return Answer(row, [] if isinstance(case, str | None) else next(found), case if isinstance(case, str) else None)


def some(
    model: "Model", options: Options, given: Given, rows: "Iterator[Row | DataError]"
) -> "list[tuple[Row | DataError, Any]]":
    """The next examples with their inputs: so many that their outputs, with attention, fit into memory."""
    most = CHUNK if any(one.varies for one in model.task.fields.values()) else min(FEW, CHUNK)
    cells, found = CHUNK_CELLS // max(options.best, options.samples, 1), []
    for row in islice(rows, most):
        case = given.case(row)
        found.append((row, case))
        cells -= 0 if isinstance(case, str | None) else model.task.case_lengths([case])[0]
        if cells <= 0:
            break
    return found


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

    def __call__(self, answer: Answer) -> str:
        self.number += 1
        return self.write(answer)

    def as_text(self, answer: Answer) -> str:
        return (one_line(self.text(answer.outputs[0])) if answer.outputs else "") + "\n"

    def as_tsv(self, answer: Answer) -> str:
        scored = [f"{output.score:.6f}\t{one_line(self.text(output))}\n" for output in answer.outputs] or ["\t\n"]
        name = one_line(answer.row.name)
        start = f"{name}\t" if self.given.named else f"{self.number}\t" if self.options.several else ""
        if self.options.several:
            return "".join(f"{start}{rank}\t{line}" for rank, line in enumerate(scored, start=1))
        return start + scored[0]

    def as_json(self, answer: Answer) -> str:
        row, outputs = answer.row, answer.outputs
        why = {} if answer.left_out is None else {"left_out": answer.left_out}
        if not self.given.named:
            return as_line({"input": self.input(row), "outputs": [self.entry(output) for output in outputs]} | why)
        if not outputs:
            return as_line({"input": row.name, "text": None, "score": None, "trace": None} | why)
        first = outputs[0]
        found = {"input": row.name, "text": self.text(first), "score": first.score, "trace": first.trace().to_json()}
        found |= {"finished": first.finished, "unknown": first.unknown()}
        if self.options.several:
            found["outputs"] = [self.entry(output) for output in outputs]
        return as_line(found)

    def input(self, row: "Row") -> Any:
        """The text, or all inputs by name; None for what could not be read."""
        if not row.values:
            return None
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
        return replace_unknown(prediction, token_look(model, options.run, prediction, "replace_unknown"))

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
