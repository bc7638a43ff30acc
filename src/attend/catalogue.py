"""Every recipe by its name."""

from attend.recipes import captions, dates, draw, glimpses, translation, wake_sleep
from attend.recipes.recipe import Recipe
from attend.settings import nearest

RECIPES: dict[str, Recipe] = {
    **translation.RECIPES,
    **dates.RECIPES,
    **glimpses.RECIPES,
    **draw.RECIPES,
    **captions.RECIPES,
    **wake_sleep.RECIPES,
}


def find(name: str) -> Recipe:
    """Raises `ValueError`, with the nearest name, for one that is not known."""
    if name not in RECIPES:
        raise ValueError(f"there is no recipe {name!r}; {nearest(name, list(RECIPES))}")
    return RECIPES[name]
