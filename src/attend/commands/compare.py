"""`attend compare`"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from attend.commands.options import Data, OutFile, Runs, parse
from attend.commands.output import check_outputs, print_json, print_table, warn_of_changes
from attend.progress import counting

if TYPE_CHECKING:
    from attend.contract import Evaluation, Model
    from attend.inspect.compare import Bucket
    from attend.tasks.text_model import TextModel

FIGURES = ("bleu", "chrf", "exact_match", "perplexity")
# Shares of the sentences, by source length, that end a bucket: the longest ones are looked at apart.
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True)
class Options:
    """Several runs on the same data: their figures, paired bootstrap tests against the first, quality by source length.

    Compared is what the first run watches: exact match, or else BLEU. Lengths are in the first run's source tokens.
    Perplexity, which is a token's, is left out for runs whose target tokens are not the first one's. Runs that don't
    take text are compared by all their figures, and tested by which outputs are right.

    examples:
      attend compare runs/attention runs/uniform
      attend compare runs/attention runs/uniform --data test.en test.de --out lengths.png --json
    """

    runs: Positional[Runs]
    """Run folders, two or more; each is compared with the first."""
    data: Data = ()
    """Two line-aligned files (source target), or one .tsv or .jsonl file, instead of a split of the first run."""
    split: Literal["valid", "test"] = "valid"
    """The part of the first run's own data."""
    samples: int = 1000
    """Bootstrap samples."""
    seed: int = 1
    """Of the bootstrap samples."""
    out: OutFile = None
    """Draw quality by source length to this file (.png or .svg)."""
    json: bool = False
    """Print one JSON object: runs, comparisons, by_length."""


def main(arguments: Sequence[str]) -> int:
    options = parse(Options, "attend compare", arguments)
    if len(set(options.runs)) < max(2, len(options.runs)):
        raise ValueError("give two different run folders or more")
    if options.out is not None and options.out.suffix.lower() not in (".png", ".svg"):
        raise ValueError(f"{options.out}: a picture is written as .png or .svg")
    check_outputs([options.out], options.data)
    import numpy as np

    from attend import metrics
    from attend.inspect.compare import by_length, paired_bootstrap, table
    from attend.run import load
    from attend.tasks.text_model import TextModel, evaluate, read_usable, split_paths

    models = {str(run): load(run) for run in options.runs}
    if kinds := [name for name, model in models.items() if not isinstance(model, TextModel)]:
        if len(kinds) < len(models):
            raise ValueError(f"{kinds[0]} does not take text, and others here do: they can't be compared")
        return compare_answers(models, options)
    first = next(iter(models.values()))
    data = first.config.settings.data
    for name, model in models.items():
        if (cut := model.config.settings.data.tokenize) != data.tokenize:
            raise ValueError(
                f"{name} has data.tokenize {cut!r}, the first run {data.tokenize!r}: BLEU would not compare"
            )
    pairs = read_usable(options.data or split_paths(data, options.split), data)
    references = [pair.target for pair in pairs]
    metric = (
        metrics.EXACT_MATCH if first.config.settings.training.watch == "exact_match" else metrics.bleu(data.tokenize)
    )

    found: dict[str, Evaluation] = {}
    for name, model in models.items():
        with counting(f"outputs of {name}") as report:
            found[name] = evaluate(model, pairs, model.config.settings.decoding, report=report)
    lengths = [len(first.task.source_codec.encode(pair.source).ids) for pair in pairs]
    edges = sorted({int(edge) for edge in np.quantile(lengths, QUANTILES)})
    buckets = {
        name: by_length(lengths, run.outputs, references, edges, metric, options.samples, options.seed)
        for name, run in found.items()
    }
    (base, base_run), *others = found.items()
    comparisons = []
    for name, run in others:
        hypotheses = (run.outputs, base_run.outputs)
        tested = paired_bootstrap(*hypotheses, references, metric, options.samples, options.seed)
        comparisons.append({"run": name, "against": base, "metric": metric.name, **asdict(tested)})
    rows = table({name: figures(Path(name), options.runs[0], models[name], run) for name, run in found.items()})
    if options.out is not None:
        from attend.show.figure import length_curve

        length_curve(list(buckets.items()), metric.name, options.out, f"{data.unit} tokens")
    if options.json:
        lists = {name: [asdict(bucket) for bucket in run] for name, run in buckets.items()}
        print_json({"runs": rows, "comparisons": comparisons, "by_length": lists})
        return 0
    for part in (rows, comparisons, length_rows(buckets, 3 if metric is metrics.EXACT_MATCH else 1)):
        print_table(part)
        print()
    return 0


def compare_answers(models: "Mapping[str, Model]", options: Options) -> int:
    """Runs whose outputs are right or wrong, such as classes: all their figures, and tests of their errors."""
    from attend.inspect.compare import paired_bootstrap, table
    from attend.metrics import ERROR

    for name in ("data", "out"):
        if getattr(options, name):
            raise ValueError(f"--{name} is for text, whose quality is shown by source length")
    found: dict[str, Evaluation] = {}
    for name, model in models.items():
        warn_of_changes(Path(name))
        with counting(f"outputs of {name}") as report:
            found[name] = model.evaluate(options.split, report)
    (base, base_run), *others = found.items()
    comparisons = []

    def measured(name: str) -> tuple[int, list[str]]:
        """How many examples, and of which files: where no output is right or wrong these alone tell data apart."""
        return len(found[name].outputs), [os.path.realpath(file) for file in models[name].task.files(options.split)]

    for name, run in others:
        if list(run.references) != list(base_run.references) or measured(name) != measured(base):
            raise ValueError(f"{name} is measured on other examples than {base}: they can't be compared")
        if not run.references:  # no output is right or wrong: there is the table alone
            continue
        tested = paired_bootstrap(run.outputs, base_run.outputs, run.references, ERROR, options.samples, options.seed)
        comparisons.append({"run": name, "against": base, "metric": ERROR.name, **asdict(tested)})
    rows = table({name: run.figures | taken(Path(name), models[name]) for name, run in found.items()})
    if options.json:
        print_json({"runs": rows, "comparisons": comparisons})
        return 0
    # Pictures have more figures than a line has room for: a row is a figure, a column a run.
    names = [name for name in rows[0] if name != "run"]
    across = [{"figure": name.replace("_", " "), **{row["run"]: row[name] for row in rows}} for name in names]
    for part in filter(None, (across, comparisons)):
        print_table(part)
        print()
    return 0


def figures(folder: Path, first: Path, model: "TextModel", found: "Evaluation") -> dict[str, float | None]:
    """A run's row. The perplexity is None where its tokens are not those of the first run: it would not compare."""
    row: dict[str, float | None] = {name: found.figures[name] for name in FIGURES}
    vocabulary, of_first = (run / "target.tokenizer.json" for run in (folder, first))
    if vocabulary.read_bytes() != of_first.read_bytes():
        row["perplexity"] = None
    return row | taken(folder, model)


def taken(folder: Path, model: "Model") -> dict[str, float | None]:
    """How large a run is, and what its training took."""
    from attend.run import read_json

    seconds = read_json(folder / "training.json")["train_seconds"] if (folder / "training.json").exists() else None
    parameters = sum(parameter.numel() for system in model.systems for parameter in system.parameters())
    return {"parameters": parameters, "minutes": None if seconds is None else seconds / 60}


def length_rows(buckets: "Mapping[str, Sequence[Bucket]]", digits: int) -> list[dict[str, str | int]]:
    """A row a bucket: its lengths, its sentences, and each run's score with the 95% interval, to so many digits."""
    rows: list[dict[str, str | int]] = []
    for several in zip(*buckets.values(), strict=True):
        row: dict[str, str | int] = {
            "source length": f"{several[0].low} to {several[0].high}",
            "sentences": several[0].count,
        }
        for name, bucket in zip(buckets, several, strict=True):
            row[name] = f"{bucket.value:.{digits}f} ({bucket.lower:.{digits}f} to {bucket.upper:.{digits}f})"
        rows.append(row)
    return rows
