"""How scores become weights: soft, hard, and the two limits.

Every normaliser takes scores [batch query memory] and a mask [batch memory] (True = real) and returns a `Choice`. Cells
that are padding get a weight of exactly zero; a row without a single real cell is a `ValueError` where the mask is made
(`check_mask`), not a NaN later on.
"""

import math
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Choice(NamedTuple):
    """Weights that sum to one over the real cells; `log_prob` of the choice where it was sampled, else None."""

    weights: Float[Tensor, "batch query memory"]
    log_prob: Float[Tensor, "batch query"] | None = None


@runtime_checkable
class Normalise(Protocol):
    """(scores, mask) -> Choice."""

    def __call__(self, scores: Float[Tensor, "batch query memory"], mask: Bool[Tensor, "batch memory"]) -> Choice: ...


def check_mask(mask: Bool[Tensor, "batch memory"]) -> None:
    """Raise `ValueError` if an example has no real cell: there would be nothing to attend to.

    >>> check_mask(torch.tensor([[True, False], [False, False]]))
    Traceback (most recent call last):
    ValueError: examples [1] of the batch are all padding: a memory needs at least one real cell
    """
    empty = ~mask.any(dim=-1)
    if bool(empty.any()):
        rows = empty.nonzero().flatten().tolist()
        raise ValueError(f"examples {rows} of the batch are all padding: a memory needs at least one real cell")


def mask_scores(
    scores: Float[Tensor, "batch query memory"], mask: Bool[Tensor, "batch memory"]
) -> Float[Tensor, "batch query memory"]:
    """Scores with padding at minus infinity.

    >>> mask_scores(torch.tensor([[[1.0, 2.0]]]), torch.tensor([[True, False]]))
    tensor([[[1., -inf]]])
    """
    return scores.masked_fill(~mask.unsqueeze(1), -torch.inf)


def softmax(scores: Float[Tensor, "batch query memory"], mask: Bool[Tensor, "batch memory"]) -> Choice:
    """exp(e_i) / sum_j exp(e_j) over the real cells.

    >>> softmax(torch.zeros(1, 1, 3), torch.tensor([[True, True, False]])).weights
    tensor([[[0.5000, 0.5000, 0.0000]]])
    """
    return Choice(mask_scores(scores, mask).softmax(dim=-1))


class Sharpened:
    """Softmax of `sharpness` times the scores (Chorowski et al. 2015, section 2.2).

    Its limits are `maximum` (infinity) and `uniform` (zero).

    >>> Sharpened(1000)(torch.tensor([[[0.0, 1.0]]]), torch.tensor([[True, True]])).weights
    tensor([[[0., 1.]]])
    """

    def __init__(self, sharpness: float) -> None:
        if not 0 <= sharpness < math.inf:
            raise ValueError(f"sharpness must be >= 0 and finite, not {sharpness}: its infinite limit is `maximum`")
        self.sharpness = sharpness

    def __call__(self, scores: Float[Tensor, "batch query memory"], mask: Bool[Tensor, "batch memory"]) -> Choice:
        return softmax(self.sharpness * scores, mask)


def smooth(scores: Float[Tensor, "batch query memory"], mask: Bool[Tensor, "batch memory"]) -> Choice:
    """sigmoid(e_i) / sum_j sigmoid(e_j): several cells at once (Chorowski et al. 2015, section 2.2).

    >>> smooth(torch.tensor([[[50.0, 60.0, -50.0]]]), torch.tensor([[True, True, True]])).weights.round(decimals=4)
    tensor([[[0.5000, 0.5000, 0.0000]]])
    """
    # sigmoid(e) / sum sigmoid(e) is softmax(log sigmoid(e)), which avoids 0 / 0 when all scores are far below 0.
    return softmax(torch.nn.functional.logsigmoid(scores), mask)


class Hard:
    """One cell, sampled from the softmax; the weights are its one-hot vector, without a gradient.

    Train through `Choice.log_prob` (REINFORCE, a variational bound, or wake-sleep).

    >>> choice = Hard()(torch.tensor([[[0.0, 200.0]]]), torch.tensor([[True, True]]))
    >>> choice.weights, choice.log_prob
    (tensor([[[0., 1.]]]), tensor([[0.]]))
    """

    def __init__(self, generator: torch.Generator | None = None) -> None:
        self.generator = generator

    def __call__(self, scores: Float[Tensor, "batch query memory"], mask: Bool[Tensor, "batch memory"]) -> Choice:
        log_weights = mask_scores(scores, mask).log_softmax(dim=-1)
        batch, query, memory = log_weights.shape
        flat = log_weights.detach().exp().reshape(batch * query, memory)
        cell = torch.multinomial(flat, 1, generator=self.generator).reshape(batch, query, 1)
        weights = torch.zeros_like(log_weights).scatter(-1, cell, 1.0)
        return Choice(weights, log_weights.gather(-1, cell).squeeze(-1))


def maximum(scores: Float[Tensor, "batch query memory"], mask: Bool[Tensor, "batch memory"]) -> Choice:
    """All weight on the highest score (the first if tied): the limit of infinite sharpness. No gradient.

    >>> maximum(torch.tensor([[[1.0, 3.0, 9.0]]]), torch.tensor([[True, True, False]])).weights
    tensor([[[0., 1., 0.]]])
    """
    cell = mask_scores(scores, mask).argmax(dim=-1, keepdim=True)
    return Choice(torch.zeros_like(scores).scatter(-1, cell, 1.0))


def uniform(scores: Float[Tensor, "batch query memory"], mask: Bool[Tensor, "batch memory"]) -> Choice:
    """The same weight on every real cell: the limit of zero sharpness, and the control for every soft attention.

    >>> uniform(torch.tensor([[[1.0, 3.0, 9.0]]]), torch.tensor([[True, True, False]])).weights
    tensor([[[0.5000, 0.5000, 0.0000]]])
    """
    real = mask.unsqueeze(1).to(scores.dtype).expand_as(scores)
    return Choice(real / real.sum(dim=-1, keepdim=True))
