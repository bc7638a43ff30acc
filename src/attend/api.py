"""Training from Python: `attend.train`, beside `attend.load` of `attend.run`."""

from contextlib import nullcontext
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any

from attend.catalogue import find
from attend.progress import say, training_report
from attend.recipe import Recipe
from attend.record import conclusion, finish
from attend.run import hold, initial_of, load, start
from attend.settings import merge

__all__ = ["load", "train"]


def train(
    recipe: Recipe | str,
    out: str | Path,
    *,
    init: str | Path | None = None,
    overwrite: bool = False,
    quiet: bool = False,
    **changes: Any,
) -> Any:
    """Train a recipe (an object, or its name) in the folder `out`, and give its model.

    `changes` replace settings, section by section: data={"train": ("train.tsv",)}, training={"epochs": 3}; a section
    may also be given whole. `init` is a run folder to begin with: its weights, its vocabularies, and its settings of
    system, inputs and output. `quiet` says nothing of data and progress. Raises `ValueError` for a setting that is not
    known, for data that can't be learnt from, and for a folder that holds something already.
    """
    made_by = find(recipe) if isinstance(recipe, str) else recipe
    whole = {name: value for name, value in changes.items() if is_dataclass(value)}
    plain = {name: value for name, value in changes.items() if name not in whole}
    initial = None if init is None else initial_of(made_by, Path(init))
    settings = made_by.settings if initial is None else initial.settings_for(made_by.settings)
    settings = merge(replace(settings, **whole), plain, "attend.train")
    with hold(Path(out), make=True):
        with nullcontext(unheard) if quiet else training_report(settings) as report:
            start(recipe, settings, Path(out), unheard if quiet else say, report, overwrite, initial)
        found = finish(Path(out), made_by)
    for line in () if quiet else conclusion(Path(out), settings, found):
        say(line)
    return load(out, recipe=made_by)


def unheard(*_: Any) -> None:
    """Take a report, and say nothing."""
