"""What a recipe is: settings that a user may change, and what they are for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from torch import nn

from attend.tasks.text import Decoding, TextData
from attend.training import Training

Config = TypeVar("Config")


@dataclass(frozen=True)
class Settings(Generic[Config]):
    """Everything that decides a run. A run folder's config.json holds it whole."""

    system: Config
    """The model."""
    data: TextData
    """What it learns from."""
    training: Training
    """How it learns."""
    decoding: Decoding
    """How it predicts."""


@dataclass(frozen=True)
class Recipe:
    """A paper's result, or a control beside it: `about` in a line, settings, the system, and what it must reach."""

    about: str
    settings: Settings[Any]
    build: Callable[[Any, int, int], nn.Module]
    reaches: Mapping[str, float] = field(default_factory=dict)
