"""Writes docs/papers/NAME.md, a page for each system, and docs/results.md, an index of all records.

What they say comes from the systems' docstrings, the recipes, the records in results/, and papers.toml, which has the
papers' published figures. Learning curves are drawn anew only where a record has changed: each picture holds a digest
of what it shows.
"""

import json
import re
import shlex
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from statistics import fmean
from typing import Any

from attend.catalogue import RECIPES
from attend.recipe import Recipe

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results"
DEVIATIONS = "Deviations from the paper:"
# A metric's column, and how a value is written.
METRICS = {
    "bleu": ("BLEU", ".2f"),
    "bleu_known": ("BLEU, no unknown words", ".2f"),
    "chrf": ("chrF", ".1f"),
    "exact_match": ("exact match", ".3f"),
    "accuracy": ("accuracy", ".3f"),
    "accuracy_sick": ("SICK", ".3f"),
    "accuracy_mpe": ("MPE", ".3f"),
    "accuracy_snli-dev": ("SNLI dev", ".3f"),
    "pointing_accuracy": ("pointing", ".3f"),
    "exact_match_at_10": ("exact match of 10", ".3f"),
    "exact_match_at_15": ("exact match of 15", ".3f"),
    "places_right_at_15": ("places right of 15", ".3f"),
    "area": ("area", ".1%"),
    "area_at_10": ("area of 10", ".1%"),
    "area_at_15": ("area of 15", ".1%"),
    "unseen_exact_match": ("unseen: exact match", ".3f"),
    "unseen_pointing_accuracy": ("unseen: pointing", ".3f"),
    "error": ("error", ".2%"),
    **{f"error_task{number}": (f"task {number}", ".1%") for number in range(1, 21)},
    "bits": ("bits", ".2f"),
    "bits_at_2x": ("bits at 2x", ".2f"),
    "bits_at_4x": ("bits at 4x", ".2f"),
    "sequences_right": ("sequences right", ".2f"),
    "sequences_right_at_2x": ("right at 2x", ".2f"),
    "sequences_right_at_4x": ("right at 4x", ".2f"),
    "address_match": ("address match", ".3f"),
    "fixation_deviation": ("standard deviation of fixations", ".2f"),
    "glimpses_on_object": ("glimpses on the object", ".0%"),
    "updates_to_10_percent_error": ("updates to 10% error", ",.0f"),
    "effective_sample_size": ("effective samples", ".3f"),
    "caught": ("caught", ".1%"),
    "baseline_chance": ("by random moves", ".1%"),
    "nats": ("nats", ".1f"),
    "reconstruction": ("reconstruction", ".1f"),
    "kl": ("KL", ".1f"),
    "pointing_accuracy_last_step": ("pointing: noun", ".3f"),
    "pointing_accuracy_first_step": ("pointing: first word", ".3f"),
    "pointing_accuracy_any_step": ("pointing: either", ".3f"),
    **{f"pointing_accuracy_step_{number}": (f"step {number}", ".3f") for number in range(1, 10)},
    **{f"pointing_accuracy_task{number}": (f"pointing, task {number}", ".3f") for number in range(1, 21)},
    "pointing_recall": ("facts found", ".3f"),
    "row_overlap": ("overlap of rows", ".3f"),
    "pointing_by_chance": ("pointing by chance", ".2f"),
    "shuffled_exact_match": ("shuffled: exact match", ".3f"),
    "bleu4": ("BLEU-4", ".1f"),
    "cider": ("CIDEr-D", ".2f"),
    "perplexity": ("perplexity", ".2f"),
    "shuffled_bleu4": ("shuffled: BLEU-4", ".1f"),
    "shuffled_cider": ("shuffled: CIDEr-D", ".2f"),
}
# What earlier records call a metric.
FORMER = {
    "caught_at_random": "baseline_chance",
    "places_spread_over_images": "fixation_deviation",
    "places_spread_over_games": "fixation_deviation",
    "alignment_accuracy": "pointing_accuracy",
    "unseen_alignment_accuracy": "unseen_pointing_accuracy",
    "pointing_accuracy_first_word": "pointing_accuracy_first_step",
    "pointing_accuracy_either_word": "pointing_accuracy_any_step",
}
# Which of a record's metrics stands for it in the index, where that is not what its training was watched by.
HEADLINES = ("bleu", "error", "bleu4", "exact_match", "bits")


@dataclass(frozen=True)
class Record:
    """A recorded run; `row` is its recipe, with the flags by which it differs from that but for the seed."""

    file: str
    row: str
    content: Mapping[str, Any]

    @property
    def metrics(self) -> Mapping[str, float]:
        given: Mapping[str, float] = self.content["metrics"]
        found = {FORMER.get(name, name): value for name, value in given.items()}
        if "pointing_accuracy_either_word" in given:  # then this one was of the last word
            found["pointing_accuracy_last_step"] = found.pop("pointing_accuracy")
        return found

    @property
    def part(self) -> str:
        return f"{self.content['data']} {self.content['split']}"

    @property
    def seeds(self) -> str:
        return ", ".join(map(str, self.content.get("seeds", [self.content.get("seed", "")])))

    @property
    def minutes(self) -> float:
        return self.content["cpu_seconds"] / 60


def read_records(folder: Path = RESULTS) -> list[Record]:
    """The records of trained recipes, in the order of their rows and seeds. Raises `ValueError` for one of none."""
    found = []
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["split"] in ("valid", "test"):  # others are benchmarks
            found.append(Record(path.name, row_of(content, path), content))
    return sorted(found, key=lambda record: (record.row, record.content.get("seed", 0)))


def row_of(content: Mapping[str, Any], path: Path) -> str:
    """The recipe and the flags of a record's training that change it: `ram-mnist --system.glimpses 2`."""
    name = content["recipe"]
    if name not in RECIPES:
        raise ValueError(f"{path} is of the recipe {name!r}, which does not exist")
    flags = {}
    for flag, value in training_flags(content["command"]).items():
        setting = RECIPES[name].settings
        for part in flag.removeprefix("--").replace("-", "_").split("."):
            if not hasattr(setting, part):
                raise ValueError(f"{path} was trained with {flag}, which {name} does not have")
            setting = getattr(setting, part)
        if not same(setting, value):
            flags[flag] = value
    return " ".join([name, *(f"{flag} {value}" for flag, value in sorted(flags.items()))])


def training_flags(command: str) -> dict[str, str]:
    """The settings that the first training of a command line changes, but for the seed and the folder."""
    words = [word for word in shlex.split(command.split(" && ")[0]) if word != "--overwrite"]
    if words[:2] != ["attend", "train"]:
        return {}
    flags = {}
    for flag, value in zip(words[3::2], words[4::2], strict=True):
        if flag not in ("--out", "--training.seed"):
            flags[flag] = value
    return flags


def same(setting: Any, value: str) -> bool:
    try:
        return float(setting) == float(value)
    except (TypeError, ValueError):
        return str(setting) == value


def rows_of(records: Iterable[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.row, []).append(record)
    return found


def recipes_of(system: str) -> dict[str, Recipe]:
    """The recipes of a system's file."""
    return {name: one for name, one in RECIPES.items() if one.system.__module__ == f"attend.systems.{system}"}


# Figures


def mean(records: Sequence[Record], metric: str) -> str:
    """The mean over runs that have the metric, as it is written."""
    return format(fmean(record.metrics[metric] for record in records), METRICS[metric][1])


def cell(records: Sequence[Record], metric: str) -> str:
    """A metric of runs that differ in the seed: the mean, and each."""
    each = [
        format(record.metrics[metric], METRICS[metric][1]) if metric in record.metrics else "–" for record in records
    ]
    if len(set(each)) == 1:
        return each[0]
    if "–" in each:  # not reached by all: there is no mean
        return ", ".join(each)
    return f"{mean(records, metric)} ({', '.join(each)})"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: int = 0) -> str:
    """A Markdown table whose last `right` columns are numbers."""
    align = [":--"] * (len(columns) - right) + ["--:"] * right
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, align, *rows))


def minutes(records: Sequence[Record]) -> str:
    low, high = (round(choose(record.minutes for record in records)) for choose in (min, max))
    return f"{low} min" if low == high else f"{low} to {high} min"


def updates(records: Sequence[Record]) -> str:
    found = sorted({record.content["curve"][-1][0] for record in records if record.content.get("curve")})
    return " to ".join(f"{count:,}" for count in dict.fromkeys((found[0], found[-1]))) if found else ""


def figures(plan: Mapping[str, Any], known: Mapping[str, list[Record]], parts: Mapping[str, str]) -> str:
    """The published figures beside the recorded ones."""
    there = [row for row in plan["rows"] if row in known]
    missing = [row for row in plan["rows"] if row not in known]
    published = plan.get("published", [])
    # A metric that no row has yet is no column.
    have = [one for row in there for record in known[row] for one in record.metrics]
    metrics = [metric for metric in plan["metrics"] if metric in have or any(metric in row for row in published)]
    lines = []
    for row in published:
        values = [format(row[metric], METRICS[metric][1]) if metric in row else "" for metric in metrics]
        lines.append([f"*{row['what']}* ({row['place']})", row["on"], row.get("time", ""), "", *values])
    for row in there:
        records = known[row]
        name = row.split()[0]
        content = records[0].content
        count, measured = f"{content['count']:,}", parts.get(records[0].part, records[0].part)
        measured = measured if count in measured else f"{count} {measured}"
        budget = ", ".join(filter(None, (f"{updates(records)} updates" if updates(records) else "", minutes(records))))
        values = [cell(records, metric) for metric in metrics]
        mark = ", control" if RECIPES[name].control else ""
        seeds = ", ".join(f"[{record.seeds}](../../results/{record.file})" for record in records)
        lines.append([f"`{row}`{mark}", measured, budget, seeds, *values])
    text = ""
    if lines:
        columns = ["", "measured on", "training, processor time", "seeds", *(METRICS[metric][0] for metric in metrics)]
        text = table(columns, lines, len(metrics)) + "\n"
    if missing:
        text += f"\nNot recorded yet: {', '.join(f'`{row}`' for row in missing)}. [How to](#run-it)\n"
    return text


def filled(text: str, known: Mapping[str, list[Record]]) -> str:
    """The text with the means that it names; without them where a row has no record."""
    return re.sub(r"\{([^{}:]+): (\w+)\}", lambda found: mean(known[found[1]], found[2]), text)


# Pages


def paragraphs(system: str) -> tuple[str, str, str]:
    """A system's title, what it is, and its deviations from the paper, from its docstring."""
    document = import_module(f"attend.systems.{system}").__doc__
    assert document, f"{system} has no docstring"
    title, _, rest = document.strip().partition("\n\n")
    about, mark, deviations = rest.partition(DEVIATIONS)
    about = re.sub(r"\b(arXiv) (\d{4}\.\d{4,5})", r"[\1 \2](https://arxiv.org/abs/\2)", about)
    return title.replace("\n", " ").removesuffix("."), about.strip(), deviations.strip() if mark else ""


def commands(recipes: Mapping[str, Recipe], rows: Sequence[str], known: Mapping[str, list[Record]]) -> str:
    """How a person's own data is learnt from; and how the first of the rows that has a record was made."""
    name, recipe = next(iter(recipes.items()))
    lines = [f"attend train {name} --out runs/mine{own_data(recipe)}"] if own_data(recipe) else []
    mine = [row for row in rows if row.split()[0] in recipes]
    recorded = [row for row in mine if row in known]
    models = [row for row in recorded if not RECIPES[row.split()[0]].control]
    if found := [*models, *recorded]:
        lines += ["", *made(known[found[0]][0])]
    elif mine:
        lines += ["", f"attend train {mine[0]} --out runs/{mine[0]}"]
        lines += [f"attend evaluate runs/{mine[0]} --record results/{mine[0]}-seed1.json"]
    return "\n".join(f"    {line}".rstrip() for line in lines)


def made(record: Record) -> list[str]:
    """The commands that make such a record."""
    command, name = record.content["command"], record.file.removesuffix(".json")
    if not command.startswith("attend train "):
        return command.split(" && ")
    split = " --split test" if record.content["split"] == "test" else ""
    seed = "" if record.content["seed"] == 1 else f" --training.seed {record.content['seed']}"
    return [
        f"attend train {record.row} --out runs/{name}{seed}",
        f"attend evaluate runs/{name}{split} --record results/{name}.json",
    ]


def own_data(recipe: Recipe) -> str:
    """The flag for a person's own data, where the recipe has none of its own."""
    data = recipe.settings.data
    if not hasattr(data, "folder") or not hasattr(data, "held_out") or data.train or data.folder:
        return ""
    kinds = [getattr(one, "kind", "") for one in recipe.settings.fields().values()]
    return " --data.folder photographs" if kinds == ["image"] else " --data.train train.tsv"


def recipe_rows(recipes: Mapping[str, Recipe]) -> list[list[str]]:
    rows = []
    for name, recipe in recipes.items():
        goals = ", ".join(goal(figure, value) for figure, value in recipe.reaches.items())
        rows.append([f"`{name}`", recipe.about + (" (control)" if recipe.control else ""), goals])
    return rows


def goal(figure: str, value: float) -> str:
    _, form = METRICS.get(figure, ("", ""))
    name = "BLEU" if figure == "bleu" else figure.replace("_", " ")
    return f"{name} {value:{'.1%' if '%' in form else 'g'}}"


def page(system: str, plan: Mapping[str, Any], records: Sequence[Record], parts: Mapping[str, str]) -> str:
    """A system's page."""
    title, about, deviations = paragraphs(system)
    recipes, known = recipes_of(system), rows_of(records)
    mine = [row for row in known if row.split()[0] in recipes]
    text = [f"# {title}", about]
    for trace in plan.get("traces", ()):
        if "picture" in trace:
            text.append(f"![{trace['about'].rstrip('.')}](../{trace['picture']})")
        also = f" [The page of it](../{trace['page']}), a file to download and open." if "page" in trace else ""
        text.append(f"{trace['about']} From a run of `{trace['recipe']}`.{also}")
    planned = [row for one in plan["tables"] for row in one["rows"]]
    text += ["## Run it", commands(recipes, planned, known)]
    text.append(table(["recipe", "", "should reach"], recipe_rows(recipes)))
    text.append("## Figures")
    if plan.get("unpublished"):
        text.append("The paper's own figures are not printed here: they have not been checked against its text.")
    if not mine and "unrecorded" in plan:
        text.append(plan["unrecorded"].strip())
    if "caveat" in plan and mine:
        text.append(plan["caveat"].strip())
    for number, one in enumerate(plan["tables"], start=1):
        text += [f"### {one['title']}", one["about"].strip(), figures(one, known, parts).strip()]
        if "notes" in one and any(row in known for row in one["rows"]):
            text.append(filled(one["notes"].strip("\n"), known))
        if curve_data(one, known):
            picture = f"{system}-{number}.svg"
            text.append(f"![Learning curves: {one['curve']} by update]({picture})")
    if rest := [row for row in mine if row not in planned]:
        raise ValueError(f"papers.toml has no table for {', '.join(rest)}")
    if deviations:
        text += ["## Deviations from the paper", deviations]
    source = f"[`src/attend/systems/{system}.py`](../../src/attend/systems/{system}.py)"
    text.append(f"The model is {source}; [all records](../results.md) have an index.\n\n{MADE}")
    return "\n\n".join(text) + "\n"


MADE = "<sub>Written by `make papers`.</sub>"


def index(records: Sequence[Record], parts: Mapping[str, str], plans: Mapping[str, Any]) -> str:
    """The index of all records."""
    rows = []
    for record in records:
        recipe, content = RECIPES[record.row.split()[0]], record.content
        watched = recipe.settings.training.watch
        metric = next(name for name in (watched, *HEADLINES) if name in record.metrics and name != "loss")
        label, form = METRICS[metric]
        link = f"[{record.file.removesuffix('.json')}](../results/{record.file})"
        commits = ", ".join(f"`{one[:7]}`" for one in content["commit"].split(", "))
        cells = [f"`{record.row}`", content["data"], content["split"], f"{label} {record.metrics[metric]:{form}}"]
        rows.append([*cells, record.seeds, commits, f"{record.minutes:.0f} min", link])
    columns = ["recipe", "data", "split", "", "seed", "commit", "processor time", "record"]
    names = "\n".join(f"- [{paragraphs(system)[0]}](papers/{system}.md)" for system in plans)
    used = {record.part for record in records}
    described = "\n".join(f"- {name}: {about}" for name, about in parts.items() if name in used)
    return f"""# Results

Every recorded run, with one figure each. A record has the command, commit, seed, machine, all figures, times and the
learning curve. Where the split is "valid", the best weights were selected on the part that is measured, so these
figures are optimistic. Processor time is that of training.

A page a paper, with the published figures beside these:

{names}

What was measured on, by data and split:

{described}

{table(columns, rows)}

The benchmarks' records (`bench.json`, `bench-glimpses.json`, `bench-hierarchical.json`, `bench-linear-texts.json`,
`bench-memory.json`, `serve-load.json`) are described in [bench/README.md](../bench/README.md).

{MADE}
"""


# Learning curves


def curve_data(plan: Mapping[str, Any], known: Mapping[str, list[Record]]) -> dict[str, list[Any]]:
    """The curves of a table: those of its rows that are recipes as they are."""
    if "curve" not in plan:
        return {}
    shown = plan.get("curves", [row for row in plan["rows"] if " " not in row])
    return {row: [record.content["curve"] for record in known[row]] for row in shown if row in known}


def digest(plan: Mapping[str, Any], curves: Mapping[str, list[Any]]) -> str:
    shown = [plan["title"], plan["curve"], plan.get("log", False), curves]
    return blake2b(json.dumps(shown).encode(), digest_size=16).hexdigest()


def digest_in(path: Path) -> str:
    """The digest of what a picture shows, empty if there is no such picture."""
    found = re.search(r"<dc:description>([0-9a-f]+)<", path.read_text(encoding="utf-8")) if path.exists() else None
    return found[1] if found else ""


def draw_curves(path: Path, plan: Mapping[str, Any], curves: Mapping[str, list[Any]]) -> None:
    """An SVG of learning curves, one colour a row and one line a seed."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "attend", "path.simplify": True, "font.size": 9}):
        figure = Figure(figsize=(6.4, 3.0), layout="constrained")
        axes = figure.add_subplot()
        for number, (row, lines) in enumerate(curves.items()):
            for line in lines:
                label = row if line is lines[0] else None
                axes.plot(*zip(*line, strict=True), color=f"C{number}", linewidth=1, alpha=0.8, label=label)
        if plan.get("log"):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set_xlabel("update")
        axes.set_ylabel(f"{plan['curve']}, validation")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
        figure.savefig(path, metadata={"Date": None, "Description": digest(plan, curves)})
    # matplotlib leaves spaces at the ends of lines.
    path.write_text("\n".join(map(str.rstrip, path.read_text(encoding="utf-8").splitlines())) + "\n", encoding="utf-8")


# All of it


def read_plans() -> tuple[dict[str, Any], dict[str, str]]:
    """What papers.toml says of each system, and of the parts of data. Raises `ValueError` for a system without any."""
    plans = tomllib.loads((HERE / "papers.toml").read_text(encoding="utf-8"))
    parts = plans.pop("parts")
    modules = dict.fromkeys(recipe.system.__module__ for recipe in RECIPES.values())
    systems = {module.rpartition(".")[2] for module in modules if module.startswith("attend.systems.")}
    if different := systems ^ set(plans):
        raise ValueError(f"papers.toml and the systems of the catalogue differ in {', '.join(sorted(different))}")
    return plans, parts


def texts() -> dict[Path, str]:
    """What each page holds."""
    plans, parts = read_plans()
    records = read_records()
    found = {HERE / "papers" / f"{system}.md": page(system, plan, records, parts) for system, plan in plans.items()}
    return found | {HERE / "results.md": index(records, parts, plans)}


def pictures() -> dict[Path, tuple[Mapping[str, Any], dict[str, list[Any]]]]:
    """What each picture shows."""
    plans, _ = read_plans()
    known = rows_of(read_records())
    return {
        HERE / "papers" / f"{system}-{number}.svg": (plan, curves)
        for system, one in plans.items()
        for number, plan in enumerate(one["tables"], start=1)
        if (curves := curve_data(plan, known))
    }


def main() -> int:
    (HERE / "papers").mkdir(exist_ok=True)
    for path, text in texts().items():
        path.write_text(text, encoding="utf-8")
    drawn = pictures()
    for path, (plan, curves) in drawn.items():
        if digest_in(path) != digest(plan, curves):
            draw_curves(path, plan, curves)
    for path in (HERE / "papers").glob("*.svg"):
        if path not in drawn:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
