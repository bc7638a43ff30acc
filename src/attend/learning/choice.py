"""Gradient estimators for hard attention, where no gradient passes through a sampled location.

Each function gives one scalar to minimise, whose gradient is the estimator. Scalars are sums over the batch and, unless
stated otherwise, means over `copy`, the Monte-Carlo samples of an example. `log_prob` is of the location sampled at
each step, given those before; padding has 0. Logarithms are natural, bounds in nats.

Factors that weight a gradient are detached here, so that each part of a system learns from its own term alone. States
must be detached by the system, where the choice of locations must not train the core.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

# A baseline for each step, or one shared by several.
Baseline = Float[Tensor, "#batch #copy #step"] | Float[Tensor, ""]


class Hybrid(NamedTuple):
    """The total to minimise and its three parts."""

    total: Float[Tensor, ""]
    nll: Float[Tensor, ""]
    policy: Float[Tensor, ""]
    baseline_error: Float[Tensor, ""]


class Bound(NamedTuple):
    """The total to minimise; to report, the bound on the log-likelihood and the entropy of the choices."""

    total: Float[Tensor, ""]
    bound: Float[Tensor, ""]
    entropy: Float[Tensor, ""]


class WakeSleep(NamedTuple):
    """The total to minimise; to report, the bound on the log-likelihood and the effective sample size."""

    total: Float[Tensor, ""]
    bound: Float[Tensor, ""]
    effective_sample_size: Float[Tensor, ""]


def reinforce(
    log_prob: Float[Tensor, "batch copy step"], returns: Float[Tensor, "batch copy #step"], baseline: Baseline
) -> Float[Tensor, ""]:
    """- sum_t log pi(l_t) (R_t - b_t): Williams 1992; Mnih et al. 2014, section 3.2.

    Its gradient is an unbiased estimate of the gradient of minus the expected return, if a step's baseline does not
    depend on that step's sample. A learned baseline gets no gradient here (see `baseline_error`); a moving average must
    be of earlier batches (`moving_average`).
    """
    advantage = (returns - baseline).detach()
    return -(advantage * log_prob).sum(-1).mean(1).sum()


def baseline_error(
    baseline: Float[Tensor, "batch copy step"], returns: Float[Tensor, "batch copy #step"]
) -> Float[Tensor, ""]:
    """sum_t (b_t - R_t)^2, which regresses a learned baseline on the expected return."""
    return (baseline - returns.detach()).square().sum(-1).mean(1).sum()


def hybrid(
    log_likelihood: Float[Tensor, "batch copy"],
    log_prob: Float[Tensor, "batch copy step"],
    returns: Float[Tensor, "batch copy #step"],
    baseline: Float[Tensor, "batch copy step"],
) -> Hybrid:
    """Cross-entropy for the class, REINFORCE for the locations, squared error for the baseline.

    Mnih et al. 2014, section 3.2. `log_likelihood` is log p(y | glimpses) of the true class, `returns` the reward (1 if
    the prediction is correct).
    """
    nll = -log_likelihood.mean(1).sum()
    policy = reinforce(log_prob, returns, baseline)
    error = baseline_error(baseline, returns)
    return Hybrid(nll + policy + error, nll.detach(), policy.detach(), error.detach())


def moving_average(
    average: Float[Tensor, ""], values: Float[Tensor, "*batch"], momentum: float = 0.9
) -> Float[Tensor, ""]:
    """momentum * average + (1 - momentum) * mean of the values: Xu et al. 2015, section 4.1, for b_k.

    The caller keeps it. Update it after the batch that used it: a baseline that depends on the sample that it is
    subtracted from biases the gradient.
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
    distribution at each step, given the choices before it; as in the paper, its gradient ignores that these depend on
    the parameters too.

    For a reward per token instead of per sentence, as in the authors' code, give lambda_r / length as `reward_weight`,
    and baseline * length as `baseline`.
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
    gradient of log p(y | x), with a bias that shrinks as 1 / M; the third that of minus KL(p(a | y, x) || q). c^m and
    1 / M are control variates: their terms have mean zero, exactly for 1 / M and, without an inference network, for
    c^m; otherwise with a bias that also shrinks as 1 / M, and is opposite to the first one.

    Without `log_proposal` the samples come from the prior, and q has no term. `log_likelihood` and `log_prior` are of
    the given samples. Raises `ValueError` for fewer than two samples an example: the weight of one is always 1.
    """
    copies = log_likelihood.shape[1]
    if copies < 2:
        raise ValueError(f"wake-sleep normalises weights over samples: give at least 2 copies, not {copies}")
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
    """log (1 / M sum_m exp(log_weights)): in expectation a lower bound on log p(y | x), tighter for larger M.

    The log-weights are those of `wake_sleep` before normalisation (Burda et al. 2015, section 3).
    """
    return log_weights.logsumexp(dim=1) - math.log(log_weights.shape[1])


def effective_sample_size(log_weights: Float[Tensor, "batch copy"]) -> Float[Tensor, "batch"]:
    """(sum w)^2 / sum w^2 (Kong 1992): from 1, where one sample has all the weight, to the number of samples."""
    return (2 * log_weights.logsumexp(dim=1) - (2 * log_weights).logsumexp(dim=1)).exp()
