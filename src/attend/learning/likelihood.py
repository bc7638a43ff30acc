"""Maximum likelihood: cross-entropy, a few hundred tokens at a time."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from attend.fast import multiply
from attend.precision import by_hand, plus_product


class CrossEntropy(NamedTuple):
    """Sums over the tokens, in nats: the smoothed loss to minimise, and the plain negative log-likelihood to report."""

    total: Float[Tensor, ""]
    nll: Float[Tensor, ""]


class _ProjectedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        products: torch.dtype,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        target: Tensor,
        smoothing: float,
        rows: int,
    ) -> tuple[Tensor, Tensor]:
        learning = any(ctx.needs_input_grad[1:4])
        vocabulary = len(weight)
        total, nll = hidden.new_zeros(()), hidden.new_zeros(())
        grad_hidden = torch.empty_like(hidden) if learning else None
        # Transposed, so that the large factor of its product, the probabilities, is used in its memory layout.
        grad_transposed = weight.new_zeros(weight.shape[::-1]) if learning else None
        grad_bias = torch.zeros_like(bias) if learning else None
        narrow = weight.to(products)
        for start in range(0, len(hidden), rows):
            part, gold = hidden[start : start + rows], target[start : start + rows].unsqueeze(-1)
            logits = plus_product(bias, part, narrow.mT)
            highest = logits.amax(dim=-1, keepdim=True)
            gold_logits = logits.gather(-1, gold)
            all_logits = logits.sum() if smoothing else None
            probabilities = torch.softmax(logits, dim=-1, out=logits)
            log_sum = highest - probabilities.amax(dim=-1, keepdim=True).log()
            part_nll = (log_sum - gold_logits).sum()
            nll += part_nll
            total += (1 - smoothing) * part_nll
            if all_logits is not None:
                total += smoothing * (log_sum.sum() - all_logits / vocabulary)
            if grad_hidden is not None and grad_transposed is not None and grad_bias is not None:
                # d total / d logits = softmax - (1 - smoothing) one_hot - smoothing / vocabulary; the constant last
                # term is added after the loop.
                grad_logits = probabilities.scatter_add_(-1, gold, torch.full_like(log_sum, smoothing - 1))
                grad_bias += grad_logits.sum(0)
                grad_logits = grad_logits.to(products)
                grad_hidden[start : start + rows] = multiply(grad_logits, narrow)
                plus_product(grad_transposed, part.mT.to(products), grad_logits, out=grad_transposed)
        if smoothing and grad_hidden is not None and grad_transposed is not None and grad_bias is not None:
            grad_hidden -= smoothing / vocabulary * weight.sum(0)
            grad_transposed -= smoothing / vocabulary * hidden.sum(0).unsqueeze(1)
            grad_bias -= smoothing / vocabulary * len(hidden)
        if learning:
            ctx.save_for_backward(grad_hidden, grad_transposed, grad_bias)
        ctx.mark_non_differentiable(nll)
        return total, nll

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        scale = grad_outputs[0]
        grad_hidden, grad_transposed, grad_bias = ctx.saved_tensors
        grad_weight = grad_transposed.new_empty(grad_transposed.shape[::-1])
        torch.mul(grad_transposed.mT, scale, out=grad_weight)
        return None, grad_hidden * scale, grad_weight, grad_bias * scale, None, None, None


def cross_entropy(
    hidden: Float[Tensor, "token size"],
    weight: Float[Tensor, "vocabulary size"],
    bias: Float[Tensor, "vocabulary"],
    target: Int[Tensor, "token"],
    smoothing: float = 0.0,
    rows: int = 512,
) -> CrossEntropy:
    """Cross-entropy of softmax(hidden weight^T + bias), summed over the tokens.

    `smoothing` moves that much of the target's probability to the uniform distribution (Szegedy et al. 2016). `rows`
    tokens are projected at a time: all logits of a batch never exist at once, and each part is still in the cache when
    its gradient is taken.
    """
    return CrossEntropy(*by_hand(_ProjectedCrossEntropy, hidden, weight, bias, target, smoothing, rows))
