"""`attend evaluate`"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from attend.commands.alignments import token_look
from attend.commands.gold import read_gold
from attend.commands.options import (
    Beam,
    Columns,
    Data,
    Ensemble,
    GoldForm,
    InFile,
    LengthPenalty,
    Longest,
    LongestInput,
    NgramSize,
    NoUnknown,
    OutFile,
    RecipeName,
    Run,
    flat,
    parse,
)
from attend.commands.output import check_outputs, print_json, print_tables
from attend.commands.runs import given_part, model_of, refused, say_changes, search_of
from attend.data.examples import TARGET
from attend.data.files import DataError
from attend.progress import counting

if TYPE_CHECKING:
    from attend.contract import Evaluation
    from attend.inspect.alignment import Links
    from attend.model import Model
    from attend.task import Part

# Options of how outputs are searched for, and others that are of predictions.
SEARCH = ("beam", "length_penalty", "longest", "no_repeat_ngram", "no_unknown")
OF_PREDICTIONS = ("data", "columns", *SEARCH, "gold")


@dataclass(frozen=True)
class Options:
    """Measure a run: how good its outputs are, its loss, and what its attention is like.

    Examples that can't be used, such as those with an empty side, are left out and counted.

    examples:
      attend evaluate runs/mine
      attend evaluate runs/mine --data test.en test.de --beam 10 --json
      attend evaluate runs/digits --data photos
      attend evaluate runs/mine --data gold.en gold.de --gold links.naacl
      attend evaluate runs/mine --split test --record results/mine.json
    """

    run: Run
    """The run folder."""
    ensemble: Ensemble = ()
    """More runs, of the same vocabulary or classes, whose probabilities are averaged with the first one's."""
    data: Data = ()
    """A table (.tsv, .csv, .jsonl), line-aligned files, one for each input and the target, or a folder: instead of a
    split."""
    columns: Columns = ()
    """What the table of --data calls an input or the target, where not by its name."""
    split: Literal["train", "valid", "test"] = "valid"
    """The part of the run's own data: "train" to choose among runs that differ in their seeds alone."""
    beam: Beam = None
    """Hypotheses that the search keeps; 1 is greedy."""
    length_penalty: LengthPenalty = None
    """Exponent of the length that log-probabilities are divided by: 0 for none, 1 for their mean."""
    longest: Longest = None
    """Greatest length of an output, in tokens: what has not ended by then is cut there."""
    longest_input: LongestInput = None
    """Greatest length of an input that varies in it, and of a target, in tokens of a text. Longer ones are left out."""
    no_repeat_ngram: NgramSize = None
    """Write no n-gram of this many tokens twice; 0 allows all."""
    no_unknown: NoUnknown = False
    """Never write <unk>."""
    gold: InFile = None
    """Word alignments of the same lines, made by people: adds the alignment error rate."""
    gold_form: GoldForm = "naacl"
    """naacl: "sentence source target S", counted from 1. pharaoh: "i-j" or "ipj", counted from 0; pharaoh-1: from 1."""
    record: OutFile = None
    """Write a results record too: figures with commands, commit, seed, machine, times and learning curve."""
    json: bool = False
    """Print one JSON object."""
    recipe: RecipeName = None
    """The run's recipe, where it is of a module from outside of attend."""


def main(arguments: Sequence[str]) -> int:
    options = parse(Options, "attend evaluate", arguments)
    from attend.inspect.assessment import figure_rows, tables
    from attend.record import beside_figures, result
    from attend.run import RunConfig, provenance, read_json, write_json

    if options.columns and not options.data:
        raise ValueError("--columns is of the table that --data names: give that too")
    runs = (options.run, *flat(options.ensemble))
    if options.record is not None:
        check_record(options.record)
        check_outputs([options.record], [*options.data, options.gold], runs)
    if options.record is not None:
        for run in runs:
            read_json(run / "training.json")  # a run that has not come to its end has none
    model = model_of(runs, options.recipe, longest_input=options.longest_input)
    started = time.monotonic()
    if hasattr(model, "evaluate_part"):
        how, found = evaluate(model, options)
    else:
        if wrong := [name for name in OF_PREDICTIONS if getattr(options, name)]:
            why = "is not searched for" if wrong[0] in SEARCH else "is measured on parts of its own data alone"
            raise refused(model, options.run, wrong[0], why)
        say_changes(options.run)
        with counting("examples") as report:
            how, found = model.config.settings.decoding, model.evaluate(options.split, report)
    files, name = options.data or model.task.files(options.split), model.config.settings.data.name
    evaluated = {
        "recipe": model.config.recipe,
        "runs": [str(run) for run in runs],
        "data": ", ".join(files) if options.data or not name else name,
        "files": list(files),
        "split": None if options.data else options.split,
        "count": len(found.outputs),
        **asdict(how),
        "seconds": round(time.monotonic() - started, 2),
    }
    beside = beside_figures(found)
    if options.record is not None:
        nested = evaluated | beside | {"figures": found.figures}
        configs = [RunConfig.read(run, options.recipe) for run in runs]
        write_json(options.record, result(runs, configs, nested, provenance()["command"]))
    if options.json:
        signature = {"signature": found.signatures["bleu"]} if "bleu" in found.signatures else {}
        print_json(evaluated | found.figures | signature | beside)
    else:
        split = "" if options.data else f", {options.split}"
        search = "".join(f", {name.replace('_', ' ')} {value:g}" for name, value in asdict(how).items())
        print(f"{evaluated['data']}{split}: {len(found.outputs):,} examples{search}\n")
        print_tables(figure_rows(found.figures, found.intervals), *tables(found.confusion))
        for remark in found.remarks:
            print(remark)
        for name, signature in found.signatures.items():
            print(f"{name}: {signature}")
    return 0


def check_record(path: Path) -> None:
    """Raises `ValueError` for what is not named as a results record, or is there and is none."""
    if path.suffix.lower() != ".json":
        raise ValueError(f"{path}: a results record is a .json file")
    if path.exists():
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            content = None
        if not isinstance(content, dict) or not {"recipe", "metrics"} <= content.keys():
            raise ValueError(f"{path} exists and is no results record: name another file")


def evaluate(model: "Model", options: Options) -> "tuple[Any, Evaluation]":
    """How outputs were searched for, and what was found."""
    how = model.how(**search_of(options))
    if options.data:
        part, lines = given_part(model, options.data, options.columns)
    else:
        say_changes(options.run)
        part = model.part(options.split)
        lines = max(row.line for row in part.rows)
    gold = None if options.gold is None else gold_of(options, part, lines)
    with counting("outputs") as report:
        found = model.evaluate_part(part, how, report)
    if gold is None:
        return how, found
    return how, replace(found, figures=found.figures | alignment_figures(model, options, part, gold))


def gold_of(options: Options, part: "Part", lines: int) -> "list[Links]":
    """The gold links of each example."""
    assert options.gold is not None
    if wrong := [row.name for row in part.rows if not 1 <= row.line <= lines]:
        raise DataError(options.gold, f"the example {wrong[0]} stands in no line", "give --data with files of lines")
    answers = read_gold(options.gold, options.gold_form, lines)
    return [answers[row.line - 1] for row in part.rows]


def alignment_figures(model: "Model", options: Options, part: "Part", gold: "Sequence[Links]") -> dict[str, float]:
    """How well the words that the model looked at most, as it read the given targets, agree with gold links."""
    from attend.inspect.alignment import alignment_error_rate, alignment_precision, alignment_recall, links
    from attend.show.words import merge

    targets = [model.task.output.singles(row.values[TARGET])[0] for row in part.rows]
    given = model.force_cases(model.task.cases(part), targets)
    aligned = []
    for row, found, answer in zip(part.rows, given, gold, strict=True):
        look: Any = merge(token_look(model, options.run, found, "gold"))
        sizes = [sum(token.start is not None for token in axis.tokens) for axis in (look.memory, look.steps)]
        if any(source >= sizes[0] or target >= sizes[1] for source, target in answer.possible):
            problem = f"pair {row.line} has {sizes[0]} and {sizes[1]} words, but its gold links go beyond them"
            raise DataError(str(options.gold), problem, "give the links of these texts")
        aligned.append(links(look))
    return {
        "alignment_error_rate": alignment_error_rate(aligned, gold),
        "alignment_precision": alignment_precision(aligned, gold),
        "alignment_recall": alignment_recall(aligned, gold),
    }
