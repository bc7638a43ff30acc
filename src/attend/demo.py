"""The demo: learn to read dates, and see whether the model looked at the right part of each.

Dates are a real job with a known answer to "where should it look?": for each digit of year, month and day, the
strongest weight ought to lie inside that part of the source.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from attend import run
from attend.atomic import write_atomically
from attend.attention.trace import Tokens, Weights
from attend.catalogue import find
from attend.data import dates
from attend.data.files import Pair
from attend.inspect.spans import ISO_DATE, SpanRead, span_accuracy, span_mass, span_reads, step_spans
from attend.progress import say, training_report
from attend.record import finish, write_results
from attend.show import figure, page, terminal
from attend.tasks.exploring import detailed
from attend.tasks.text_model import Evaluation, TextModel, evaluate

RECIPE = "rnnsearch-modern-dates"
CONTROLS = {"last": f"{RECIPE}-last", "uniform": f"{RECIPE}-uniform"}
COUNTS: dict[dates.Split, int] = {"train": 20_000, "valid": 500, "test": 1_000, "unseen": 1_000}
SEED = 1
SHOWN = ("Samstag, 3. Mai 2008", "2008年5月3日", "samedi 3 mai 2008", "<dmy> 03/05/08")


def demo(out: Path, overwrite: bool) -> None:
    """Train in `out` (a run that is already there is only reported on, unless it may be overwritten), and report."""
    train(RECIPE, out, write_data(out), overwrite)
    model = run.load_text(out)
    figures = report(model, out)
    print(f"\nheld-out dates: {figures['exact_match']:.1%} exactly right")
    print(f"digits whose strongest weight lies in the right part of the source: {figures['alignment_accuracy']:.1%}")
    print(f"dates of locales never seen in training: {figures['unseen_exact_match']:.1%} exactly right")
    print(f"\nthe picture is {out / 'attention.png'}, the report {out / 'report.html'}")


def controls(out: Path, overwrite: bool) -> list[Path]:
    """Train and measure the same model without attention, in two ways, beside `out`. Returns their folders."""
    runs = []
    for name, recipe in CONTROLS.items():
        runs.append(folder_beside(out, name))
        train(recipe, runs[-1], write_data(out), overwrite)
        finish(runs[-1])
    return runs


def write_data(out: Path) -> dict[dates.Split, Path]:
    return dates.write(folder_beside(out, "data"), SEED, COUNTS)


def folder_beside(out: Path, what: str) -> Path:
    """A folder named after another, beside it; of "." and ".." the name is not in the path."""
    named = out.resolve() if out.name in ("", "..") else out
    return named.with_name(f"{named.name}-{what}")


def train(recipe: str, out: Path, data: dict[dates.Split, Path], overwrite: bool) -> None:
    settings = find(recipe).settings
    if (out / "config.json").exists() and (found := run.RunConfig.read(out).recipe) != recipe:
        raise ValueError(f"{out} is a run of {found!r}, not of the demo's {recipe!r}: choose another --out")
    if (out / "config.json").exists() and not overwrite:
        if (out / "training.json").exists():
            say(f"{out} has been trained already: --overwrite trains it anew")
        else:
            say(f"{out} was stopped: going on")
            with training_report(settings.training.epochs) as progress:
                run.resume(out, say, progress)
        return
    paths = {part: (str(data[part]),) for part in ("train", "valid", "test")}
    settings = replace(settings, data=replace(settings.data, **paths))
    with training_report(settings.training.epochs) as progress:
        run.start(recipe, settings, out, say, progress, overwrite)


def report(model: TextModel, out: Path) -> dict[str, float]:
    """Measure on held-out dates and unseen locales; write metrics, model card, pictures and the page."""
    parts: dict[dates.Split, str] = {"test": "", "unseen": "unseen_"}
    found: dict[str, float] = {}
    reads: dict[dates.Split, list[SpanRead]] = {}
    evaluated: dict[dates.Split, Evaluation] = {}
    for split, prefix in parts.items():
        pairs = dates.generate(COUNTS[split], SEED, split)
        evaluated[split] = evaluate(
            model,
            [Pair(line, pair.source, pair.target) for line, pair in enumerate(pairs, start=1)],
            model.config.settings.decoding,
        )
        reads[split] = date_reads(model, pairs)
        found[f"{prefix}exact_match"] = evaluated[split].figures["exact_match"]
        found[f"{prefix}alignment_accuracy"] = span_accuracy(reads[split])
        found[f"{prefix}mass_in_span"] = span_mass(reads[split])
    distances = beside(reads["test"])
    figures = evaluated["test"].figures | found
    more = found | {"figures": figures, "distance_from_span": distances}
    write_results(out, model, "test", evaluated["test"], more)
    traces = [model.predict(source).trace(run=str(out)) for source in SHOWN]
    how = model.config.settings.decoding
    detail = [detailed(model.task, model.decoder, trace, how) for trace in traces]
    html = page.page(detail, "Where a small model looked as it read dates")
    write_atomically(out / "report.html", lambda partial: partial.write_text(html, encoding="utf-8"))
    look = traces[0].looks["source"]
    assert isinstance(look, Weights)
    figure.heat_map(look, out / "attention.png")
    print(f"{SHOWN[0]}  ->  {traces[0].output}\n")
    print(terminal.heat_map(look, 100, colour=False))
    print(terminal.alignment(look))
    print("\nwhere the strongest weight lies, in characters from the right part (0: inside it):")
    for distance, share in distances.items():
        print(f"  {distance:>8}  {share:.1%}")
    return found


def date_reads(model: TextModel, pairs: Sequence[dates.DatePair]) -> list[SpanRead]:
    """How each digit of the right answers read the part it writes, with the answer given: every date counts."""
    given = model.task.force(model.decoder, [(pair.source, pair.target) for pair in pairs])
    reads: list[SpanRead] = []
    for prediction, pair in zip(given, pairs, strict=True):
        look: Any = prediction.trace().looks["source"]
        assert isinstance(look.steps, Tokens)
        reads += span_reads(look, step_spans(look.steps, ISO_DATE, pair.spans))
    return reads


def beside(reads: Sequence[SpanRead]) -> dict[str, float]:
    """The share of reads by distance from their span: inside it, just before or after it, farther, or at the end."""

    def name(read: SpanRead) -> str:
        if read.distance is None:
            return "end"
        return f"{read.distance:+d}" if 0 < abs(read.distance) <= 1 else "0" if read.distance == 0 else "farther"

    counts = Counter(map(name, reads))
    return {kind: counts[kind] / len(reads) for kind in ("0", "-1", "+1", "farther", "end")}
