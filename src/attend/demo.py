"""The demo: learn to read dates, and see whether the model looked at the right part of each.

Dates are a real job with a known answer to "where should it look?": for each digit of year, month and day, the
strongest weight ought to lie inside that part of the source.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attend import run
from attend.atomic import write_atomically
from attend.attention.trace import Tokens, Weights
from attend.catalogue import find
from attend.contract import Evaluation
from attend.data.dates import date_rows, generate
from attend.data.examples import TARGET
from attend.explore import explain
from attend.inspect.spans import SpanRead, span_mass, span_reads, step_spans
from attend.model import Model
from attend.progress import say, training_report
from attend.record import finish, write_results
from attend.show import figure, page, terminal
from attend.task import Part

RECIPE = "rnnsearch-modern-dates"
CONTROLS = {"last": f"{RECIPE}-last", "uniform": f"{RECIPE}-uniform"}
# Dates of locales that no training date is of.
UNSEEN = 1_000
SHOWN = ("Samstag, 3. Mai 2008", "2008年5月3日", "samedi 3 mai 2008", "<dmy> 03/05/08")


def demo(out: Path, overwrite: bool) -> None:
    """Train in `out` (a run that is already there is only reported on, unless it may be overwritten), and report."""
    with run.hold(out, make=True):
        train(RECIPE, out, overwrite)
        figures = report(run.load(out), out)
    print(f"\nheld-out dates: {figures['exact_match']:.1%} exactly right")
    print(f"digits whose strongest weight lies in the right part of the source: {figures['alignment_accuracy']:.1%}")
    print(f"dates of locales never seen in training: {figures['unseen_exact_match']:.1%} exactly right")
    print(f"\nthe picture is {out / 'attention.png'}, the report {out / 'report.html'}")


def controls(out: Path, overwrite: bool) -> list[Path]:
    """Train and measure the same model without attention, in two ways, beside `out`. Returns their folders."""
    runs = []
    for name, recipe in CONTROLS.items():
        runs.append(folder_beside(out, name))
        with run.hold(runs[-1], make=True):
            train(recipe, runs[-1], overwrite)
            finish(runs[-1])
    return runs


def folder_beside(out: Path, what: str) -> Path:
    """A folder named after another, beside it; of "." and ".." the name is not in the path."""
    named = out.resolve() if out.name in ("", "..") else out
    return named.with_name(f"{named.name}-{what}")


def train(recipe: str, out: Path, overwrite: bool) -> None:
    settings = find(recipe).settings
    if (out / "config.json").exists() and (found := run.RunConfig.read(out).recipe) != recipe:
        raise ValueError(f"{out} is a run of {found!r}, not of the demo's {recipe!r}: choose another --out")
    if (out / "config.json").exists() and not overwrite:
        if (out / "training.json").exists():
            say(f"{out} has been trained already: --overwrite trains it anew")
        else:
            say(f"{out} was stopped: going on")
            with training_report(settings) as progress:
                run.resume(out, say, progress)
        return
    with training_report(settings) as progress:
        run.start(recipe, settings, out, say, progress, overwrite)


def report(model: Model, out: Path) -> dict[str, float]:
    """Measure on held-out dates and unseen locales; write metrics, model card, pictures and the page."""
    unseen = date_rows(generate(UNSEEN, model.config.settings.data.seed, "unseen"))
    parts = {"": model.part("test"), "unseen_": model.rows(unseen, "dates of unseen locales")}
    found: dict[str, float] = {}
    reads: dict[str, list[SpanRead]] = {}
    evaluated: dict[str, Evaluation] = {}
    for prefix, part in parts.items():
        evaluated[prefix] = model.evaluate_part(part, model.how())
        reads[prefix] = date_reads(model, part)
        found[f"{prefix}exact_match"] = evaluated[prefix].figures["exact_match"]
        found[f"{prefix}alignment_accuracy"] = evaluated[prefix].figures["pointing_accuracy"]
        found[f"{prefix}mass_in_span"] = span_mass(reads[prefix])
    distances = beside(reads[""])
    more: Mapping[str, Any] = found | {"figures": evaluated[""].figures | found, "distance_from_span": distances}
    write_results(out, model, "test", evaluated[""], more)
    predictions = [model.predict(source) for source in SHOWN]
    detail = [explain(model, prediction) for prediction in predictions]
    html = page.page(detail, "Where a small model looked as it read dates")
    write_atomically(out / "report.html", lambda partial: partial.write_text(html, encoding="utf-8"))
    first = predictions[0].trace()
    look = first.looks["source"]
    assert isinstance(look, Weights)
    figure.heat_map(look, out / "attention.png")
    print(f"{SHOWN[0]}  ->  {first.output}\n")
    print(terminal.heat_map(look, 100, colour=False))
    print(terminal.alignment(look))
    print("\nwhere the strongest weight lies, in characters from the right part (0: inside it):")
    for distance, share in distances.items():
        print(f"  {distance:>8}  {share:.1%}")
    return found


def date_reads(model: Model, part: Part) -> list[SpanRead]:
    """How each digit of the right answers read the part it writes, with the answer given: every date counts."""
    given = model.force_cases(model.task.cases(part), [row.values[TARGET] for row in part.rows])
    reads: list[SpanRead] = []
    for prediction, row in zip(given, part.rows, strict=True):
        look: Any = prediction.looks["source"]
        assert isinstance(look.steps, Tokens)
        target: Any = {str(number): truth.of for number, truth in enumerate(row.truth)}
        source: Any = {str(number): truth.where for number, truth in enumerate(row.truth)}
        reads += span_reads(look, step_spans(look.steps, target, source))
    return reads


def beside(reads: Sequence[SpanRead]) -> dict[str, float]:
    """The share of reads by distance from their span: inside it, just before or after it, farther, or at the end."""

    def name(read: SpanRead) -> str:
        if read.distance is None:
            return "end"
        return f"{read.distance:+d}" if 0 < abs(read.distance) <= 1 else "0" if read.distance == 0 else "farther"

    counts = Counter(map(name, reads))
    return {kind: counts[kind] / len(reads) for kind in ("0", "-1", "+1", "farther", "end")}
