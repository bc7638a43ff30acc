"""Settings as data: frozen dataclasses to and from plain dicts, with every unknown or ill-typed key named."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from math import inf
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from attend.stored import LARGEST, shown

# What may change while a run is trained: it decides how long and where, not what is learnt in an update.
MAY_CHANGE = (
    *("training.epochs", "training.threads", "training.save_minutes", "training.tensorboard"),
    # Where the data are. That they are the same is seen by their own checksums.
    *("data.name", "data.train", "data.valid", "data.test", "data.folder"),
)
# Names that a hint lists.
MOST_ALIKE = 3
# The key of a field's metadata with the value that runs had which were made before there was the field.
FORMERLY = "formerly"


def nearest(name: str, known: list[str]) -> str:
    """A hint for a name that is not known: the nearest one, or all of them."""
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(known)}"


def same_leaf(name: str, known: Sequence[str]) -> str:
    """A hint for "data.unit" where "inputs.source.unit" is known: the names that end alike, or none."""
    leaf = name.rpartition(".")[2]
    alike = [one for one in known if "." in one and one.rpartition(".")[2] == leaf] if "." in name else []
    return f"did you mean {' or '.join(map(repr, alike))}?" if 0 < len(alike) <= MOST_ALIKE else ""


def paths(settings: Any, prefix: str = "") -> list[str]:
    """The names of all fields, those of records inside with the record's name in front."""
    found = []
    for field in fields(settings):
        value = getattr(settings, field.name)
        found += paths(value, f"{prefix}{field.name}.") if is_dataclass(value) else [prefix + field.name]
    return found


def values(settings: Any, prefix: str = "") -> dict[str, Any]:
    """The values of all fields by the names that `paths` gives."""
    found: dict[str, Any] = {}
    for field in fields(settings):
        value = getattr(settings, field.name)
        found |= values(value, f"{prefix}{field.name}.") if is_dataclass(value) else {prefix + field.name: value}
    return found


def merge(settings: Any, changes: Mapping[str, Any], place: str, path: str = "", whole: Any = None) -> Any:
    """`settings` with the fields that `changes` names replaced, at any depth.

    `place` (a file, say) and the field's path stand in the `ValueError` for a key that is no field, or a value that is
    not of the field's type or out of its range. `path` is where `settings` are in the `whole`.
    """
    whole = settings if whole is None else whole
    names = [field.name for field in fields(settings)]
    hints = get_type_hints(type(settings))
    new = {}
    for key, value in changes.items():
        where = f"{path}{key}"
        if key not in names:
            hint = same_leaf(where, paths(whole)) or nearest(key, names)
            raise ValueError(f"{place}: there is no field {where!r}; {hint}")
        old = getattr(settings, key)
        if is_dataclass(old):
            if not isinstance(value, Mapping):
                raise ValueError(f"{place}: {where!r} is a table of fields, not {shown(value)}")
            new[key] = merge(old, value, place, f"{where}.", whole)
        else:
            new[key] = convert(value, hints[key], f"{place}: {where!r}")
    try:
        return replace(settings, **new)
    except ValueError as error:
        raise ValueError(f"{place}: {path}{error}") from error


def formerly(settings: Any) -> Any:
    """`settings` with the values that a run had which names nothing: one made before some of the fields were there."""
    new = {}
    for field in fields(settings):
        value = getattr(settings, field.name)
        new[field.name] = formerly(value) if is_dataclass(value) else field.metadata.get(FORMERLY, value)
    return replace(settings, **new)


def convert(value: Any, kind: Any, what: str) -> Any:
    """A value of JSON or TOML as a field's type. Raises `ValueError` where it is not one."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        if value in arguments:
            return value
        raise ValueError(f"{what} must be one of {', '.join(map(repr, arguments))}, not {shown(value)}")
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(convert(item, arguments[0], what) for item in value)
    if origin in (Union, UnionType):
        if value is None and type(None) in arguments:
            return None
        return convert(value, next(argument for argument in arguments if argument is not type(None)), what)
    if isinstance(value, int) and abs(value) >= LARGEST:
        raise ValueError(f"{what} is too large: {shown(value)}")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    name = "list" if origin is tuple else getattr(kind, "__name__", kind)
    raise ValueError(f"{what} must be of type {name}, not {shown(value)}")


def check_range(settings: Any, names: str, least: float, below: float = inf) -> None:
    """Raise `ValueError` unless each of these fields (names, spaces between) is at least `least` and below `below`."""
    for name in names.split():
        value = getattr(settings, name)
        if not least <= value < below:
            limit = "" if below == inf and value < least else f" and below {below:g}"
            raise ValueError(f"{name} must be at least {least:g}{limit}, not {value}")


def check_config(config: Any) -> None:
    """Raise `ValueError` unless a system's sizes are at least 1, and its shares (floats) from 0 to below 1."""
    for field in fields(config):
        value = getattr(config, field.name)
        if isinstance(value, float):
            check_range(config, field.name, 0, 1)
        elif isinstance(value, int) and not isinstance(value, bool):
            check_range(config, field.name, 1)
