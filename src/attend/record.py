"""What a finished run leaves for people to read: a picture of its learning curve, a model card, a results record."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

import attend
from attend.atomic import write_atomically
from attend.catalogue import find
from attend.contract import Evaluation, Model, Split
from attend.inspect.curve import first_at_most
from attend.progress import counting
from attend.recipes.recipe import Milestone
from attend.run import RunConfig, load, read_json, write_json
from attend.show import figure

CARD = """# {recipe}

{about}, trained with attend {version}.

## Results

On {split} ({count:,} examples: {files}){search}:

{figures}

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


def finish(folder: Path) -> dict[str, float]:
    """Measure the best weights on the validation part, write the results, and return the figures."""
    model = load(folder)
    with counting("outputs") as report:
        found = model.evaluate("valid", report)
    write_results(folder, model, "valid", found, {})
    return found.figures


def write_results(folder: Path, model: Model, split: Split, found: Evaluation, more: Mapping[str, Any]) -> None:
    """Write what people read of a run: metrics.json (with `more` in it), curve.png, and README.md, the model card."""
    settings = model.config.settings
    metrics = {
        "attend": attend.__version__,
        "data": list(model.task.files(split)),
        "split": split,
        "count": len(found.outputs),
        **asdict(settings.decoding),
        "figures": found.figures,
        "signatures": dict(found.signatures),
    }
    write_json(folder / "metrics.json", metrics | dict(more))
    draw_curve(folder)
    write_card(folder)


def learning_curve(folder: Path, name: str) -> list[tuple[int, float]]:
    """(update, value) for every line of a run's log that has this figure, such as "loss" or "valid_bleu"."""
    with (folder / "log.jsonl").open(encoding="utf-8") as lines:
        logged = [json.loads(line) for line in lines]
    return [(line["update"], line[name]) for line in logged if name in line]


def passed(milestones: Mapping[str, Milestone], folder: Path) -> dict[str, int]:
    """The updates at which a run passed its recipe's milestones; one that it never did is left out."""
    found = {
        name: first_at_most(learning_curve(folder, f"valid_{mark.measure}"), mark.value)
        for name, mark in milestones.items()
    }
    return {name: update for name, update in found.items() if update is not None}


def means(names: Mapping[str, str], folder: Path) -> dict[str, float]:
    """Means over a run's training of the figures that its recipe names; one that was never logged is left out."""
    logged = {name: [value for _, value in learning_curve(folder, figure)] for name, figure in names.items()}
    return {name: fmean(values) for name, values in logged.items() if values}


def draw_curve(folder: Path) -> None:
    """Write curve.png: the loss, and what is watched, over updates. (Smoothing and dropout are in training's alone.)"""
    training = averaged(learning_curve(folder, "loss"))
    panels = {"loss": {"training": training, "validation": learning_curve(folder, "valid_loss")}}
    if (watched := watched_measure(folder)) != "loss":
        name = "BLEU" if watched == "bleu" else watched.replace("_", " ")
        panels[name] = {"validation": learning_curve(folder, f"valid_{watched}")}
    figure.curves(panels, folder / "curve.png")


def watched_measure(folder: Path) -> str:
    """What a run's learning curve shows: what it is watched by or, where that is the loss, its task's first measure."""
    config = RunConfig.read(folder)
    watch: str = config.settings.training.watch
    return watch if watch != "loss" else next(iter(config.task.measures), watch)


def averaged(points: Sequence[tuple[int, float]], most: int = 100) -> list[tuple[float, float]]:
    """At most so many points, each the mean of its neighbours: single batches differ more than the curve moves."""
    parts = np.array_split(np.array(points, dtype=float).reshape(-1, 2), min(most, max(len(points), 1)))
    return [tuple(part.mean(axis=0).tolist()) for part in parts if len(part)]


def write_card(folder: Path) -> None:
    """Write README.md, the model card, from what else is in the run folder."""
    config, training, metrics = (
        RunConfig.read(folder),
        read_json(folder / "training.json"),
        read_json(folder / "metrics.json"),
    )
    settings, made = config.settings, config.provenance
    how, place = settings.training, str(folder)
    content = CARD.format(
        recipe=config.recipe,
        about=find(config.recipe).about,
        version=metrics["attend"],
        split=metrics["split"],
        count=metrics["count"],
        files=", ".join(metrics["data"]),
        search="".join(f", {name} {value:g}" for name, value in search_of(metrics, settings).items()),
        figures=rows({name: f"{value:.4g}" for name, value in metrics["figures"].items()}, ("figure", "value")),
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
                "updates": f"{training['updates']:,} (best: {training['best_update']:,})",
                "stopped": training["stopped"],
                "time": f"{training['train_seconds'] / 60:.1f} minutes, {training['cpu_seconds'] / 60:.1f} of CPU",
                "memory": f"{training['peak_memory_mb']:,} MB at most",
                "seed": str(how.seed),
                "threads": str(how.threads),
                "machine": made["machine"],
                "commit": made["commit"],
                "command": f"`{made['command']}`",
            }
        ),
        use=config.task.use.format(folder=shlex.quote(place), string=json.dumps(place, ensure_ascii=False)),
    )
    write_atomically(folder / "README.md", lambda partial: partial.write_text(content, encoding="utf-8"))


def search_of(evaluated: Mapping[str, Any], settings: Any) -> dict[str, float]:
    """How outputs were searched for, as an evaluation has it beside its figures."""
    return {part.name.replace("_", " "): evaluated[part.name] for part in fields(settings.decoding)}


def rows(values: Mapping[str, str], header: tuple[str, str] | None = None) -> str:
    """The lines of a Markdown table of two columns."""
    head = [f"| {header[0]} | {header[1]} |", "| :-- | --: |"] if header else []
    return "\n".join([*head, *(f"| {name} | {value} |" for name, value in values.items())])


def result(folders: Sequence[Path], evaluated: Mapping[str, Any], command: str | None) -> dict[str, Any]:
    """A run, or an ensemble of several, and an evaluation of it as one record, for the results folder.

    `command` is what evaluated it, None if that also trained it.

    That of one run has its `seed` and its learning `curve`; that of an ensemble has its `seeds`. Times are the sums
    over the runs, memory is the most that one of them took.
    """
    configs = [RunConfig.read(folder) for folder in folders]
    trainings = [read_json(folder / "training.json") for folder in folders]
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
        "decoding": {part.name: evaluated[part.name] for part in fields(configs[0].settings.decoding)},
        "metrics": evaluated["figures"],
        "signatures": evaluated["signatures"],
        "train_seconds": round(sum(run["train_seconds"] for run in trainings), 1),
        "cpu_seconds": round(sum(run["cpu_seconds"] for run in trainings), 1),
        "peak_memory_mb": max(run["peak_memory_mb"] for run in trainings),
    }
    if len(folders) > 1:
        return record | {"seeds": seeds}
    recipe = find(configs[0].recipe)
    record["metrics"] |= passed(recipe.milestones, folders[0]) | means(recipe.means, folders[0])
    return record | {"seed": seeds[0], "curve": learning_curve(folders[0], f"valid_{watched_measure(folders[0])}")}
