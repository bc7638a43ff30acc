"""The memory that is attended to, and what one look returns."""

from dataclasses import dataclass, replace

from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Memory:
    """What a model attends to: one (key, value) pair a cell, prepared once per input.

    `keys` are already projected by the score, once for all looks. `mask` is True on real cells; padding gets a weight
    of exactly zero. `forced` sets the weights of the next look; rows of NaN, or None, leave the model's own.

    `over` is the field that the cells belong to, `shape` their rows and columns where they tile an image, and `sampled`
    says that the weights are sampling probabilities: in training, one cell is sampled.

    >>> import torch
    >>> values, mask = torch.zeros(1, 3, 4), torch.ones(1, 3, dtype=torch.bool)
    >>> memory = Memory(keys=values, values=values, mask=mask, forced=torch.tensor([[[0.0, 1.0, 0.0]]]))
    >>> memory.or_forced(torch.full((1, 1, 3), 1 / 3))
    tensor([[[0., 1., 0.]]])
    """

    keys: Float[Tensor, "batch memory key"]
    values: Float[Tensor, "batch memory value"]
    mask: Bool[Tensor, "batch memory"]
    forced: Float[Tensor, "batch 1 memory"] | None = None
    over: str = ""
    shape: tuple[int, ...] = ()
    sampled: bool = False

    def select(self, rows: Tensor) -> "Memory":
        """The memories of these examples of the batch (`rows`: indices, or a boolean mask)."""
        forced = None if self.forced is None else self.forced[rows]
        return replace(self, keys=self.keys[rows], values=self.values[rows], mask=self.mask[rows], forced=forced)

    def or_forced(self, weights: Float[Tensor, "batch query memory"]) -> Float[Tensor, "batch query memory"]:
        """The weights of a look: these, or the forced ones."""
        if self.forced is None:
            return weights
        forced = self.forced.expand_as(weights)
        return forced.where(~forced.isnan(), weights)


@dataclass(frozen=True)
class Read:
    """What one look returns: the context, the weights that made it and, for a sampled look, its log-probability.

    >>> import torch
    >>> weights, values = torch.tensor([[[0.25, 0.75]]]), torch.tensor([[[0.0], [4.0]]])
    >>> Read(weights @ values, weights).context
    tensor([[[3.]]])
    """

    context: Float[Tensor, "batch query value"]
    weights: Float[Tensor, "batch query memory"]
    log_prob: Float[Tensor, "batch query"] | None = None
