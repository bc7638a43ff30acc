"""`attend list`"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attend.commands.options import parse
from attend.commands.output import print_json

if TYPE_CHECKING:
    from attend.recipe import Recipe

OTHERS = "other recipes"


@dataclass(frozen=True)
class Options:
    """The recipes, by paper: what each is, and what it must reach.

    Recipes that installed packages announce are among them. A recipe of your own is named as module:NAME, and needs no
    announcement.

    examples:
      attend list
      attend list --all
      attend list --json
    """

    all: bool = False
    """Also the controls, and the other sizes and data of recipes that are listed."""
    json: bool = False
    """Print one JSON object of all recipes: name -> about, reaches, paper, fields, output, control, variant,
    needs_data."""


def main(arguments: Sequence[str]) -> int:
    options = parse(Options, "attend list", arguments)
    from attend.catalogue import RECIPES, announced

    recipes = RECIPES | announced()
    if options.json:
        print_json({name: described(recipe) for name, recipe in recipes.items()})
        return 0
    shown = {name: one for name, one in recipes.items() if options.all or not (one.control or one.variant)}
    papers = dict.fromkeys(recipe.paper or OTHERS for recipe in shown.values())
    width = max(map(len, shown))
    for paper in papers:
        print(paper)
        for name, recipe in shown.items():
            if (recipe.paper or OTHERS) == paper:
                goals = ", ".join(f"{figure.replace('_', ' ')} {value:g}" for figure, value in recipe.reaches.items())
                print(f"  {name:{width}}  {recipe.about}{f' (must reach {goals})' if goals else ''}")
        print()
    if hidden := len(recipes) - len(shown):
        print(f"{hidden} controls and variants: attend list --all")
    return 0


def described(recipe: "Recipe") -> dict[str, Any]:
    """A recipe without its settings."""
    settings = recipe.settings
    inputs = settings.fields() if hasattr(settings, "fields") else {}
    return {
        "about": recipe.about,
        "reaches": dict(recipe.reaches),
        "paper": recipe.paper,
        "fields": {name: one.kind for name, one in inputs.items()},
        "output": settings.output.kind if hasattr(settings, "output") else None,
        "control": recipe.control,
        "variant": recipe.variant,
        "needs_data": not settings.data.files("train"),
    }
