"""Addressing of memory slots by content and by location (Graves, Wayne & Danihelka, 2014, section 3).

Each function is one equation. All take any leading axes: a batch, and heads.
"""

import torch
from jaxtyping import Float
from torch import Tensor

# Added where a zero would make a quotient, or the gradient of a power, infinite.
EPSILON = 1e-12


def by_content(
    key: Float[Tensor, "*batch head size"],
    strength: Float[Tensor, "*batch head 1"],
    memory: Float[Tensor, "*batch slot size"],
) -> Float[Tensor, "*batch head slot"]:
    """softmax over slots of strength times the cosine of key and slot (equations 5 and 6).

    The cosine with a slot, or a key, of zeros is 0.

    >>> memory = torch.tensor([[3.0, 0.0], [0.0, 0.5], [0.0, 0.0]])
    >>> by_content(torch.tensor([[0.0, 2.0]]), torch.tensor([[30.0]]), memory).round(decimals=3)
    tensor([[0., 1., 0.]])
    """
    dots = key @ memory.mT
    # Not clamped: a norm has no gradient at zero.
    lengths = (key.square().sum(-1, keepdim=True) + EPSILON).sqrt() * (
        memory.square().sum(-1).unsqueeze(-2) + EPSILON
    ).sqrt()
    return (strength * dots / lengths).softmax(-1)


def interpolate(
    content: Float[Tensor, "*batch head slot"],
    previous: Float[Tensor, "*batch head slot"],
    gate: Float[Tensor, "*batch head 1"],
) -> Float[Tensor, "*batch head slot"]:
    """g content + (1 - g) previous: a gate of 0 keeps the head where it was (equation 7).

    >>> interpolate(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([[0.25]]))
    tensor([[0.2500, 0.7500]])
    """
    return previous + gate * (content - previous)


def shift(
    weights: Float[Tensor, "*batch head slot"], shifts: Float[Tensor, "*batch head shift"]
) -> Float[Tensor, "*batch head slot"]:
    """Circular convolution of the weights with a distribution over shifts (equation 8).

    The shifts are centred on 0, so of three the first moves the head back by one slot and the last on by one.

    >>> shift(torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.0, 0.0, 1.0]]))
    tensor([[1., 0., 0.]])
    """
    reach = shifts.shape[-1] // 2
    moved = [weights.roll(step, -1) for step in range(-reach, reach + 1)]
    return torch.stack(moved, -1).matmul(shifts.unsqueeze(-1)).squeeze(-1)


def sharpen(
    weights: Float[Tensor, "*batch head slot"], power: Float[Tensor, "*batch head 1"]
) -> Float[Tensor, "*batch head slot"]:
    """The weights to a power of at least 1, normalised: towards their maximum (equation 9).

    >>> sharpen(torch.tensor([[0.25, 0.75]]), torch.tensor([[2.0]]))
    tensor([[0.1000, 0.9000]])
    """
    # In logarithms, so that a high power of small weights does not vanish.
    return (power * (weights + EPSILON).log()).softmax(-1)


def write(
    memory: Float[Tensor, "*batch slot size"],
    weights: Float[Tensor, "*batch head slot"],
    erase: Float[Tensor, "*batch head size"],
    add: Float[Tensor, "*batch head size"],
) -> Float[Tensor, "*batch slot size"]:
    """M (1 - w e) + w a: of all heads first the erasures, then the additions (equations 3 and 4).

    >>> memory, weights = torch.ones(2, 2), torch.tensor([[1.0, 0.0]])
    >>> write(memory, weights, erase=torch.tensor([[1.0, 1.0]]), add=torch.tensor([[0.0, 0.0]]))
    tensor([[0., 0.],
            [1., 1.]])
    """
    kept = 1 - weights.unsqueeze(-1) * erase.unsqueeze(-2)  # batch head slot size
    kept = kept.squeeze(-3) if kept.shape[-3] == 1 else kept.prod(-3)
    return memory * kept + weights.mT @ add


def read(
    memory: Float[Tensor, "*batch slot size"], weights: Float[Tensor, "*batch head slot"]
) -> Float[Tensor, "*batch head size"]:
    """The sum of the slots by the weights (equation 2).

    >>> read(torch.tensor([[1.0], [3.0]]), torch.tensor([[0.5, 0.5]]))
    tensor([[2.]])
    """
    return weights @ memory
