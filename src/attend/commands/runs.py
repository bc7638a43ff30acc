"""What verbs ask of a run: its model, what it can't do, and a person's examples of its kind."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attend.commands.options import named
from attend.data.files import DataError
from attend.progress import say

if TYPE_CHECKING:
    from attend.data.examples import Column, Row
    from attend.task import Part

TABLES = (".tsv", ".csv", ".jsonl", ".json")


def model_of(runs: Sequence[Path], recipe: str | None, weights: Any = "model", longest_input: int | None = None) -> Any:
    """The model of a run, or the ensemble of several. Raises `ValueError` for what no input of it can have."""
    from attend.run import load

    model = load(*runs, weights=weights, recipe=recipe)
    if longest_input is not None:
        if not hasattr(model, "predict_cases"):
            raise refused(model, runs[0], "longest_input", "has no inputs that vary in length")
        model.read_up_to(longest_input)
    return model


def search_of(options: Any) -> dict[str, Any]:
    """The changes to a run's decoding options that a verb's flags ask for: None where the run's own stand."""
    names = ("beam", "length_penalty", "longest", "no_repeat_ngram")
    return {name: getattr(options, name) for name in names} | {"no_unknown": options.no_unknown or None}


def kind_of(model: Any) -> str:
    """What a model does, in a word: the kind of its output, or of its task where that is not supervised."""
    if hasattr(model, "predict_cases"):
        return model.config.settings.output.kind
    return type(model.task).__name__.lower()


def check_predicts(model: Any, run: Path, what: str = "predictions") -> None:
    """Raises `ValueError` for a run without predictions, by the name of what it does instead."""
    if not hasattr(model, "predict_cases"):
        other = "attend show shows what it draws" if hasattr(model, "generate") else "attend evaluate measures it"
        raise ValueError(f"{run} is a run of {model.config.recipe!r}: {kind_of(model)} has no {what}; {other}")


def refused(model: Any, run: Path, flag: str, why: str) -> ValueError:
    """The error for a flag that the run's output, or task, has no use for."""
    name = kind_of(model)
    subject = f"the output {name!r}" if hasattr(model, "predict_cases") else name
    return ValueError(f"--{flag.replace('_', '-')}: {run} is a run of {model.config.recipe!r}, and {subject} {why}")


def columns_of(model: Any) -> "list[Column]":
    """The columns of a person's table: under their names, or as the run's own tables call them."""
    from attend.data.tables import distinct

    own = named(getattr(model.config.settings.data, "columns", ()), "data.columns")
    columns = distinct(model.config.settings.columns(), own)
    return [replace(one, aliases=(*one.aliases, own[one.name])) if one.name in own else one for one in columns]


def given_part(model: Any, paths: Sequence[str], columns: Sequence[str]) -> "tuple[Part, int]":
    """A person's examples to measure on, and the last line that any has. Raises `ValueError` if none can be used."""
    from attend.data.own import read_given

    last = 0

    def rows() -> "Iterator[Row]":
        nonlocal last
        for row in read_given(paths, columns_of(model), named(columns, "--columns"), log=say):
            last = max(last, row.line)
            yield row

    return model.rows(rows(), ", ".join(paths)), last


def say_remarks(model: Any) -> None:
    """Say what was done to the values that were read (resized, turned, of several frames the first taken), and what may
    be wrong with them."""
    for remark in model.remarks():
        say(remark)


def say_changes(run: Path) -> None:
    """Say which files and folders are not what the run began with: of what it then held out, some may be learnt."""
    from attend.run import changed

    try:
        found = changed(run)
    except DataError as error:
        say(f"attend: {error}")
        return
    for path in found:
        again = "if a part of it was held out, that is another one now, and some of it may have been learnt"
        say(f"attend: {path} has changed since {run} began: {again}")
