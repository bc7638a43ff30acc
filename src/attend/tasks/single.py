"""A model that is one run's: an ensemble is for text."""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from torch import nn

Of = TypeVar("Of")


class SingleModel(Generic[Of]):
    """What the models of all tasks but text have in common. `config` is what the run folder's config.json says."""

    def __init__(self, config: Any, task: Of, systems: Sequence[nn.Module]) -> None:
        if len(systems) > 1:
            raise ValueError(f"a model of {config.recipe} is one run: an ensemble is for text")
        self.config, self.task, self.systems = config, task, list(systems)

    def __repr__(self) -> str:
        sizes = sum(parameter.numel() for parameter in self.systems[0].parameters())
        return f"<attend model of {self.config.recipe}: {sizes:,} parameters>"
