"""Estimators against exact enumeration: two steps, 3 x 3 places a step, so 81 paths.

An estimator is linear in the scores d log p of its samples. What it multiplies them by is read off its gradients, for
every tuple of paths that its samples could be, and weighted by the tuple's probability: the exact mean and variance of
the gradient that a training step takes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from attend.attention.glimpse import sample_place
from attend.learning import (
    baseline_error,
    effective_sample_size,
    entropy,
    hybrid,
    importance_bound,
    moving_average,
    reinforce,
    variational_bound,
    wake_sleep,
)

PLACES = 9
PATHS = torch.tensor(list(product(range(PLACES), repeat=2)))
FIRST, SECOND = PATHS.T

Parameters = dict[str, Tensor]
# A term of the estimator -> its value on given paths, by name.
Terms = Mapping[str, Tensor]


def random(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()


@pytest.fixture
def parameters() -> Parameters:
    return {
        "first": random(PLACES, seed=1),
        "second": random(PLACES, PLACES, seed=2),
        "answer": random(PLACES, PLACES, 3, seed=3),
        # Not so far off that a few samples decide everything.
        "infer first": (random(PLACES, seed=4) / 2).detach().requires_grad_(),
        "infer second": (random(PLACES, PLACES, seed=5) / 2).detach().requires_grad_(),
    }


def log_policy(parameters: Parameters, kind: str = "") -> Tensor:
    """log p of each path's two steps, the second given the first."""
    first = parameters[f"{kind}first"].log_softmax(-1)[FIRST]
    second = parameters[f"{kind}second"].log_softmax(-1)[FIRST, SECOND]
    return torch.stack([first, second], dim=-1)


def log_answer(parameters: Parameters) -> Tensor:
    """log p of the right answer, number 0 of 3, after each path."""
    return parameters["answer"].log_softmax(-1)[FIRST, SECOND, 0]


@dataclass
class Estimate:
    """Mean and variance of an estimator's gradient, all parameters in one vector."""

    mean: Tensor
    second_moment: Tensor

    @property
    def variance(self) -> float:
        return float(self.second_moment.sum() - self.mean.square().sum())


def jacobian(values: Tensor, parameters: Parameters) -> Tensor:
    """The gradient of every value to all parameters in one row each."""
    rows = []
    for value in values.flatten():
        gradients = torch.autograd.grad(value, list(parameters.values()), retain_graph=True, materialize_grads=True)
        rows.append(torch.cat([gradient.flatten() for gradient in gradients]))
    return torch.stack(rows).reshape(*values.shape, -1)


def estimate(
    loss: Callable[..., Tensor], terms: Terms, parameters: Parameters, paths: Tensor, probability: Tensor
) -> Estimate:
    """What `loss`, of the terms by name, gives on tuples of paths [tuple copy] that have these probabilities."""
    inputs = {name: term.detach()[paths].requires_grad_() for name, term in terms.items()}
    # The tuples are examples of one batch: the loss is a sum over it, so each has its own coefficients.
    weights = torch.autograd.grad(loss(**inputs), list(inputs.values()), materialize_grads=True)
    gradients = torch.zeros(())
    for weight, term in zip(weights, terms.values(), strict=True):
        parts = weight.reshape(*paths.shape, -1)
        # A path's coefficients, summed over where it stands in the tuple, times its scores.
        index = paths.unsqueeze(-1).expand_as(parts)
        of_path = parts.new_zeros(len(paths), len(PATHS), parts.shape[-1]).scatter_add(1, index, parts)
        gradients = gradients + of_path.flatten(1) @ jacobian(term, parameters).reshape(of_path[0].numel(), -1)
    return Estimate(probability @ gradients, probability @ gradients.square())


def tuples(log_path: Tensor, copies: int) -> tuple[Tensor, Tensor]:
    """Every tuple of so many paths, and its probability."""
    paths = torch.cartesian_prod(*[torch.arange(len(PATHS))] * copies).reshape(-1, copies)
    return paths, log_path.detach()[paths].sum(-1).exp()


def sampled(log_path: Tensor, copies: int, count: int) -> tuple[Tensor, Tensor]:
    """Tuples of paths drawn at random, each with the same share."""
    generator = torch.Generator().manual_seed(6)
    paths = torch.multinomial(log_path.detach().exp(), count * copies, replacement=True, generator=generator)
    return paths.reshape(count, copies), torch.full((count,), 1 / count, dtype=torch.float64)


def gradient(value: Tensor, parameters: Parameters) -> Tensor:
    return jacobian(value.unsqueeze(0), parameters)[0]


def part(vector: Tensor, parameters: Parameters, name: str) -> Tensor:
    sizes = [value.numel() for value in parameters.values()]
    return vector.split(sizes)[list(parameters).index(name)]


REWARD = (FIRST + 2 * SECOND) % 5 + 10.0


def path_baseline() -> Tensor:
    """A baseline per step that may know the steps before: the mean reward there, roughly."""
    return torch.stack([torch.full((len(PATHS),), 12.0), 11.5 + FIRST % 3], dim=-1).double()


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("with_baseline", [False, True])
def test_reinforce_is_the_gradient_of_the_expected_return(parameters: Parameters, copies: int, with_baseline: bool):
    log_prob = log_policy(parameters)
    expected = gradient(-(log_prob.sum(-1).exp() * REWARD).sum(), parameters)
    paths, probability = tuples(log_prob.sum(-1), copies)
    baseline = path_baseline()[paths] if with_baseline else torch.tensor(0.0)

    def loss(log_prob: Tensor) -> Tensor:
        return reinforce(log_prob, REWARD[paths].unsqueeze(-1).double(), baseline)

    found = estimate(loss, {"log_prob": log_prob}, parameters, paths, probability)
    torch.testing.assert_close(found.mean, expected)


def test_a_baseline_lowers_the_variance_and_has_mean_zero(parameters: Parameters):
    log_prob = log_policy(parameters)
    paths, probability = tuples(log_prob.sum(-1), 1)
    reward = REWARD[paths].unsqueeze(-1).double()
    terms = {"log_prob": log_prob}

    def of(returns: Tensor, baseline: Tensor) -> Estimate:
        return estimate(lambda log_prob: reinforce(log_prob, returns, baseline), terms, parameters, paths, probability)

    alone = of(torch.zeros_like(reward), path_baseline()[paths])
    torch.testing.assert_close(alone.mean, torch.zeros_like(alone.mean))
    assert alone.variance > 1
    assert of(reward, path_baseline()[paths]).variance < 0.1 * of(reward, torch.tensor(0.0)).variance


def test_a_baseline_that_knows_the_choice_is_biased(parameters: Parameters):
    """What the rule above is for, and a check that this test could fail."""
    log_prob = log_policy(parameters)
    paths, probability = tuples(log_prob.sum(-1), 1)
    reward = REWARD[paths].unsqueeze(-1).double()
    knowing = (SECOND.double()[paths]).unsqueeze(-1)
    found = estimate(
        lambda log_prob: reinforce(log_prob, reward, knowing), {"log_prob": log_prob}, parameters, paths, probability
    )
    assert not torch.allclose(found.mean, gradient(-(log_prob.sum(-1).exp() * REWARD).sum(), parameters), atol=0.1)


def test_the_baselines_error_is_least_at_the_mean_return():
    returns = torch.tensor([[[1.0], [0.0], [0.0], [1.0]]])
    baseline = torch.full((1, 4, 3), 0.5, requires_grad=True)
    error = baseline_error(baseline.mean(1, keepdim=True).expand(1, 4, 3), returns)
    torch.testing.assert_close(error, torch.tensor(0.75))
    error.backward()
    torch.testing.assert_close(baseline.grad, torch.zeros(1, 4, 3))


@pytest.mark.parametrize("copies", [1, 2])
def test_the_hybrid_loss_in_the_mean(parameters: Parameters, copies: int):
    log_prob, log_likelihood = log_policy(parameters), log_answer(parameters)
    probabilities = log_prob.sum(-1).exp()
    expected = gradient(-(probabilities.detach() * log_likelihood).sum(), parameters) + gradient(
        -(probabilities * REWARD).sum(), parameters
    )
    paths, probability = tuples(log_prob.sum(-1), copies)

    def loss(log_prob: Tensor, log_likelihood: Tensor) -> Tensor:
        returns = REWARD[paths].unsqueeze(-1).double()
        return hybrid(log_likelihood, log_prob, returns, path_baseline()[paths]).total

    terms = {"log_prob": log_prob, "log_likelihood": log_likelihood}
    torch.testing.assert_close(estimate(loss, terms, parameters, paths, probability).mean, expected)


def reached(total: Tensor, modules: Mapping[str, nn.Module]) -> set[str]:
    """The modules that get a gradient."""
    for module in modules.values():
        module.zero_grad()
    total.backward()
    return {
        name
        for name, module in modules.items()
        if any(parameter.grad is not None and parameter.grad.any() for parameter in module.parameters())
    }


def test_each_part_of_the_hybrid_loss_reaches_its_own_modules():
    torch.manual_seed(1)
    modules = {
        "core": nn.Linear(4, 8),
        "answer": nn.Linear(8, 3),
        "location": nn.Linear(8, 2),
        "baseline": nn.Linear(8, 1),
    }
    state = modules["core"](torch.randn(5, 1, 4)).tanh()
    # The choice of places and the baseline don't train the core.
    place = sample_place(modules["location"](state.detach()), 0.2, torch.Generator().manual_seed(2))
    seen = modules["answer"](state * place.where.prod(-1, keepdim=True))
    log_likelihood = seen.log_softmax(-1)[..., 0]
    baseline = modules["baseline"](state.detach())
    returns = (seen.argmax(-1, keepdim=True) == 0).float()
    log_prob = place.log_prob.unsqueeze(-1)
    assert reached(reinforce(log_prob, returns, baseline), modules) == {"location"}
    # With a fresh graph for each, as backward frees it.
    baseline = modules["baseline"](state.detach())
    assert reached(baseline_error(baseline, returns), modules) == {"baseline"}
    place = sample_place(modules["location"](state.detach()), 0.2, torch.Generator().manual_seed(2))
    loss = hybrid(log_likelihood, place.log_prob.unsqueeze(-1), returns, modules["baseline"](state.detach()))
    assert not any(value.requires_grad for value in loss[1:])
    torch.testing.assert_close(loss.total.detach(), loss.nll + loss.policy + loss.baseline_error)
    nll = -log_likelihood.sum()
    gradients = torch.autograd.grad(nll, list(modules["core"].parameters()), retain_graph=True)
    assert reached(loss.total, modules) == set(modules)
    # What the core learns from is the likelihood alone.
    torch.testing.assert_close([parameter.grad for parameter in modules["core"].parameters()], list(gradients))


def exact_bound(parameters: Parameters) -> Tensor:
    return (log_policy(parameters).sum(-1).exp() * log_answer(parameters)).sum()


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("baseline", [0.0, -1.2])
def test_the_variational_bound_is_unbiased(parameters: Parameters, copies: int, baseline: float):
    log_prob, log_likelihood = log_policy(parameters), log_answer(parameters)
    paths, probability = tuples(log_prob.sum(-1), copies)

    def loss(log_prob: Tensor, log_likelihood: Tensor) -> Tensor:
        return variational_bound(log_likelihood, log_prob, torch.zeros_like(log_prob), torch.tensor(baseline)).total

    terms = {"log_prob": log_prob, "log_likelihood": log_likelihood}
    found = estimate(loss, terms, parameters, paths, probability)
    torch.testing.assert_close(found.mean, gradient(-exact_bound(parameters), parameters))
    bound = probability @ log_likelihood.detach()[paths].mean(-1)
    assert bound < (log_prob.sum(-1) + log_likelihood).logsumexp(0)


def test_a_baseline_lowers_the_variance_of_the_variational_bound(parameters: Parameters):
    log_prob, log_likelihood = log_policy(parameters), log_answer(parameters)
    paths, probability = tuples(log_prob.sum(-1), 1)
    terms = {"log_prob": log_prob, "log_likelihood": log_likelihood}

    def with_baseline(baseline: Tensor) -> float:
        def loss(log_prob: Tensor, log_likelihood: Tensor) -> Tensor:
            return variational_bound(log_likelihood, log_prob, torch.zeros_like(log_prob), baseline).total

        return estimate(loss, terms, parameters, paths, probability).variance

    mean = exact_bound(parameters).detach()
    assert with_baseline(mean) < 0.8 * with_baseline(torch.zeros_like(mean))


def test_weights_of_reward_and_entropy(parameters: Parameters):
    log_prob, log_likelihood = log_policy(parameters), log_answer(parameters)
    spread = torch.stack(
        [entropy(parameters["first"].softmax(-1)).expand(len(PATHS)), entropy(parameters["second"].softmax(-1))[FIRST]],
        dim=-1,
    )
    probabilities = log_prob.sum(-1).exp()
    held = probabilities.detach()
    expected = gradient(
        -(held * log_likelihood + 0.1 * probabilities * log_likelihood.detach() + 0.02 * held * spread.sum(-1)).sum(),
        parameters,
    )
    paths, probability = tuples(log_prob.sum(-1), 1)

    def loss(log_prob: Tensor, log_likelihood: Tensor, entropy: Tensor) -> Tensor:
        # A baseline and weight for each example, as for a signal per token.
        baseline = torch.full((len(paths), 1), -1.0, dtype=torch.float64)
        return variational_bound(
            log_likelihood, log_prob, entropy, baseline, 0.1 * torch.ones_like(baseline), 0.02
        ).total

    terms = {"log_prob": log_prob, "log_likelihood": log_likelihood, "entropy": spread}
    torch.testing.assert_close(estimate(loss, terms, parameters, paths, probability).mean, expected)


def test_reported_terms_are_means_over_copies_and_sums_over_the_batch():
    log_likelihood = torch.tensor([[-1.0, -3.0], [-2.0, -2.0]], requires_grad=True)
    spread = torch.tensor([[[1.0, 0.5], [0.0, 0.5]], [[0.0, 0.0], [0.0, 0.0]]])
    found = variational_bound(log_likelihood, torch.zeros(2, 2, 2), spread, torch.tensor(0.0), entropy_weight=1.0)
    torch.testing.assert_close(found, (torch.tensor(3.0), torch.tensor(-4.0), torch.tensor(1.0)))
    assert not found.bound.requires_grad


def test_entropy():
    weights = torch.tensor([[0.5, 0.5, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]], requires_grad=True)
    found = entropy(weights)
    torch.testing.assert_close(found, torch.tensor([0.5, 0.5]).log().abs() * torch.tensor([1.0, 0.0]))
    found.sum().backward()
    assert weights.grad is not None
    assert weights.grad.isfinite().all()


def test_the_moving_average_is_the_papers():
    average = torch.tensor(0.0)
    for value in (-10.0, -20.0):
        average = moving_average(average, torch.full((3, 2), value, requires_grad=True))
    torch.testing.assert_close(average, torch.tensor(-2.9))
    assert not average.requires_grad


def wake_sleep_terms(parameters: Parameters) -> dict[str, Tensor]:
    return {
        "log_likelihood": log_answer(parameters),
        "log_prior": log_policy(parameters),
        "log_proposal": log_policy(parameters, "infer "),
    }


def exact_wake_sleep(parameters: Parameters) -> Tensor:
    """The gradient of - log p(y) and of KL(p(a | y) || q)."""
    terms = wake_sleep_terms(parameters)
    joint = terms["log_prior"].sum(-1) + terms["log_likelihood"]
    posterior = joint.softmax(0).detach()
    return gradient(-joint.logsumexp(0) - posterior @ terms["log_proposal"].sum(-1), parameters)


def without_network(terms: Terms) -> dict[str, Tensor]:
    return {name: term for name, term in terms.items() if name != "log_proposal"}


def run_wake_sleep(control_variates: bool) -> Callable[..., Tensor]:
    return lambda **terms: wake_sleep(**terms, control_variates=control_variates).total


@pytest.mark.parametrize("control_variates", [True, False])
def test_wake_sleep_converges_as_samples_grow(parameters: Parameters, control_variates: bool):
    terms = wake_sleep_terms(parameters)
    expected = exact_wake_sleep(parameters)
    errors = []
    for copies, count in ((2, None), (20, 4000), (1000, 300)):
        log_proposal = terms["log_proposal"].sum(-1)
        paths, probability = sampled(log_proposal, copies, count) if count else tuples(log_proposal, copies)
        found = estimate(run_wake_sleep(control_variates), terms, parameters, paths, probability)
        errors.append(float((found.mean - expected).norm() / expected.norm()))
    assert errors[1] < errors[0] / 2
    assert errors[2] < errors[1] / 2
    assert errors[2] < 0.05


def test_wake_sleep_without_a_network_converges_too(parameters: Parameters):
    terms = wake_sleep_terms(parameters)
    expected = exact_wake_sleep(parameters)
    paths, probability = sampled(terms["log_prior"].sum(-1), 200, 1000)
    found = estimate(run_wake_sleep(True), without_network(terms), parameters, paths, probability)
    for name in ("first", "second", "answer"):
        mean, exact = part(found.mean, parameters, name), part(expected, parameters, name)
        assert (mean - exact).norm() < 0.05 * exact.norm()
    assert not part(found.mean, parameters, "infer first").any()


def difference(
    terms: Terms, parameters: Parameters, paths: Tensor, probability: Tensor
) -> tuple[Estimate, Estimate, Tensor]:
    """With and without control variates, and the mean of what they add."""
    on = estimate(run_wake_sleep(True), terms, parameters, paths, probability)
    off = estimate(run_wake_sleep(False), terms, parameters, paths, probability)
    return on, off, on.mean - off.mean


def test_without_a_network_the_control_variate_has_mean_zero_and_lowers_the_variance(parameters: Parameters):
    terms = without_network(wake_sleep_terms(parameters))
    on, off, added = difference(terms, parameters, *tuples(terms["log_prior"].sum(-1), 2))
    torch.testing.assert_close(added, torch.zeros_like(added))
    assert on.variance < 0.7 * off.variance


def test_the_inference_networks_control_variate_has_mean_zero_and_lowers_the_variance(parameters: Parameters):
    terms = wake_sleep_terms(parameters)
    on, off, added = difference(terms, parameters, *tuples(terms["log_proposal"].sum(-1), 2))
    moment_on, moment_off = (
        sum(
            float(part(found.second_moment - found.mean.square(), parameters, name).sum())
            for name in ("infer first", "infer second")
        )
        for found in (on, off)
    )
    for name in ("infer first", "infer second"):
        torch.testing.assert_close(
            part(added, parameters, name), torch.zeros(1).expand_as(part(added, parameters, name)).double()
        )
    assert moment_on < 0.7 * moment_off


def test_with_a_network_the_priors_control_variate_takes_away_bias_and_variance(parameters: Parameters):
    """It normalises itself, so its mean is zero only in the limit; what it adds brings the estimate nearer."""
    terms = wake_sleep_terms(parameters)
    expected = exact_wake_sleep(parameters)
    log_proposal = terms["log_proposal"].sum(-1)
    sizes = []
    for copies, count in ((2, None), (20, 4000), (1000, 300)):
        drawn = sampled(log_proposal, copies, count) if count else tuples(log_proposal, copies)
        on, off, added = difference(terms, parameters, *drawn)
        sizes.append(float(part(added, parameters, "first").norm()))
        assert on.variance < off.variance
        if copies == 2:
            bias_on, bias_off = (
                float((part(found.mean, parameters, "first") - part(expected, parameters, "first")).norm())
                for found in (on, off)
            )
            assert bias_on < bias_off
    assert sizes[1] < sizes[0] / 2
    assert sizes[2] < sizes[1] / 2


def test_a_perfect_inference_network_weighs_all_samples_alike(parameters: Parameters):
    joint = log_policy(parameters).sum(-1) + log_answer(parameters)
    posterior = joint.log_softmax(0).detach()
    paths, _ = tuples(posterior, 2)
    prior = log_policy(parameters).detach()[paths]
    proposal = torch.stack([posterior[paths], torch.zeros_like(posterior[paths])], dim=-1)
    found = wake_sleep(log_answer(parameters).detach()[paths], prior, proposal)
    torch.testing.assert_close(found.effective_sample_size / len(paths), torch.tensor(2.0, dtype=torch.float64))
    # Each sample's weight is p(y) itself: the bound is exact.
    torch.testing.assert_close(found.bound / len(paths), joint.logsumexp(0).detach())


def test_the_bound_tightens_with_samples(parameters: Parameters):
    terms = wake_sleep_terms(parameters)
    log_prior = terms["log_prior"].sum(-1)
    log_likelihood = log_answer(parameters).detach()
    means = [exact_bound(parameters).detach()]
    for copies in (1, 2, 3):
        paths, probability = tuples(log_prior, copies)
        means.append(probability @ importance_bound(log_likelihood[paths]))
    torch.testing.assert_close(means[0], means[1])
    assert means[1] < means[2] < means[3] < (log_prior + log_likelihood).logsumexp(0)


def test_wake_sleep_reaches_each_network_by_its_own_term():
    torch.manual_seed(1)
    modules = {"answer": nn.Linear(4, 1), "prior": nn.Linear(4, 2), "inference": nn.Linear(4, 2)}
    features = torch.randn(6, 5, 4)

    def terms(*learning: str) -> dict[str, Tensor]:
        values = {name: nn.functional.logsigmoid(module(features)) for name, module in modules.items()}
        held = {name: value if name in learning else value.detach() for name, value in values.items()}
        return {
            "log_likelihood": held["answer"].squeeze(-1),
            "log_prior": held["prior"],
            "log_proposal": held["inference"],
        }

    for name in modules:
        assert reached(wake_sleep(**terms(name)).total, modules) == {name}
    found = wake_sleep(**terms(*modules))
    assert reached(found.total, modules) == set(modules)
    together = [parameter.grad for parameter in modules["inference"].parameters()]
    # The weights don't pass gradients: what a network gets doesn't depend on whether the others learn.
    modules["inference"].zero_grad(set_to_none=True)
    wake_sleep(**terms("inference")).total.backward()
    torch.testing.assert_close([parameter.grad for parameter in modules["inference"].parameters()], together)
    assert reached(wake_sleep(**without_network(terms(*modules))).total, modules) == {"answer", "prior"}


def test_weights_far_below_the_smallest_float_are_compared():
    log_likelihood = torch.tensor([[-5000.0, -5001.0]], requires_grad=True)
    found = wake_sleep(log_likelihood, torch.full((1, 2, 3), -300.0))
    found.total.backward()
    torch.testing.assert_close(log_likelihood.grad, -torch.tensor([[0.0, -1.0]]).softmax(-1))
    assert found.bound.isfinite()


def test_one_sample_is_refused():
    with pytest.raises(ValueError, match="give at least 2 copies, not 1"):
        wake_sleep(torch.zeros(3, 1), torch.zeros(3, 1, 2))


def test_effective_sample_size():
    log_weights = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, -1e4, -1e4, -1e4], [-700.0, -700.0, -1e5, -1e5]])
    torch.testing.assert_close(effective_sample_size(log_weights), torch.tensor([4.0, 1.0, 2.0]), rtol=1e-3, atol=0)
    torch.testing.assert_close(importance_bound(log_weights[:1]), torch.zeros(1))
