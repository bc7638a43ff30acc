"""`attend score`"""

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from attend.commands.alignments import AlignmentForm, aligned, write_alignments
from attend.commands.options import Columns, Ensemble, LongestInput, OutFile, RecipeName, Run, flat, named, parse
from attend.commands.output import check_outputs
from attend.commands.runs import check_predicts, columns_of, model_of, say_remarks
from attend.data.examples import TARGET
from attend.data.files import DataError, counted, readable_again
from attend.progress import counting, say

if TYPE_CHECKING:
    from attend.attention.trace import Trace, Weights
    from attend.data.examples import Log, Row
    from attend.model import Model, Prediction
    from attend.task import Case

CHUNK = 2048


@dataclass(frozen=True)
class Options:
    """Write log p(target | inputs) of each example, in nats: a number a line. That of a sequence includes its end.

    An empty line stays empty. An example that can't be scored is named, its line is empty, and the exit status is 2.

    examples:
      attend score runs/mine source.en target.de
      attend score runs/mine pairs.tsv --normalise
      paste source.en target.de | attend score runs/mine
      attend score runs/captions captions.csv --json
      attend score runs/mine source.en target.de --alignments links.pharaoh
    """

    run: Run
    """The run folder."""
    data: Positional[Annotated[tuple[str, ...], arg(metavar="[FILE ...]")]] = ("-",)
    """A table (.tsv, .csv, .jsonl) with a column for each input and one named target, or line-aligned files of these,
    in this order; "-" for tab-separated standard input."""
    longest_input: LongestInput = None
    """Greatest length of an input or a target that varies in it, of a text in tokens. What is longer is named, and its
    line is empty."""
    columns: Columns = ()
    """What the table calls an input or the target, where not by its name."""
    ensemble: Ensemble = ()
    """More runs, of the same vocabulary or classes, whose probabilities are averaged with the first one's."""
    normalise: bool = False
    """Divide by the number of target tokens, the end included."""
    json: bool = False
    """Write an object a line: log_prob, tokens, log_prob_per_token, and unknown: how many tokens of inputs and target
    are in no vocabulary, and are read or scored as <unk>; or why there is none, as left_out."""
    alignments: OutFile = None
    """Write where the model looked as it read each given target to this file, for weights over a text."""
    alignment_form: AlignmentForm = "pharaoh"
    """As of attend predict: pharaoh for "i-j" links, nematus or npz for whole matrices."""
    subwords: bool = False
    """Write alignments of tokens, not of words."""
    recipe: RecipeName = None
    """The run's recipe, where it is of a module from outside of attend."""


def main(arguments: Sequence[str]) -> int:
    options = parse(Options, "attend score", arguments)
    check_outputs([options.alignments], options.data, (options.run, *flat(options.ensemble)))
    model = model_of((options.run, *flat(options.ensemble)), options.recipe, longest_input=options.longest_input)
    check_predicts(model, options.run, "scores of targets")
    given = Given(model, options)
    if options.alignments is None:
        deque(given.written(), maxlen=0)
    else:
        write_alignments(options.alignments, options.alignment_form, given.written())
    say_remarks(model)
    if given.incomplete:
        counts = f"{given.incomplete:,} of {given.done:,} examples"
        say(f"{counts} have tokens that are in no vocabulary (<unk>): --json counts them")
    if given.refused:
        counts = f"{given.refused:,} of {counted(given.done, 'example')}"
        say(f"attend: {counts} could not be scored, and no score is in their lines")
    return 2 if given.refused else 0


class Given:
    """The examples to score, and how many of them could not be, or have tokens in no vocabulary."""

    def __init__(self, model: "Model", options: Options) -> None:
        self.model, self.options = model, options
        self.done = self.incomplete = self.refused = 0

    def rows(self, log: "Log") -> "Iterator[Row | DataError]":
        """The examples, one for each target. Raises `DataError` for what ends reading."""
        from attend.data.tables import scan_each

        # A line is an example, also where several are of one image.
        columns = [replace(column, several=False) for column in columns_of(self.model)]
        return scan_each(self.options.data, columns, named(self.options.columns, "--columns"), log=log)

    def written(self) -> "Iterator[tuple[Trace, Weights]]":
        """Write a line for each example; gives their alignments, if they are wanted."""
        # What ends reading is found before the first score is written.
        count = sum(1 for _ in self.rows(lambda remark: None)) if readable_again(self.options.data) else 0
        rows, run, subwords = self.rows(say), self.options.run, self.options.subwords
        size = CHUNK if any(one.varies for one in self.model.task.fields.values()) else CHUNK // 8
        with counting("examples") as report:
            while chunk := list(islice(rows, size)):
                scored, links = self.scored(chunk), []
                if self.options.alignments is not None:  # what has none is refused before anything is written
                    outputs = [None if isinstance(one, str) else one for one in scored]
                    links = [aligned(self.model, run, output, subwords) for output in outputs]
                for one in scored:
                    print(self.line(one))
                self.done += len(chunk)
                report(self.done, count)
                yield from links

    def scored(self, chunk: "Sequence[Row | DataError]") -> "list[Prediction | str]":
        """Each target as if it were the output; or why there is no score, which is said."""
        task = self.model.task
        rows = [row for row in chunk if not isinstance(row, DataError)]
        columns = {name: one.encode([row.values[name] for row in rows]) for name, one in task.fields.items()}
        columns[TARGET] = task.output.encode(task.joined([row.values[TARGET] for row in rows], columns))
        faults = [self.fault(row, {name: found[n] for name, found in columns.items()}) for n, row in enumerate(rows)]
        good = [number for number, fault in enumerate(faults) if fault is None]

        def case(n: int) -> "Case":
            row, fields = rows[n], task.fields.items()
            return {name: one.prepare(row.values[name], row.name, columns[name][n]) for name, one in fields}

        cases = [case(n) for n in good]
        forced = iter(self.model.force_cases(cases, [rows[n].values[TARGET] for n in good]))
        rest, found = iter(zip(rows, faults, strict=True)), []
        for one in chunk:
            row, fault = (None, one) if isinstance(one, DataError) else next(rest)
            found.append(next(forced) if fault is None else self.refuse(row, fault))
        return found

    def fault(self, row: "Row", encoded: Mapping[str, Any]) -> DataError | None:
        """Why an example can't be scored, by the first of its values that can't be used."""
        from attend.fields.field import Fault, TooLong

        for column, (name, value) in enumerate(encoded.items()):
            if isinstance(value, Fault):
                path = self.options.data[min(column, len(self.options.data) - 1)]
                longer = isinstance(value, TooLong)
                advice = "score more with --longest-input" if longer else "correct or remove the line"
                return DataError(path, f"{name} {value}", advice, row.line or None)
        return None

    def refuse(self, row: "Row | None", fault: DataError) -> str:
        """Says it, unless the whole line is empty."""
        if row is None or any(str(value).strip() for value in row.values.values()):
            say(f"attend: {fault}")
            self.refused += 1
        return fault.problem

    def line(self, found: "Prediction | str") -> str:
        if isinstance(found, str):
            return json.dumps({"log_prob": None, "left_out": found}) if self.options.json else ""
        tokens, unknown = len(found.token_log_probs), found.unknown()
        self.incomplete += unknown > 0
        if not self.options.json:
            return f"{found.log_prob / tokens if self.options.normalise else found.log_prob:.6f}"
        entry = {"log_prob": found.log_prob, "tokens": tokens}
        return json.dumps(entry | {"log_prob_per_token": found.log_prob / tokens, "unknown": unknown})
