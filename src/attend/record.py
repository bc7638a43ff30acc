"""Human-readable results of a finished run: a learning curve, a model card, a results record."""

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

import attend
from attend.atomic import write_atomically
from attend.contract import Evaluation, Split
from attend.inspect.assessment import by_class, figure_rows, interval, tables
from attend.inspect.compare import markdown
from attend.inspect.diagnosis import (
    few_examples,
    flat_at_zero,
    known_examples,
    overfitting,
    rare_entries,
    still_improving,
)
from attend.log import read_log
from attend.progress import OF_LOSS, counting
from attend.run import RunConfig, load, read_json, write_json
from attend.settings import paths
from attend.stored import check, check_keys
from attend.training import ABOUT_ZERO

CARD = """# {recipe}

{about}, trained with attend {version}.

## Results

On {split} ({count:,} examples: {files}){search}{chosen}:

{figures}
{assessment}
{signatures}

## Data

| | |
| :-- | :-- |
{data}

## Training

![learning curve](curve.png)

| | |
| :-- | :-- |
{training}

## Use

{use}

The weights are in `model.safetensors`, all settings in `config.json`, the figures above in `metrics.json`.
"""

# What the card says of the part that the best weights are chosen by.
OPTIMISTIC = ", by which the weights were chosen, so that the figures are optimistic"
# What is said of a finished run, where it has that.
SHOWN = (
    *("bleu", "chrf", "exact_match", "cider", "accuracy", "error", "nats", "caught", "perplexity"),
    *("sequences_right", "bits"),
)


def finish(folder: Path, recipe: Any = None) -> Evaluation:
    """Evaluate the best weights on the validation part, write the results, and return what was found."""
    model = load(folder, recipe=recipe)
    with counting("outputs") as report:
        found = model.evaluate("valid", report)
    write_results(folder, model, "valid", found, {})
    return found


def beside_figures(found: Evaluation) -> dict[str, Any]:
    """What an evaluation says besides its figures, as JSON has it: only what it has."""
    said = {
        "signatures": dict(found.signatures),
        "intervals": {name: list(ends) for name, ends in found.intervals.items()},
        "remarks": list(found.remarks),
        **found.counts,
    }
    if not found.confusion:
        return said
    confusion = {name: dict(row) for name, row in found.confusion.items()}
    return said | {"classes": by_class(confusion), "confusion": confusion}


def write_results(folder: Path, model: Any, split: Split, found: Evaluation, more: Mapping[str, Any]) -> None:
    """Write metrics.json (including `more`), curve.png, and README.md, the model card."""
    settings = model.config.settings
    metrics = {
        "attend": attend.__version__,
        "data": list(model.task.files(split)),
        "split": split,
        "count": len(found.outputs),
        **asdict(settings.decoding),
        "figures": found.figures,
        **beside_figures(found),
        "diagnosis": diagnose(folder, model.config),
    }
    write_json(folder / "metrics.json", metrics | dict(more))
    draw_curve(folder, model.config)
    write_card(folder, model.config)


def conclusion(folder: Path, settings: Any, found: Evaluation) -> list[str]:
    """What to say of a finished run: by what and how many examples its weights were chosen, how good they are by which
    search, and the diagnosis."""
    training, record = settings.training, read_json(folder / "training.json")
    shown = []
    for name in (name for name in SHOWN if name in found.figures):
        ends = f" (95% interval {interval(found.intervals[name])})" if name in found.intervals else ""
        shown.append(f"{name.replace('_', ' ')} {found.figures[name]:.4g}{ends}")
    count, watched = len(found.outputs), training.watch.replace("_", " ")
    chosen = f"{min(training.measured or count, count):,} validation examples"
    beam = getattr(settings.decoding, "beam", None)
    search = "" if beam is None else " by greedy search" if beam == 1 else f" by beam search (beam {beam})"
    return [
        f"the best weights are those of update {record['best_update']:,}, chosen by the {watched} of {chosen}",
        f"on the validation part ({count:,} examples){search}: {', '.join(shown)}",
        *found.remarks,
        *read_json(folder / "metrics.json")["diagnosis"],
    ]


def learning_curve(folder: Path, name: str) -> list[tuple[int, float]]:
    """(update, value) for every line of a run's log that has this figure, such as "loss" or "valid_bleu"."""
    logged, _ = read_log(folder / "log.jsonl")
    return [(line["update"], line[name]) for line in logged if math.isfinite(line.get(name, math.nan))]


def read_training(folder: Path) -> dict[str, Any]:
    """What a run's training took. Raises `ValueError` naming the file, and the key that is missing or wrong."""
    numbers = ("parameters", "updates", "best_update", "train_seconds", "cpu_seconds", "peak_memory_mb")
    kinds = {**dict.fromkeys(numbers, float), "data": dict[str, float], "files": dict[str, list[str]], "stopped": str}
    found = check_keys(read_json(path := folder / "training.json"), kinds, path)
    check_keys(found["files"], {"train": list[str], "valid": list[str]}, path)
    return found


def read_metrics(folder: Path, config: RunConfig) -> dict[str, Any]:
    """What a run reached. Raises `ValueError` naming the file, and the key that is missing or wrong."""
    kinds = {"attend": str, "split": str, "count": float, "data": list[str]}
    kinds |= {"figures": dict[str, float], "signatures": dict[str, str]}
    kinds |= {"intervals": dict[str, list[float]], "remarks": list[str], "diagnosis": list[str]}
    how = asdict(config.settings.decoding)
    kinds |= {name: bool if isinstance(value, bool) else float for name, value in how.items()}
    # What runs made before some of these keys lack, has its default.
    former = how | {"intervals": {}, "remarks": [], "diagnosis": []}
    found = check_keys(former | read_json(path := folder / "metrics.json"), kinds, path)
    check(found.get("confusion", {}), dict[str, dict[str, float]], f"{path}: 'confusion'")
    for name, ends in found["intervals"].items():
        if len(ends) != 2:
            raise ValueError(f"{path}: 'intervals': {name!r} must have two ends, not {len(ends)}")
    return found


def diagnose(folder: Path, config: RunConfig) -> list[str]:
    """What to change before the next training, a sentence each; see `attend.inspect.diagnosis`."""
    training, record = config.settings.training, read_json(folder / "training.json")
    output, counts = getattr(config.settings, "output", None), record["data"]
    watch, measures = training.watch, getattr(output, "measures", None) or config.made_by.task.measures
    lower = watch in OF_LOSS or measures[watch] == "lower"
    watched = learning_curve(folder, f"valid_{watch}")
    at_end = bool(watched) and record["best_update"] == watched[-1][0]
    losses = [averaged(learning_curve(folder, "loss")), learning_curve(folder, "valid_loss")]
    dropouts = [name for name in paths(config.settings) if "dropout" in name.split(".")[-1]]
    found = known_examples(counts)
    if "validation examples" in counts:
        found += few_examples(
            min(training.measured or counts["validation examples"], counts["validation examples"]), watch
        )
    # With --init a vocabulary is what it was.
    for name, entries in counts.items() if "init" not in config.provenance else ():
        if (field := name.removesuffix(" vocabulary")) != name and f"{field} tokens" in counts:
            found += rare_entries(entries, counts[f"{field} tokens"], field, config.settings.vocabulary_flag(field))
    if not lower:
        found += flat_at_zero(watched, watch, ABOUT_ZERO.get(watch, 0.0))
    if record["stopped"] == f"{training.epochs} epochs":
        found += still_improving(watched, lower, training.epochs)
    return found + overfitting(losses[1], losses[0], at_end, dropouts)


def draw_curve(folder: Path, config: RunConfig) -> None:
    """Write curve.png: losses and the watched measure. (Only the training loss has smoothing and dropout.)"""
    from attend.show import figure  # with matplotlib, which an evaluation does without

    training = averaged(learning_curve(folder, "loss"))
    panels = {"loss": {"training": training, "validation": learning_curve(folder, "valid_loss")}}
    if (watched := watched_measure(config)) != "loss":
        name = "BLEU" if watched == "bleu" else watched.replace("_", " ")
        panels[name] = {"validation": learning_curve(folder, f"valid_{watched}")}
    figure.curves(panels, folder / "curve.png")


def watched_measure(config: RunConfig) -> str:
    """The measure of a run's learning curve: the watched one or, if that is the loss, the task's first."""
    watch: str = config.settings.training.watch
    output = getattr(config.settings, "output", None)
    measures = getattr(output, "measures", None) or config.made_by.task.measures
    return watch if watch != "loss" else next(iter(measures), watch)


def averaged(points: Sequence[tuple[int, float]], most: int = 100) -> list[tuple[float, float]]:
    """At most `most` points, each the mean of its neighbours: single batches are too noisy."""
    parts = np.array_split(np.array(points, dtype=float).reshape(-1, 2), min(most, max(len(points), 1)))
    return [tuple(part.mean(axis=0).tolist()) for part in parts if len(part)]


def write_card(folder: Path, config: RunConfig) -> None:
    """Write README.md, the model card, from what else is in the run folder."""
    training, metrics = read_training(folder), read_metrics(folder, config)
    settings, made = config.settings, config.provenance
    how = settings.training
    content = CARD.format(
        recipe=config.recipe,
        about=config.made_by.about,
        version=metrics["attend"],
        split=metrics["split"],
        count=metrics["count"],
        files=", ".join(metrics["data"]),
        search="".join(f", {name} {value:g}" for name, value in search_of(metrics, settings).items()),
        chosen=OPTIMISTIC if metrics["split"] == "valid" else "",
        figures=markdown(figure_rows(metrics["figures"], metrics["intervals"])),
        assessment=assessment(metrics),
        signatures="\n".join(f"- {name}: `{signature}`" for name, signature in metrics["signatures"].items()),
        data=rows(
            {
                "name": settings.data.name or "–",
                "training": ", ".join(training["files"]["train"]),
                "validation": ", ".join(training["files"]["valid"]),
                **{name: f"{count:,}" for name, count in training["data"].items()},
            }
        ),
        training=rows(
            {
                "parameters": f"{training['parameters']:,}",
                "updates": f"{training['updates']:,} (best: {training['best_update']:,}, by {how.watch})",
                "stopped": training["stopped"],
                "time": f"{training['train_seconds'] / 60:.1f} minutes, {training['cpu_seconds'] / 60:.1f} of CPU",
                "memory": f"{training['peak_memory_mb']:,} MB at most",
                **({"begun with": made["init"]} if "init" in made else {}),
                "seed": str(how.seed),
                "threads": str(how.threads),
                "machine": made["machine"],
                "commit": made["commit"],
                "command": f"`{made['command']}`",
            }
        ),
        use=usage(config, folder),
    )
    write_atomically(folder / "README.md", lambda partial: partial.write_text(content, encoding="utf-8"))


def assessment(metrics: Mapping[str, Any]) -> str:
    """What the card says below the figures: why they may mislead, and how classes are confused."""
    remarks = "".join(f"- {remark}\n" for remark in (*metrics["remarks"], *metrics["diagnosis"]))
    return "\n".join([remarks, *(markdown(table) for table in tables(metrics.get("confusion", {})))])


def usage(config: RunConfig, folder: Path) -> str:
    """How to use the trained model, in Markdown."""
    place, string = shlex.quote(str(folder)), json.dumps(str(folder), ensure_ascii=False)
    settings = config.settings
    kinds = {name: one.kind for name, one in settings.fields().items()} if hasattr(settings, "fields") else {}
    if not kinds:
        shell, python = [f"attend evaluate {place}"], 'model.evaluate("valid").figures'
    elif settings.output.kind == "pixels":
        shell = [f"attend show {place} {given} --out drawing.html" for given in ("new:1", "picture.png")]
        python = "model.generate(count=16, seed=1)"
    elif len(kinds) > 1:
        shell = [f"attend predict {place} table.tsv"]
        python = f"model.predict({', '.join(f'{name}={sample(kind)}' for name, kind in kinds.items())}).text"
    else:
        given = sample(next(iter(kinds.values())))
        file = "texts.txt" if given == '"..."' else given.strip('"')
        shell = [f"attend predict {place} {file}", f"attend show {place} {given} --out look.html"]
        python = f"model.predict({given}).text"
    lines = "\n".join(shell)
    return f"```\n{lines}\n```\n\n```python\nimport attend\n\nmodel = attend.load({string})\nprint({python})\n```"


def sample(kind: str) -> str:
    return {"image": '"picture.png"', "grid": '"features.npz:1"'}.get(kind, '"..."')


def search_of(evaluated: Mapping[str, Any], settings: Any) -> dict[str, float]:
    """The decoding settings, as an evaluation keeps them beside its figures."""
    return {part.name.replace("_", " "): evaluated[part.name] for part in fields(settings.decoding)}


def rows(values: Mapping[str, str], header: tuple[str, str] | None = None) -> str:
    """The lines of a Markdown table of two columns."""
    head = [f"| {header[0]} | {header[1]} |", "| :-- | --: |"] if header else []
    return "\n".join([*head, *(f"| {name} | {value} |" for name, value in values.items())])


def result(
    folders: Sequence[Path], configs: Sequence[RunConfig], evaluated: Mapping[str, Any], command: str | None
) -> dict[str, Any]:
    """A run, or an ensemble of several, and an evaluation of it as one record, for the results folder.

    `command` is what evaluated it, None if the same command trained it.

    A run's record has its `seed` and its learning `curve`, an ensemble's has its `seeds`. Times are sums over the runs,
    memory is the maximum.
    """
    trainings = [read_training(folder) for folder in folders]
    seeds = [config.settings.training.seed for config in configs]
    made = [config.provenance for config in configs]
    record = {
        "recipe": " + ".join(dict.fromkeys(config.recipe for config in configs)),
        "runs": [str(folder) for folder in folders],
        "command": " && ".join([*(run["command"] for run in made), *([command] if command else [])]),
        "commit": ", ".join(dict.fromkeys(run["commit"] for run in made)),
        "machine": "; ".join(dict.fromkeys(run["machine"] for run in made)),
        "data": evaluated["data"],
        "files": evaluated["files"],
        "split": evaluated["split"],
        "count": evaluated["count"],
        # What was measured before an option was there had its default.
        "decoding": {name: evaluated.get(name, value) for name, value in asdict(configs[0].settings.decoding).items()},
        "metrics": evaluated["figures"],
        "intervals": evaluated["intervals"],
        "signatures": evaluated["signatures"],
        "train_seconds": round(sum(run["train_seconds"] for run in trainings), 1),
        "cpu_seconds": round(sum(run["cpu_seconds"] for run in trainings), 1),
        "peak_memory_mb": max(run["peak_memory_mb"] for run in trainings),
    }
    if len(folders) > 1:
        return record | {"seeds": seeds}
    watched = watched_measure(configs[0])
    return record | {"seed": seeds[0], "curve": learning_curve(folders[0], f"valid_{watched}")}
