"""Every recipe by its name: attend's own, those that installed packages announce, and those that a caller names.

A package announces recipes by an entry point of the group "attend.recipes": its name is the recipe's, and it leads to a
`Recipe`. A recipe of one's own is named as "module:NAME".
"""

import sys
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from attend.recipe import Recipe
from attend.recipes import (
    captions,
    classification,
    dates,
    draw,
    entailment,
    glimpses,
    memory,
    pointers,
    stories,
    translation,
    wake_sleep,
)
from attend.settings import nearest

GROUP = "attend.recipes"
UNNAMED = "a recipe without a name"
"""What a recipe is called that no module has, such as one that was made in a function."""

RECIPES: dict[str, Recipe] = {
    **translation.RECIPES,
    **dates.RECIPES,
    **glimpses.RECIPES,
    **draw.RECIPES,
    **captions.RECIPES,
    **wake_sleep.RECIPES,
    **entailment.RECIPES,
    **memory.RECIPES,
    **stories.RECIPES,
    **pointers.RECIPES,
    **classification.RECIPES,
}


@cache
def announced() -> dict[str, Recipe]:
    """The recipes that installed packages announce. Raises `ValueError` for one that can't be loaded."""
    found = {}
    for point in entry_points(group=GROUP):
        try:
            recipe = point.load()
        except Exception as error:  # whatever a package raises on import
            raise ValueError(f"the recipe {point.name!r} of {point.value} can't be loaded ({error!r})") from error
        if not isinstance(recipe, Recipe):
            raise ValueError(f"the entry point {point.name!r} leads to {point.value}, which is no Recipe")
        found[point.name] = recipe
    return found


def find(name: str) -> Recipe:
    """A recipe by its name, or by "module:NAME", for which the module is imported.

    Raises `ValueError`, with the nearest name, for one that is not known.
    """
    if ":" in name:
        return imported(name)
    known = RECIPES if name in RECIPES else {**RECIPES, **announced()}
    if name not in known:
        raise ValueError(f"there is no recipe {name!r}; {nearest(name, list(known))}")
    return known[name]


def imported(name: str) -> Recipe:
    """The recipe of a module, which is looked for from the current folder too."""
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.split(".")[0]:
            raise ValueError(f"the module {module!r} can't be imported: it needs {error.name!r}") from error
        raise ValueError(f"there is no module {module!r}: name one that can be imported from here") from error
    except Exception as error:  # whatever the module raises
        raise ValueError(f"the module {module!r} can't be imported ({error!r})") from error
    recipe = getattr(found, attribute, None)
    if isinstance(recipe, Recipe):
        return recipe
    recipes = [key for key, value in vars(found).items() if isinstance(value, Recipe)]
    if recipe is None:
        raise ValueError(f"the module {module!r} has no {attribute!r}; {nearest(attribute, recipes)}")
    raise ValueError(f"{name} is no Recipe but {type(recipe).__name__}; {nearest(attribute, recipes)}")


def name_of(recipe: Recipe) -> str:
    """The name of a recipe: in the catalogue, or "module:NAME" of a module that is imported; else `UNNAMED`."""
    for name, one in RECIPES.items():
        if one is recipe:
            return name
    for module, content in list(sys.modules.items()):
        for name, value in list(getattr(content, "__dict__", {}).items()):
            if value is recipe:
                return f"{module}:{name}"
    return UNNAMED
