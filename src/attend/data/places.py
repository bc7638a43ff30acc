"""Where a run's own data are, whichever folder a command is called from.

Paths are relative to the folder that training was started in. A run keeps where that led, for later calls from
elsewhere.
"""

import os
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from attend.data.files import DataError, locate


def places_of(data: Any) -> dict[str, str]:
    """Of each relative path in the settings of data, where it leads now."""
    found, test = {}, getattr(data, "test", ())
    for path in (*data.reads(), *(test if isinstance(test, tuple) else ())):
        if not os.path.isabs(path):
            try:
                found[path] = str(locate(path).absolute())
            except DataError:  # what is for tests may come later
                continue
    return found


def located(data: Any, places: Mapping[str, str]) -> Any:
    """The settings of data with paths that are not found from here replaced by where they once led."""
    changed = {}
    for field in fields(data):
        value = getattr(data, field.name)
        if isinstance(value, str):
            changed[field.name] = place_of(value, places)
        elif isinstance(value, tuple) and all(isinstance(one, str) for one in value):
            changed[field.name] = tuple(place_of(one, places) for one in value)
    return replace(data, **{name: value for name, value in changed.items() if value != getattr(data, name)})


def place_of(path: str, places: Mapping[str, str]) -> str:
    """The path, or where it once led if it is not found from here."""
    known = places.get(path)
    if known is None or not os.path.exists(known):
        return path
    try:
        locate(path)
    except DataError:
        return known
    return path
