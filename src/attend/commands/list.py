"""`attend list`"""

from collections.abc import Sequence
from dataclasses import dataclass

from attend.commands.options import parse
from attend.commands.output import print_json


@dataclass(frozen=True)
class Options:
    """The recipes: what each is, and what it must reach.

    examples:
      attend list
      attend list --json
    """

    json: bool = False
    """Print one JSON object: recipe -> about, reaches."""


def main(arguments: Sequence[str]) -> int:
    options = parse(Options, "attend list", arguments)
    from attend.catalogue import RECIPES

    if options.json:
        print_json({name: {"about": recipe.about, "reaches": dict(recipe.reaches)} for name, recipe in RECIPES.items()})
        return 0
    width = max(map(len, RECIPES))
    for name, recipe in RECIPES.items():
        goals = ", ".join(f"{figure.replace('_', ' ')} {value:g}" for figure, value in recipe.reaches.items())
        print(f"{name:{width}}  {recipe.about}{f' (must reach {goals})' if goals else ''}")
    return 0
