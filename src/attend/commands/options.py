"""From the words of a command to a record of options, and a clear message for a word that is none."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro
from tyro.conf import Positional, UseAppendAction, arg

from attend.settings import nearest, same_leaf

Options = TypeVar("Options")

# How options that several verbs have are shown in their help.
Run = Positional[Annotated[Path, arg(metavar="RUN")]]
Runs = Annotated[tuple[Path, ...], arg(metavar="RUN [RUN ...]", help_behavior_hint="")]
# A group for each time that the flag is given: "--ensemble a b" and "--ensemble a --ensemble b" are the same (`flat`).
Groups = UseAppendAction[tuple[tuple[Path, ...], ...]]
Ensemble = Annotated[Groups, arg(metavar="RUN [RUN ...]", help_behavior_hint="")]
OutFiles = Annotated[Groups, arg(metavar="FILE [FILE ...]", help_behavior_hint="")]
Data = Annotated[tuple[str, ...], arg(metavar="FILE [FILE ...]", help_behavior_hint="")]
Columns = Annotated[tuple[str, ...], arg(metavar="FIELD=COLUMN [...]", help_behavior_hint="")]
OutFile = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")]
InFile = Annotated[str | None, arg(metavar="FILE", help_behavior_hint="")]
RecipeName = Annotated[str | None, arg(metavar="MODULE:NAME", help_behavior_hint="")]
AsTrained = arg(metavar="NUMBER", help_behavior_hint="(default: as in the run's settings)")
Beam = Annotated[int | None, AsTrained]
LengthPenalty = Annotated[float | None, AsTrained]
Longest = Annotated[int | None, AsTrained]
NgramSize = Annotated[int | None, AsTrained]
NoUnknown = Annotated[bool, arg(help_behavior_hint="")]
LongestInput = Annotated[
    int | None, arg(metavar="NUMBER", help_behavior_hint="(default: four times what it learnt from)")
]
GoldForm = Literal["naacl", "pharaoh", "pharaoh-1"]


def parse(kind: type[Options], program: str, arguments: Sequence[str]) -> Options:
    """The options of a verb.

    Raises `ValueError` for a flag that is not known, naming the nearest one. Tyro itself explains, on standard error, a
    value that is not of its flag's type, or an option that is missing, and ends the program with status 2.
    """
    options, unknown = tyro.cli(
        kind, prog=program, args=list(arguments), config=(tyro.conf.FlagCreatePairsOff,), return_unknown_args=True
    )
    refuse(unknown, flags(kind))
    return options


def refuse(unknown: Sequence[str], known: list[str]) -> None:
    """Raise `ValueError` if any words were not understood."""
    wrong = [word.split("=")[0] for word in unknown if word.startswith("-")]
    if wrong:
        name = wrong[0].replace("_", "-")
        raise ValueError(f"there is no flag {wrong[0]!r}; {same_leaf(name, known) or nearest(name, known)}")
    if unknown:
        raise ValueError(f"unexpected argument {unknown[0]!r}: quote a text that has spaces in it")


def flags(record: Any, prefix: str = "--") -> list[str]:
    """The flags of a record's fields; those of a record inside it have its name in front."""
    names = []
    for field in fields(record):
        name = prefix + field.name.replace("_", "-")
        value = getattr(record, field.name, None)
        names += flags(value, f"{name}.") if is_dataclass(value) else [name]
    return names


def named(values: Sequence[str], flag: str) -> dict[str, str]:
    """What a flag such as `--columns source=en target=de` says, by name.

    Raises `ValueError` for a value without a name, and for a name that stands there twice.
    """
    found: dict[str, str] = {}
    for one in values:
        name, mark, value = one.partition("=")
        if not mark or not name:
            raise ValueError(f"{flag} {one!r}: write it as name=value")
        if name in found:
            raise ValueError(f"{flag}: {name!r} stands there twice")
        found[name] = value
    return found


def flat(groups: tuple[tuple[Path, ...], ...]) -> tuple[Path, ...]:
    """The values of a flag that may be given several times, in order."""
    return tuple(chain.from_iterable(groups))
