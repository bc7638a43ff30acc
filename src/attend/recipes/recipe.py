"""What a recipe is: settings that a user may change, and what they are for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from torch import nn

from attend.tasks.text import TextToText
from attend.training import Training

Config = TypeVar("Config")
Data = TypeVar("Data")
How = TypeVar("How")


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
class Milestone:
    """A point of the learning curve: when a validated measure was first at or below a value."""

    measure: str
    value: float


@dataclass(frozen=True)
class Recipe:
    """A paper's result, or a control beside it.

    `about` it in a line, settings, the system's class (called with its configuration and the sizes that the task finds
    in the data), what it must reach, the task that joins the system to data (a `StoredTask`), and what stands in the
    results record of how it learnt: the updates at which milestones were passed, and means over all training of what
    the loss reports, each under its name.
    """

    about: str
    settings: Settings[Any, Any, Any]
    build: Callable[..., nn.Module]
    reaches: Mapping[str, float] = field(default_factory=dict)
    task: Any = TextToText
    milestones: Mapping[str, Milestone] = field(default_factory=dict)
    means: Mapping[str, str] = field(default_factory=dict)
