"""What is looked at, and what one look returns."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Memory:
    """What a model looks at: one (key, value) pair a cell, prepared once per input.

    `keys` are already projected to where scores are taken, so that no look repeats that work. `mask` is True on real
    cells; padding gets a weight of exactly zero.
    """

    keys: Float[Tensor, "batch memory key"]
    values: Float[Tensor, "batch memory value"]
    mask: Bool[Tensor, "batch memory"]

    def select(self, rows: Tensor) -> "Memory":
        """The memories of these examples of the batch (`rows`: indices, or a boolean mask)."""
        return Memory(self.keys[rows], self.values[rows], self.mask[rows])


@dataclass(frozen=True)
class Read:
    """What one look returns: the context, the weights that made it and, for a sampled look, its log-probability."""

    context: Float[Tensor, "batch query value"]
    weights: Float[Tensor, "batch query memory"]
    log_prob: Float[Tensor, "batch query"] | None = None
