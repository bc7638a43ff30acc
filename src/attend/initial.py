"""What a run begins with that goes on from another one: its weights, its vocabularies and its settings."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from attend.weights import OF_TRAINING, changes, plain

# Settings of inputs and output that decide nothing of what is learnt from texts or images.
FREE = ("longest", "metrics", "tokenize")


@dataclass(frozen=True)
class Initial:
    """A trained run: its folder, its recipe's name, its settings and its weights."""

    folder: Path
    recipe: str
    settings: Any
    weights: Mapping[str, Tensor]

    def settings_for(self, own: Any) -> Any:
        """A recipe's `own` settings with the system, the inputs and the output of this run.

        Raises `ValueError` if they are of another kind.
        """
        shared = [section.name for section in fields(own) if section.name not in OF_TRAINING]
        for name in shared:
            if type(getattr(own, name)) is not type(getattr(self.settings, name, None)):
                raise ValueError(
                    f"{self.folder} is a run of {self.recipe!r}, and its {name} is of another kind than the recipe's:"
                    " begin with a run of the same recipe"
                )
        return replace(own, **{name: getattr(self.settings, name) for name in shared})

    def check_settings(self, settings: Any) -> None:
        """Raises `ValueError` for a setting that has no effect, since what it decides was learnt by this run."""
        for section in ("inputs", "output"):
            if hasattr(settings, section):
                before, now = (plain(getattr(one, section)) for one in (self.settings, settings))
                for name, words in changes(before, now):
                    if name.split(".")[-1] not in FREE:
                        raise ValueError(
                            f"{section}.{words}: a run that begins with {self.folder} has what that one has learnt"
                        )

    def check_fits(self, system: nn.Module) -> None:
        """Raises `ValueError` for the first weights that a system has in another size, or not at all."""
        sizes = {name: list(value.shape) for name, value in system.state_dict().items()}
        given = {name: list(value.shape) for name, value in self.weights.items()}
        for name in sizes | given:
            if (here := sizes.get(name)) != (there := given.get(name)):
                raise ValueError(
                    f"{name} is of size {there or 'none'} in {self.folder}, and {here or 'none'} here: leave the"
                    " settings of system as they are in that run"
                )
