"""What a recipe is: settings that a user may change, the system and the task that they are for, and what it reaches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, make_dataclass
from functools import cache
from inspect import signature
from typing import Any, Generic, TypeVar

from torch import nn

from attend.data.check import ColumnKind
from attend.data.examples import TARGET, Column, Fixed, Fresh, Log
from attend.memory import within_memory
from attend.training import Training

Config = TypeVar("Config")
Inputs = TypeVar("Inputs")
Target = TypeVar("Target")
Data = TypeVar("Data")
How = TypeVar("How")

# What a column's values are, by the kind of its field or output; those of others are files or arrays.
KINDS: Mapping[str, ColumnKind] = {"text": "text", "sequence": "text", "classes": "label"}


@dataclass(frozen=True)
class Settings(Generic[Config, Data, How]):
    """Everything that decides a run. A run folder's config.json holds it whole."""

    system: Config
    """The model."""
    data: Data
    """What it learns from."""
    training: Training
    """How it learns."""
    decoding: How
    """How it predicts."""


@dataclass(frozen=True)
class SupervisedSettings(Generic[Config, Inputs, Target, Data, How]):
    """The same for a supervised task, with its inputs and its output."""

    system: Config
    """The model."""
    inputs: Inputs
    """The inputs, by name: how each is read."""
    output: Target
    """What is predicted."""
    data: Data
    """What it learns from."""
    training: Training
    """How it learns."""
    decoding: How
    """How it predicts."""

    def fields(self) -> dict[str, Any]:
        """The settings of the inputs' fields, by name."""
        return {one.name: getattr(self.inputs, one.name) for one in fields(self.inputs)}  # type: ignore[arg-type]

    def columns(self) -> list[Column]:
        """The columns of a table of such examples: the inputs and the target, in this order."""
        output: Any = self.output
        return [*(one.column(name) for name, one in self.fields().items()), output.column()]

    def kinds(self) -> dict[str, ColumnKind]:
        """What each column's values are, for checks."""
        output: Any = self.output
        found = {name: one.kind for name, one in self.fields().items()} | {output.column().name: output.kind}
        return {name: KINDS.get(kind, "file") for name, kind in found.items()}

    def vocabulary_flag(self, name: str) -> str:
        """The flag that sets the vocabulary of an input or the target, which may be another's that it shares."""
        one: Any = self.output if name == TARGET else self.fields()[name]
        owner = one.like or name
        return "--output.vocabulary" if owner == TARGET else f"--inputs.{owner.replace('_', '-')}.vocabulary"

    def open_source(self, log: Log) -> Fixed | Fresh:
        data: Any = self.data
        return data.open(self.columns(), self.training.seed, log)


@cache
def _inputs(kinds: tuple[tuple[str, type], ...]) -> type:
    return make_dataclass("Inputs", kinds, frozen=True)


def inputs(**named: Any) -> Any:
    """Inputs by name, as one record of settings: `inputs(source=Text(), ...)`."""
    return _inputs(tuple((name, type(one)) for name, one in named.items()))(**named)


@dataclass(frozen=True)
class Recipe:
    """A paper's result, or a control beside it.

    `about` it in a line, its settings, the system's class (called with its configuration and the sizes that its
    constructor names), the task that joins it to data (a `StoredTask`), the paper, whether it is a control or another
    size of one that is listed, and what it must reach. `taught` is the field whose known places (supporting facts) the
    system learns from; empty where it learns from targets alone.
    """

    about: str
    settings: Any
    system: Callable[..., nn.Module]
    task: Any
    paper: str = ""
    control: bool = False
    variant: bool = False
    taught: str = ""
    reaches: Mapping[str, float] = field(default_factory=dict)
    examples: tuple[str, ...] = ()

    def construct(self, config: Any, sizes: Mapping[str, int]) -> nn.Module:
        """A new system. Raises `ValueError` if its constructor asks for a size that nothing gives, or would need more
        memory than there is."""
        parameters = list(signature(self.system).parameters.values())[1:]
        for parameter in parameters:
            if parameter.name not in sizes and parameter.default is parameter.empty:
                known = ", ".join(sizes)
                raise ValueError(f"{self.system.__module__} needs {parameter.name!r}, but the data give {known}")
        wanted = {parameter.name: sizes[parameter.name] for parameter in parameters if parameter.name in sizes}
        with within_memory(f"a system of these sizes ({config})", "choose smaller ones"):
            return self.system(config, **wanted)
