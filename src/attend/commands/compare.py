"""`attend compare`"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

from attend.commands.options import Columns, Data, OutFile, RecipeName, Runs, parse
from attend.commands.output import check_outputs, print_json, print_tables
from attend.commands.runs import given_part, kind_of, model_of, say_changes
from attend.progress import counting
from attend.settings import values

if TYPE_CHECKING:
    from attend.contract import Evaluation
    from attend.inspect.compare import Bucket
    from attend.metrics import CorpusMetric

# Shares of the examples, by length of the input, that end a bucket: the longest ones are looked at apart.
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
# Per token of the output: not to be compared where tokens differ.
OF_TOKENS = ("loss", "perplexity")

# Settings that no figure depends on, and those that checksums of the data stand for.
NO_MATTER = ("data.name", "training.threads", "training.save_minutes", "training.tensorboard")
PATHS = ("data.train", "data.valid", "data.test", "data.folder", "data.columns")


@dataclass(frozen=True)
class Options:
    """Several runs on the same data: their figures, paired bootstrap tests against the first, quality by input length.

    Before the tests stand the settings in which the runs differ. A run that differs from the first in more than its
    recipe does, or in more than one setting of the same recipe, is warned of: no test can tell these apart.

    Tested is what the first run watches, if that is exact match, or else its output's own metric: BLEU, error. Lengths
    are those of the longest input that varies in length, in the first run's tokens with their end. Loss and perplexity,
    which are a token's, are left out for runs whose output tokens are not the first one's.

    examples:
      attend compare runs/attention runs/uniform
      attend compare runs/attention runs/uniform --data test.en test.de --out lengths.png --json
    """

    runs: Positional[Runs]
    """Run folders, two or more; each is compared with the first."""
    data: Data = ()
    """A table (.tsv, .csv, .jsonl), line-aligned files, one for each input and the target, or a folder: instead of a
    split."""
    columns: Columns = ()
    """What the table of --data calls an input or the target, where not by its name."""
    split: Literal["valid", "test"] = "valid"
    """The part of each run's own data, which must be the same."""
    samples: int = 1000
    """Bootstrap samples."""
    seed: int = 1
    """Of the bootstrap samples."""
    out: OutFile = None
    """Draw quality by input length to this file (.png or .svg)."""
    json: bool = False
    """Print one JSON object: runs, differences, warnings, comparisons, by_length."""
    recipe: RecipeName = None
    """The runs' recipe, where it is of a module from outside of attend."""


@dataclass(frozen=True)
class Measured:
    """A run's evaluation, what tells its examples from others, and the lengths of their inputs where these vary."""

    model: Any
    found: "Evaluation"
    examples: Any
    lengths: Sequence[int]


def main(arguments: Sequence[str]) -> int:
    options = parse(Options, "attend compare", arguments)
    if len(set(options.runs)) < max(2, len(options.runs)):
        raise ValueError("give two different run folders or more")
    if options.columns and not options.data:
        raise ValueError("--columns is of the table that --data names: give that too")
    if options.out is not None and options.out.suffix.lower() not in (".png", ".svg"):
        raise ValueError(f"{options.out}: a picture is written as .png or .svg")
    check_outputs([options.out], options.data, options.runs)
    return compare(options)


def compare(options: Options) -> int:
    from attend.inspect.compare import by_length, paired_bootstrap, table

    models = {str(run): model_of([run], options.recipe) for run in options.runs}
    check_alike(models)
    differences, warnings = differing(models), confounded(models)
    runs = {name: measured(name, model, options) for name, model in models.items()}
    (base, base_run), *others = runs.items()
    for name, run in others:
        if run.examples != base_run.examples:
            raise ValueError(
                f"{name} is measured on other examples than {base}: they can't be compared; name the same for both with"
                " --data"
            )
    references, metric = base_run.found.references, metric_of(base_run.model)
    comparisons = []
    for name, run in others if references else ():  # where no output is right or wrong there are the figures alone
        outputs = (run.found.outputs, base_run.found.outputs)
        tested = paired_bootstrap(*outputs, references, metric, options.samples, options.seed)
        comparisons.append({"run": name, "against": base, "metric": metric.name, **asdict(tested)})
    buckets: dict[str, list[Bucket]] = {}
    if references and base_run.lengths:
        import numpy as np

        lengths = base_run.lengths
        edges = sorted({int(edge) for edge in np.quantile(lengths, QUANTILES)})
        buckets = {
            name: by_length(lengths, run.found.outputs, references, edges, metric, options.samples, options.seed)
            for name, run in runs.items()
        }
    if options.out is not None:
        if not buckets:
            why = "no input varies in length" if references else "no example has a single right output"
            raise ValueError(f"--out draws quality by input length, but in {base} {why}")
        from attend.show.figure import length_curve

        length_curve(list(buckets.items()), metric.name, options.out, "tokens")
    rows = table({name: figures(Path(name), options.runs[0], run) for name, run in runs.items()})
    if options.json:
        lists = {name: [asdict(bucket) for bucket in several] for name, several in buckets.items()}
        said = {"differences": differences, "warnings": warnings}
        print_json({"runs": rows, **said, "comparisons": comparisons, "by_length": lists})
        return 0
    # There are more figures than a line has room for: a row is a figure, a column a run.
    names = [name for name in rows[0] if name != "run"]
    across = [{"figure": name.replace("_", " "), **{str(row["run"]): row[name] for row in rows}} for name in names]
    lengths = length_rows(buckets, 1 if metric.name == "BLEU" else 3)
    print_tables(across, differences)
    for warning in warnings:
        print(f"warning: {warning}\n")
    print_tables(comparisons, lengths)
    return 0


def check_alike(models: Mapping[str, Any]) -> None:
    """Raises `ValueError` for runs whose figures can't be held beside one another."""
    (base, first), *others = models.items()
    for name, model in others:
        if kind_of(model) != kind_of(first):
            raise ValueError(f"{name} is a run of {kind_of(model)}, {base} of {kind_of(first)}: they can't be compared")
        outputs = [getattr(one.config.settings, "output", None) for one in (model, first)]
        for setting in ("metrics", "tokenize"):
            here, there = (getattr(output, setting, None) for output in outputs)
            if here != there:
                raise ValueError(f"{name} has output.{setting} {here!r}, {base} {there!r}: figures would not compare")


def differing(models: Mapping[str, Any]) -> list[dict[str, str | None]]:
    """A row for each setting that is not the same in all runs, with its value in each; the recipe is one of them."""
    each = {name: that_decide(model.config, Path(name)) for name, model in models.items()}
    settings = dict.fromkeys(setting for found in each.values() for setting in found)
    rows = []
    for setting in settings:
        written = {name: str(found[setting]) if setting in found else None for name, found in each.items()}
        if len(set(written.values())) > 1:
            rows.append({"setting": setting, **written})
    return rows


def confounded(models: Mapping[str, Any]) -> list[str]:
    """What to know of runs that differ from the first in more than one thing, a sentence each."""
    (base, first), *others = models.items()
    found = []
    for name, model in others:
        names = [row["setting"] for row in differing({base: first, name: model})]
        defaults = [values(one.config.made_by.settings) for one in (first, model)]
        # What recipes themselves differ in is what they are compared for; another seed is no other treatment.
        more = [
            setting
            for setting in map(str, names)
            if setting not in ("recipe", "training.seed")
            and ("recipe" not in names or defaults[0].get(setting) == defaults[1].get(setting))
        ]
        if len(more) > ("recipe" not in names):
            beside = "the recipe and in " if "recipe" in names else ""
            advice = "a difference between them may come from any of these: train both alike in all but one"
            found.append(f"{name} differs from {base} in {beside}{', '.join(more)}: {advice}")
    return found


def that_decide(config: Any, folder: Path) -> dict[str, Any]:
    """What a run's figures may depend on, by name: its settings, and the checksums of its data in place of paths."""
    from attend.run import read_json

    found = {"recipe": config.recipe, **values(config.settings)}
    known = folder / "data.json"
    if known.exists():
        found = {setting: value for setting, value in found.items() if setting not in PATHS}
        found["content of the training data"] = " ".join(map(str, read_json(known).values()))
    return {setting: value for setting, value in found.items() if setting not in NO_MATTER}


def measured(name: str, model: Any, options: Options) -> Measured:
    """A run on the examples that are asked for."""
    from attend.data.check import hash_of

    if not hasattr(model, "evaluate_part"):
        if options.data:
            raise ValueError(f"--data: {name} is a run of {kind_of(model)}, which is measured on its own data alone")
        say_changes(Path(name))
        with counting(f"outputs of {name}") as report:
            found = model.evaluate(options.split, report)
        # How many, and of which files: where no output is right or wrong these alone tell data apart.
        files = [os.path.realpath(file) for file in model.task.files(options.split)]
        return Measured(model, found, (len(found.outputs), files, list(found.references)), ())
    if options.data:
        part, _ = given_part(model, options.data, options.columns)
    else:
        say_changes(Path(name))
        part = model.part(options.split)
    with counting(f"outputs of {name}") as report:
        found = model.evaluate_part(part, model.how(), report)
    each = [part.inputs[key].lengths().tolist() for key, one in model.task.fields.items() if one.varies]
    # Inputs may be large (images): names tell them apart. Targets may be arrays.
    targets = [model.task.output.singles(row.values["target"]) for row in part.rows]
    examples = [(row.name, list(map(hash_of, several))) for row, several in zip(part.rows, targets, strict=True)]
    return Measured(model, found, examples, [max(lengths) for lengths in zip(*each, strict=True)])


def metric_of(model: Any) -> "CorpusMetric":
    from attend import metrics

    if model.config.settings.training.watch == "exact_match":
        return metrics.EXACT_MATCH
    output = getattr(model.task, "output", None)
    return metrics.ERROR if output is None else output.metric()


def figures(folder: Path, first: Path, run: Measured) -> dict[str, float | None]:
    """A run's figures, its size, and what its training took."""
    from attend.record import read_training

    found: dict[str, float | None] = dict(run.found.figures)
    output = getattr(run.model.config.settings, "output", None)
    kept = output.kept() if hasattr(run.model, "predict_cases") and output is not None else ()
    if any((folder / name).read_bytes() != (first / name).read_bytes() for name in kept):
        found |= {name: None for name in OF_TOKENS if name in found}
    seconds = read_training(folder)["train_seconds"] if (folder / "training.json").exists() else None
    parameters = sum(parameter.numel() for system in run.model.systems for parameter in system.parameters())
    return found | {"parameters": parameters, "minutes": None if seconds is None else seconds / 60}


def length_rows(buckets: "Mapping[str, Sequence[Bucket]]", digits: int) -> list[dict[str, str | int]]:
    """A row a bucket: its lengths, its examples, and each run's score with the 95% interval, to so many digits."""
    rows: list[dict[str, str | int]] = []
    for several in zip(*buckets.values(), strict=True):
        row: dict[str, str | int] = {
            "source length": f"{several[0].low} to {several[0].high}",
            "examples": several[0].count,
        }
        for name, bucket in zip(buckets, several, strict=True):
            row[name] = f"{bucket.value:.{digits}f} ({bucket.lower:.{digits}f} to {bucket.upper:.{digits}f})"
        rows.append(row)
    return rows
