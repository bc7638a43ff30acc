"""`attend score`"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from attend.commands.options import Columns, Ensemble, RecipeName, Run, flat, parse
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
    model = model_of((options.run, *flat(options.ensemble)), options.recipe)
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
    done = incomplete = 0
    with counting("examples") as report:
        while chunk := list(islice(given, size)):
            check(model, options.data, chunk)
            cases = [model.task.case(inputs_of(model, row), row.name) for row in chunk]
            for found in model.force_cases(cases, [row.values[TARGET] for row in chunk]):
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
    return 0


def rows(model: "Model", options: Options, log: "Log") -> "Iterator[Row]":
    """The examples, one for each target. Raises `DataError` at a line that is none."""
    from attend.data.tables import read

    # A line is an example, also where several are of one image.
    columns = [replace(column, several=False) for column in model.config.settings.columns()]
    return read(options.data, columns, mapping_of(model, options.data, options.columns), log=log)


def inputs_of(model: "Model", row: "Row") -> dict[str, object]:
    return {name: row.values[name] for name in model.task.fields}


def check(model: "Model", paths: Sequence[str], chunk: "Sequence[Row]") -> None:
    """Raises `DataError` for the first value that can't be used, naming its line."""
    from attend.fields.field import Fault

    found = {name: one.encode([row.values[name] for row in chunk]) for name, one in model.task.fields.items()}
    found[TARGET] = model.task.output.encode([row.values[TARGET] for row in chunk])
    for place, row in enumerate(chunk):
        for column, (name, values) in enumerate(found.items()):
            if isinstance(values[place], Fault):
                path = paths[min(column, len(paths) - 1)]
                advice = "correct or remove the line: there is nothing to score"
                raise DataError(path, f"{name} {values[place]}", advice, row.line or None)
