"""What is looked at, and what one look returns."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Memory:
    """What a model looks at: one (key, value) pair a cell, prepared once per input.

    `keys` are already projected to where scores are taken, so that no look repeats that work. `mask` is True on real
    cells; padding gets a weight of exactly zero. `told` sets the weights of the next look by hand: in rows of NaN, and
    where it is None, the model looks where it will.
    """

    keys: Float[Tensor, "batch memory key"]
    values: Float[Tensor, "batch memory value"]
    mask: Bool[Tensor, "batch memory"]
    told: Float[Tensor, "batch 1 memory"] | None = None

    def select(self, rows: Tensor) -> "Memory":
        """The memories of these examples of the batch (`rows`: indices, or a boolean mask)."""
        told = None if self.told is None else self.told[rows]
        return Memory(self.keys[rows], self.values[rows], self.mask[rows], told)

    def obeyed(self, weights: Float[Tensor, "batch query memory"]) -> Float[Tensor, "batch query memory"]:
        """The weights of a look: these, or those that it was told."""
        if self.told is None:
            return weights
        told = self.told.expand_as(weights)
        return told.where(~told.isnan(), weights)


@dataclass(frozen=True)
class Read:
    """What one look returns: the context, the weights that made it and, for a sampled look, its log-probability."""

    context: Float[Tensor, "batch query value"]
    weights: Float[Tensor, "batch query memory"]
    log_prob: Float[Tensor, "batch query"] | None = None
