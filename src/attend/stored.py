"""JSON that a run folder keeps: one reader, whose errors name the file and the key."""

import json
from pathlib import Path
from reprlib import Repr
from typing import Any, get_args, get_origin

# Of whole numbers: beyond it neither NumPy nor torch takes them.
LARGEST = 2**63

NAMES = {
    str: "text",
    float: "a number",
    int: "a whole number",
    dict: "an object",
    list: "a list",
    bool: "true or false",
}


def read_object(path: Path) -> dict[str, Any]:
    """A file's JSON object. Raises `ValueError`, naming the file, where it holds anything else; `FileNotFoundError`."""
    try:
        content = json.loads(path.read_bytes())
    except RecursionError as error:
        raise ValueError(f"{path} is not JSON that attend wrote: it is nested too deep") from error
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    return check(content, dict, str(path))


def check(value: Any, kind: Any, where: str) -> Any:
    """The value, if it is of this type; `where` names its file and key. Raises `ValueError` if it is not.

    A type is `str`, `float` (any number), `int`, `dict` or `list`, with types of values or not: `dict[str, float]`.
    """
    plain, inner = get_origin(kind) or kind, get_args(kind)
    items: Any = value
    if plain in (int, float):
        number = isinstance(value, int if plain is int else int | float) and not isinstance(value, bool)
        good = number and (isinstance(value, float) or abs(value) < LARGEST)
    else:
        good = isinstance(value, plain)
    if not good:
        raise ValueError(f"{where} must be {NAMES[plain]}, not {shown(value)}")
    if inner and plain is dict:
        for key, one in items.items():
            check(one, inner[1], f"{where}: {key!r}")
    elif inner:
        for one in items:
            check(one, inner[0], where)
    return value


def check_keys(content: dict[str, Any], kinds: dict[str, Any], path: Path) -> dict[str, Any]:
    """The content, if each of these keys is there and of its type. Raises `ValueError` naming file and key."""
    for key, kind in kinds.items():
        if key not in content:
            raise ValueError(f"{path}: there is no {key!r}")
        check(content[key], kind, f"{path}: {key!r}")
    return content


def shown(value: Any) -> str:
    """A value in a message: never long, whatever it is."""
    short = Repr()
    short.maxstring = short.maxother = short.maxlong = 60
    return short.repr(value)
