"""Learning where to look when looking is a choice: a sampled place lets no gradient through.

Each function gives one scalar to minimise, whose gradient is the estimator. Scalars are sums over the batch and, unless
it says otherwise, means over `copy`, the Monte-Carlo samples of an example. `log_prob` is that of the place chosen at
each step, given those before; a step that was not taken (padding) has 0. Logarithms are natural, bounds in nats.

Whatever weighs a gradient here is detached, so that each part of a system learns from its own term alone.
Keeping the terms' inputs apart is the system's work: a core that the choice of places must not train hands them its
state detached.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

# A baseline for each step, or one for many.
Baseline = Float[Tensor, "#batch #copy #step"] | Float[Tensor, ""]


class Hybrid(NamedTuple):
    """The total to minimise and its three parts."""

    total: Float[Tensor, ""]
    nll: Float[Tensor, ""]
    policy: Float[Tensor, ""]
    baseline_error: Float[Tensor, ""]


class Bound(NamedTuple):
    """The total to minimise, and to report the bound on the log-likelihood and the entropy of the choices."""

    total: Float[Tensor, ""]
    bound: Float[Tensor, ""]
    entropy: Float[Tensor, ""]


class WakeSleep(NamedTuple):
    """The total to minimise, and to report the bound on the log-likelihood and the effective number of samples."""

    total: Float[Tensor, ""]
    bound: Float[Tensor, ""]
    effective_sample_size: Float[Tensor, ""]


def reinforce(
    log_prob: Float[Tensor, "batch copy step"], returns: Float[Tensor, "batch copy #step"], baseline: Baseline
) -> Float[Tensor, ""]:
    """- sum_t log pi(l_t) (R_t - b_t): Williams 1992; Mnih et al. 2014, section 3.2.

    Its gradient is an unbiased estimate of that of minus the expected return, as long as a step's baseline knows
    nothing of that step's choice. A learned baseline does not learn here (`baseline_error`); a moving average is one
    of earlier batches (`moving_average`).
    """
    advantage = (returns - baseline).detach()
    return -(advantage * log_prob).sum(-1).mean(1).sum()


def baseline_error(
    baseline: Float[Tensor, "batch copy step"], returns: Float[Tensor, "batch copy #step"]
) -> Float[Tensor, ""]:
    """sum_t (b_t - R_t)^2, from which a learned baseline becomes the expected return."""
    return (baseline - returns.detach()).square().sum(-1).mean(1).sum()


def hybrid(
    log_likelihood: Float[Tensor, "batch copy"],
    log_prob: Float[Tensor, "batch copy step"],
    returns: Float[Tensor, "batch copy #step"],
    baseline: Float[Tensor, "batch copy step"],
) -> Hybrid:
    """Cross-entropy for what is answered, REINFORCE for where to look, squared error for the baseline.

    Mnih et al. 2014, section 3.2. `log_likelihood` is the answer's log p(y | glimpses), `returns` the reward (1 if the
    answer is right).
    """
    nll = -log_likelihood.mean(1).sum()
    policy = reinforce(log_prob, returns, baseline)
    error = baseline_error(baseline, returns)
    return Hybrid(nll + policy + error, nll.detach(), policy.detach(), error.detach())


def moving_average(
    average: Float[Tensor, ""], values: Float[Tensor, "*batch"], momentum: float = 0.9
) -> Float[Tensor, ""]:
    """momentum * average + (1 - momentum) * mean of the values: Xu et al. 2015, section 4.1, for b_k.

    The caller keeps it. Take it after the batch that it was a baseline for: a baseline that has seen the sample it is
    subtracted from is biased.
    """
    return momentum * average + (1 - momentum) * values.detach().mean()


def entropy(weights: Float[Tensor, "*batch memory"]) -> Float[Tensor, "*batch"]:
    """- sum_i w_i log w_i, with a gradient that is finite where a weight is zero."""
    return -(weights * weights.clamp_min(torch.finfo(weights.dtype).tiny).log()).sum(-1)


def variational_bound(
    log_likelihood: Float[Tensor, "batch copy"],
    log_prob: Float[Tensor, "batch copy step"],
    entropy: Float[Tensor, "batch copy step"],
    baseline: Float[Tensor, "#batch #copy"] | Float[Tensor, ""],
    reward_weight: float | Float[Tensor, "#batch #copy"] = 1.0,
    entropy_weight: float = 0.0,
) -> Bound:
    """The bound sum_s p(s | a) log p(y | s, a) <= log p(y | a), sampled: Xu et al. 2015, section 4.1.

    Minus d log p(y | s) + lambda_r (log p(y | s) - b) d log p(s) + lambda_e d H[s], with `reward_weight` lambda_r and
    `entropy_weight` lambda_e. At 1 and 0 the gradient is an unbiased estimate of the bound's. `entropy` is that of the
    distribution at each step, given the choices before it; as in the paper, that the choices before it depend on the
    parameters too is left out of its gradient.

    A signal per token instead of per sentence, as in the authors' code: give lambda_r over the length as
    `reward_weight`, and the baseline times the length.
    """
    signal = (reward_weight * (log_likelihood - baseline)).detach()
    chosen = (signal.unsqueeze(-1) * log_prob).sum(-1)
    spread = entropy.sum(-1)
    total = -(log_likelihood + chosen + entropy_weight * spread).mean(1).sum()
    return Bound(total, log_likelihood.detach().mean(1).sum(), spread.detach().mean(1).sum())


def wake_sleep(
    log_likelihood: Float[Tensor, "batch copy"],
    log_prior: Float[Tensor, "batch copy step"],
    log_proposal: Float[Tensor, "batch copy step"] | None = None,
    control_variates: bool = True,
) -> WakeSleep:
    """Reweighted wake-sleep: Bornschein and Bengio 2015; for glimpses, Ba et al. 2015.

    Samples a^m come from the inference network q(a | y, x), `log_proposal`; they are weighted by w^m, proportional to
    p(a^m | x) p(y | a^m, x) / q(a^m | y, x), summing to one. Minus

        sum_m w^m d log p(y | a^m, x) + (w^m - c^m) d log p(a^m | x) + (w^m - 1 / M) d log q(a^m | y, x)

    where c^m is proportional to p(a^m | x) / q(a^m | y, x) and also sums to one. The first two terms estimate the
    gradient of log p(y | x), with a bias that shrinks as 1 / M; the third that of minus KL(p(a | y, x) || q). What c^m
    and 1 / M are subtracted for is an estimate of zero: exactly so in the mean for 1 / M and, without an inference
    network, for c^m; otherwise with a bias of its own that shrinks as 1 / M and goes against that of the first.

    Without `log_proposal` the samples come from the prior, and q has no term. `log_likelihood` and `log_prior` are of
    the given samples. Raises `ValueError` for fewer than two samples an example: one alone always weighs 1.
    """
    copies = log_likelihood.shape[1]
    if copies < 2:
        raise ValueError(f"wake-sleep compares samples of one example: give at least 2 copies, not {copies}")
    prior = log_prior.sum(-1)
    proposal = prior if log_proposal is None else log_proposal.sum(-1)
    log_ratio = (prior - proposal).detach()
    log_weights = log_ratio + log_likelihood.detach()
    weights = log_weights.softmax(dim=1)
    of_prior = weights - log_ratio.softmax(dim=1) if control_variates else weights
    of_proposal = weights - 1 / copies if control_variates else weights
    gain = weights * log_likelihood + of_prior * prior
    if log_proposal is not None:
        gain = gain + of_proposal * proposal
    return WakeSleep(-gain.sum(), importance_bound(log_weights).sum(), effective_sample_size(log_weights).sum())


def importance_bound(log_weights: Float[Tensor, "batch copy"]) -> Float[Tensor, "batch"]:
    """log (1 / M sum_m exp(log_weights)): in the mean a lower bound on log p(y | x), and the tighter the larger M.

    The log-weights are those of `wake_sleep` before they are made to sum to one (Burda et al. 2015, section 3).
    """
    return log_weights.logsumexp(dim=1) - math.log(log_weights.shape[1])


def effective_sample_size(log_weights: Float[Tensor, "batch copy"]) -> Float[Tensor, "batch"]:
    """(sum w)^2 / sum w^2 (Kong 1992): from 1, where one sample has all the weight, to the number of samples."""
    return (2 * log_weights.logsumexp(dim=1) - (2 * log_weights).logsumexp(dim=1)).exp()
