"""`attend score`"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from attend.commands.options import Columns, Ensemble, LongestInput, RecipeName, Run, flat, parse
from attend.commands.runs import check_predicts, mapping_of, model_of
from attend.data.examples import TARGET
from attend.data.files import DataError, readable_again
from attend.progress import counting, say

if TYPE_CHECKING:
    from attend.data.examples import Log, Row
    from attend.model import Model

CHUNK = 2048


@dataclass(frozen=True)
class Options:
    """Write log p(target | inputs) of each example, in nats: a number a line. That of a sequence includes its end.

    examples:
      attend score runs/mine source.en target.de
      attend score runs/mine pairs.tsv --normalise
      paste source.en target.de | attend score runs/mine
      attend score runs/captions captions.csv --json
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
    are in no vocabulary, and are read or scored as <unk>."""
    recipe: RecipeName = None
    """The run's recipe, where it is of a module from outside of attend."""


def main(arguments: Sequence[str]) -> int:
    options = parse(Options, "attend score", arguments)
    model = model_of((options.run, *flat(options.ensemble)), options.recipe, longest_input=options.longest_input)
    check_predicts(model, options.run, "scores of targets")
    size = CHUNK if any(one.varies for one in model.task.fields.values()) else CHUNK // 8
    count = 0
    if readable_again(options.data):
        # An example that can't be scored is found before the others are.
        rest = rows(model, options, lambda remark: None)
        while chunk := list(islice(rest, size)):
            check(model, options.data, chunk)
            count += len(chunk)
    given = rows(model, options, say)
    done = incomplete = refused = 0
    with counting("examples") as report:
        while chunk := list(islice(given, size)):
            problems = check(model, options.data, chunk)
            usable = [row for place, row in enumerate(chunk) if place not in problems]
            cases = [model.task.case(inputs_of(model, row), row.name) for row in usable]
            scored = iter(model.force_cases(cases, [row.values[TARGET] for row in usable]))
            for place in range(len(chunk)):
                if place in problems:
                    refused += 1
                    say(f"attend: {problems[place]}")
                    print(json.dumps({"log_prob": None, "problem": str(problems[place])}) if options.json else "")
                    continue
                found = next(scored)
                tokens, unknown = len(found.token_log_probs), found.unknown()
                incomplete += unknown > 0
                if options.json:
                    entry = {"log_prob": found.log_prob, "tokens": tokens}
                    print(json.dumps(entry | {"log_prob_per_token": found.log_prob / tokens, "unknown": unknown}))
                else:
                    print(f"{found.log_prob / tokens if options.normalise else found.log_prob:.6f}")
            done += len(chunk)
            report(done, count)
    if incomplete:
        say(f"{incomplete:,} of {done:,} examples have tokens that are in no vocabulary (<unk>): --json counts them")
    if refused:
        say(f"attend: {refused:,} of {done:,} examples could not be used, and no number is in their lines")
    return 2 if refused else 0


def rows(model: "Model", options: Options, log: "Log") -> "Iterator[Row]":
    """The examples, one for each target. Raises `DataError` at a line that is none."""
    from attend.data.tables import read

    # A line is an example, also where several are of one image.
    columns = [replace(column, several=False) for column in model.config.settings.columns()]
    return read(options.data, columns, mapping_of(model, options.data, options.columns), log=log)


def inputs_of(model: "Model", row: "Row") -> dict[str, object]:
    return {name: row.values[name] for name in model.task.fields}


def check(model: "Model", paths: Sequence[str], chunk: "Sequence[Row]") -> dict[int, DataError]:
    """What is too long to be scored, by its place. Raises `DataError` for the first value that can't be used otherwise,
    naming its line."""
    from attend.fields.field import Fault, TooLong

    found = {name: one.encode([row.values[name] for row in chunk]) for name, one in model.task.fields.items()}
    found[TARGET] = model.task.output.encode([row.values[TARGET] for row in chunk])
    problems: dict[int, DataError] = {}
    for place, row in enumerate(chunk):
        for column, (name, values) in enumerate(found.items()):
            if isinstance(fault := values[place], Fault):
                path, what = paths[min(column, len(paths) - 1)], f"{name} {fault}"
                if isinstance(fault, TooLong):
                    problems[place] = DataError(path, what, "score more with --longest-input", row.line or None)
                    continue
                raise DataError(path, what, "correct or remove the line: there is nothing to score", row.line or None)
    return problems
