"""`attend evaluate`"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from attend.commands.options import (
    Beam,
    Data,
    Ensemble,
    GoldForm,
    InFile,
    LengthPenalty,
    OutFile,
    Run,
    changed,
    flat,
    parse,
)
from attend.commands.output import check_outputs, print_json, print_table, warn_of_changes
from attend.data.files import DataError, read_pairs
from attend.progress import counting

if TYPE_CHECKING:
    from attend.contract import Evaluation
    from attend.inspect.alignment import Links
    from attend.tasks.text import Decoding
    from attend.tasks.text_model import TextModel

# Options that only make sense for text.
TEXT_ONLY = ("data", "beam", "length_penalty", "gold")


@dataclass(frozen=True)
class Options:
    """Measure a run: BLEU, chrF, TER, exact match, loss, perplexity, and what its attention is like.

    Pairs with an empty side are left out, as in training.

    examples:
      attend evaluate runs/mine
      attend evaluate runs/mine --data test.en test.de --beam 10 --json
      attend evaluate runs/mine --data gold.en gold.de --gold links.naacl
      attend evaluate runs/mine --split test --record results/mine.json
    """

    run: Run
    """The run folder."""
    ensemble: Ensemble = ()
    """More runs, of the same vocabulary, whose probabilities are averaged with the first one's."""
    data: Data = ()
    """Two line-aligned files (source target), or one .tsv or .jsonl file, instead of a split."""
    split: Literal["valid", "test"] = "valid"
    """The part of the run's own data."""
    beam: Beam = None
    """Hypotheses that the search keeps; 1 is greedy."""
    length_penalty: LengthPenalty = None
    """Exponent of the length that log-probabilities are divided by: 0 for none, 1 for their mean."""
    gold: InFile = None
    """Word alignments of the same lines, made by people: adds the alignment error rate."""
    gold_form: GoldForm = "naacl"
    """naacl: "sentence source target S", counted from 1. pharaoh: "i-j" or "ipj", counted from 0; pharaoh-1: from 1."""
    record: OutFile = None
    """Write a results record too: figures with commands, commit, seed, machine, times and learning curve."""
    json: bool = False
    """Print one JSON object."""


def main(arguments: Sequence[str]) -> int:
    options = parse(Options, "attend evaluate", arguments)
    from attend.run import load, provenance, read_json, write_json
    from attend.tasks.text_model import TextModel

    if options.record is not None:
        check_record(options.record)
        check_outputs([options.record], [*options.data, options.gold])
    runs = (options.run, *flat(options.ensemble))
    if options.record is not None:
        for run in runs:
            read_json(run / "training.json")  # a run that has not come to its end has none
    model = load(*runs)
    started = time.monotonic()
    if isinstance(model, TextModel):
        paths, how, found = evaluate_text(model, options)
    else:
        if wrong := [name for name in TEXT_ONLY if getattr(options, name)]:
            raise ValueError(f"--{wrong[0].replace('_', '-')} is for runs that read text; {options.run} reads none")
        warn_of_changes(options.run)
        with counting("examples") as report:
            found = model.evaluate(options.split, report)
        paths, how = model.task.files(options.split), model.config.settings.decoding
    name = model.config.settings.data.name
    evaluated = {
        "recipe": model.config.recipe,
        "runs": [str(run) for run in runs],
        "data": ", ".join(paths) if options.data or not name else name,
        "files": list(paths),
        "split": None if options.data else options.split,
        "count": len(found.outputs),
        **asdict(how),
        "seconds": round(time.monotonic() - started, 2),
    }
    nested = evaluated | {"figures": found.figures, "signatures": dict(found.signatures)}
    if options.record is not None:
        from attend.record import result

        write_json(options.record, result(runs, nested, provenance()["command"]))
    if options.json:
        signature = {"signature": found.signatures["bleu"]} if "bleu" in found.signatures else {}
        print_json(evaluated | found.figures | signature | {"signatures": dict(found.signatures)})
    else:
        split = "" if options.data else f", {options.split}"
        search = "".join(f", {name.replace('_', ' ')} {value:g}" for name, value in asdict(how).items())
        print(f"{evaluated['data']}{split}: {len(found.outputs):,} examples{search}\n")
        print_table([{"figure": name.replace("_", " "), "value": value} for name, value in found.figures.items()])
        print()
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


def evaluate_text(model: "TextModel", options: Options) -> "tuple[tuple[str, ...], Decoding, Evaluation]":
    """The files, the search, and what was found."""
    from attend.tasks.text_model import evaluate, read_usable, split_paths

    settings = model.config.settings
    how = changed(settings.decoding, beam=options.beam, length_penalty=options.length_penalty)
    paths = options.data or split_paths(settings.data, options.split)
    pairs = read_usable(paths, settings.data)
    gold = None
    if options.gold is not None:
        data = settings.data
        lines = max(pair.line for pair in read_pairs(paths, data.source_key, data.target_key))
        answers = read_gold(options.gold, options.gold_form, lines)
        gold = [answers[pair.line - 1] for pair in pairs]
        for pair, links in zip(pairs, gold, strict=True):
            sizes = len(pair.source.split()), len(pair.target.split())
            if any(source >= sizes[0] or target >= sizes[1] for source, target in links.possible):
                problem = f"pair {pair.line} has {sizes[0]} and {sizes[1]} words, but its gold links go beyond them"
                raise DataError(options.gold, problem, "give the links of these texts")
    with counting("outputs") as report:
        return paths, how, evaluate(model, pairs, how, gold, report)


def read_gold(path: str, form: GoldForm, sentences: int) -> "list[Links]":
    """The gold links of each of these lines. Raises `DataError` for a file that has not as many."""
    from attend.inspect.alignment import read_naacl, read_pharaoh

    if form == "naacl":
        return read_naacl(path, sentences)
    gold = read_pharaoh(path, 1 if form == "pharaoh-1" else 0)
    if len(gold) < sentences or any(links.possible for links in gold[sentences:]):
        raise DataError(path, f"{len(gold)} lines for {sentences} pairs", "give a line of links for each pair")
    return gold
