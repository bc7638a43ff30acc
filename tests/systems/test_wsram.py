"""WS-RAM against exact enumeration of its own paths (two steps, 3 x 3 places), and what may learn from what in it."""

from dataclasses import replace
from itertools import product
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attend.attention.glimpse import Views, look, prepare
from attend.contract import Batch
from attend.learning import effective_sample_size, importance_bound
from attend.systems.wsram import Config, Scan, System, grid_places, likeliest, sample

TOY = Config(copies=4, glimpses=2, grid=3, size=3, scales=1, preview=3, hidden=6, glimpse=6)
PATHS = torch.tensor(list(product(range(9), repeat=2)))
LABEL = 1


def image() -> Tensor:
    return torch.rand(1, 1, 9, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def build(config: Config, seed: int = 0) -> System:
    """A system whose choices matter: sharper than at first, and with an inference network that differs from p."""
    torch.manual_seed(seed)
    system = System(config, 1, 3).double()
    with torch.no_grad():
        system.chooser.place.weight.normal_(0, 1.5)
        system.classifier.weight.normal_(0, 3)
        if system.inference is not None:
            # Not so far off that a few samples decide everything.
            system.inference.chooser.place.weight.normal_(0, 0.5)
    return system


def labels(count: int) -> Tensor:
    return torch.full((count,), LABEL)


def along(system: System, paths: Tensor, proposed: bool) -> Scan:
    """The scans of these paths [example copy step] of the one image."""
    label = labels(len(paths)) if proposed else None
    images = image().expand(len(paths), -1, -1, -1)
    return system.scan(images, paths.shape[1], lambda step, log_probs: paths[:, :, step], label)


@pytest.mark.parametrize("rule", ["wake-sleep", "wake-sleep-prior", "variational"])
def test_half_precision_leaves_the_chances_of_places_whole(
    rule: Literal["wake-sleep", "wake-sleep-prior", "variational"],
):
    torch.manual_seed(0)
    system = System(replace(TOY, rule=rule), 1, 3)
    batch = Batch({"image": image().float().expand(8, -1, -1, -1)}, torch.arange(8) % 3)
    with torch.autocast("cpu", torch.bfloat16):
        scan = system.scan(batch.inputs["image"], 4, sample, batch.target)
        log_likelihood = system.log_likelihood(scan, batch.target)
        losses = system(batch), system.eval()(batch)
    parts = [scan.log_prior, log_likelihood, losses[0].total, losses[1].total]
    assert {part.dtype for part in parts} == {torch.float32}
    assert losses[1].total.item() == pytest.approx(system(batch).total.item(), rel=2e-3)


def flat(system: System, value: Tensor) -> Tensor:
    """The gradient to all parameters, in one row."""
    found = torch.autograd.grad(value, list(system.parameters()), retain_graph=True, materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in found])


def of_inference(system: System) -> Tensor:
    """True at the inference network's numbers in such a row."""
    parts = [torch.full((value.numel(),), "inference" in name) for name, value in system.named_parameters()]
    return torch.cat(parts)


def exact(system: System) -> Tensor:
    """The gradient of - log p(y | x) and, for the inference network, of KL(p(a | y, x) || q)."""
    scan = along(system, PATHS.unsqueeze(0), proposed=system.inference is not None)
    joint = scan.log_prior.sum(-1) + system.log_likelihood(scan, labels(1))
    total = -joint.logsumexp(1)
    if scan.log_proposal is not None:
        total = total - (joint.softmax(1).detach() * scan.log_proposal.sum(-1)).sum(1)
    return flat(system, total.sum())


def drawn(system: System, copies: int, count: int, seed: int = 1) -> Tensor:
    """Paths as the system samples them in an update."""
    torch.manual_seed(seed)
    label = labels(count) if system.inference is not None else None
    with torch.no_grad():
        return system.scan(image().expand(count, -1, -1, -1), copies, sample, label).place


def example(scan: Scan, number: int) -> Scan:
    """One example of a scan."""
    return Scan(*(None if part is None else part[number : number + 1] for part in scan))


def each_gradient(system: System, paths: Tensor) -> Tensor:
    """The gradient of what an update with one image and these paths of it would minimise, a row for each."""
    scan = along(system, paths, proposed=system.inference is not None)
    totals = torch.stack([system.learn(example(scan, number), labels(1))[0] for number in range(len(paths))])
    one_each = torch.eye(len(paths), dtype=totals.dtype)
    found = torch.autograd.grad(
        totals, list(system.parameters()), one_each, is_grads_batched=True, materialize_grads=True
    )
    return torch.cat([gradient.flatten(1) for gradient in found], 1)


def mean_gradient(system: System, copies: int, count: int) -> Tensor:
    paths = drawn(system, copies, count)
    total, _ = system.learn(along(system, paths, proposed=system.inference is not None), labels(count))
    return flat(system, total) / count


def spread(system: System, copies: int = 5, count: int = 50) -> Tensor:
    """The variance of each number of the gradient of one update with one image."""
    return each_gradient(system, drawn(system, copies, count)).var(0)


def touched(module: nn.Module) -> set[str]:
    """The parts that have a gradient."""
    return {
        name.split(".")[0]
        for name, parameter in module.named_parameters()
        if parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
    }


@pytest.mark.parametrize("chance", [0.0, 0.3])
def test_all_paths_together_are_sure(chance: float):
    scan = along(build(replace(TOY, chance=chance)), PATHS.unsqueeze(0), proposed=True)
    assert scan.log_proposal is not None
    for log_probs in (scan.log_prior, scan.log_proposal):
        assert float(log_probs.detach().sum(-1).exp().sum()) == pytest.approx(1)


@pytest.mark.parametrize("control_variates", [True, False])
@pytest.mark.parametrize("rule", ["wake-sleep", "wake-sleep-prior"])
def test_wake_sleep_approaches_the_gradient_of_the_likelihood(rule, control_variates: bool):
    system = build(replace(TOY, rule=rule, control_variates=control_variates))
    expected, inferring = exact(system), of_inference(system)
    errors = []
    for copies, count in ((2, 6000), (20, 2000), (400, 150)):
        error = mean_gradient(system, copies, count) - expected
        errors.append(float(error[~inferring].norm() / expected[~inferring].norm()))
    assert errors[1] < errors[0]
    assert errors[2] < errors[1]
    assert errors[2] < 0.05
    if inferring.any():
        assert float(error[inferring].norm() / expected[inferring].norm()) < 0.1


@pytest.mark.parametrize("control_variates", [True, False])
def test_the_variational_rule_is_unbiased_for_its_bound(control_variates: bool):
    system = build(replace(TOY, rule="variational", control_variates=control_variates, grid=2))
    # The baseline, which learns from its own error, is the last part.
    shared = sum(value.numel() for name, value in system.named_parameters() if "baseline" not in name)
    if system.baseline is not None:
        nn.init.normal_(system.baseline.weight, std=3)
    paths = torch.tensor(list(product(range(4), repeat=2)))
    scan = along(system, paths.unsqueeze(0), proposed=False)
    bound = (scan.log_prior.sum(-1).exp() * system.log_likelihood(scan, labels(1))).sum()
    # Every path with its own probability: the exact mean of the estimator.
    probability = scan.log_prior.detach().sum(-1).exp().squeeze(0)
    found = probability @ each_gradient(system, paths.unsqueeze(1))
    torch.testing.assert_close(found[:shared], flat(system, -bound)[:shared])


def test_control_variates_lower_the_variance():
    for rule in ("wake-sleep", "wake-sleep-prior"):
        on, off = (float(spread(build(replace(TOY, rule=rule, control_variates=used))).sum()) for used in (True, False))
        assert on < 0.8 * off, rule


def test_a_learnt_baseline_lowers_the_variance():
    plain = build(replace(TOY, rule="variational", control_variates=False))
    based = build(replace(TOY, rule="variational"))
    based.load_state_dict({**based.state_dict(), **plain.state_dict()})
    optimiser = torch.optim.Adam([*based.baseline.parameters()] if based.baseline else [], 0.05)
    paths = drawn(plain, 5, 50)
    for _ in range(60):
        optimiser.zero_grad()
        based.learn(along(based, paths, proposed=False), labels(50))[0].backward()
        optimiser.step()
    shared = len(flat(plain, along(plain, paths, proposed=False).log_prior.sum()))
    ours, theirs = spread(based)[:shared], spread(plain)
    assert float(ours.sum()) < 0.8 * float(theirs.sum())


def test_at_first_the_inference_network_is_p_and_the_weights_are_the_likelihoods():
    torch.manual_seed(0)
    with_network, without = System(TOY, 1, 3), System(replace(TOY, rule="wake-sleep-prior"), 1, 3)
    without.load_state_dict({k: v for k, v in with_network.state_dict().items() if not k.startswith("inference")})
    label = torch.arange(6) % 3
    scan = with_network.scan(torch.rand(6, 1, 9, 9), 4, sample, label)
    assert scan.log_proposal is not None
    torch.testing.assert_close(scan.log_proposal, scan.log_prior)
    _, found = with_network.learn(scan, label)
    _, expected = without.learn(scan._replace(log_proposal=None), label)
    torch.testing.assert_close(found, expected)


def test_what_predicts_and_what_infers_learn_from_their_own_terms():
    system = build(TOY)
    scan = along(system, drawn(system, 4, 8), proposed=True)
    assert scan.log_proposal is not None
    scan.log_proposal.sum().backward(retain_graph=True)
    assert touched(system) == {"inference"}
    system.zero_grad()
    scan.log_prior.sum().backward(retain_graph=True)
    # Where it looked second depends on what it saw first, so what sees learns from the choice too.
    assert touched(system) == {"chooser", "eye", "from_glimpse"}
    system.zero_grad()
    system.log_likelihood(scan, labels(8)).sum().backward()
    assert touched(system) == {"eye", "from_glimpse", "from_state", "classifier"}


def test_the_baseline_learns_from_its_own_error_alone():
    system = build(replace(TOY, rule="variational"))
    assert system.baseline is not None
    scan = along(system, drawn(system, 4, 8), proposed=False)
    system.baseline(scan.before.detach()).square().sum().backward()
    assert touched(system) == {"baseline"}
    # With the likelihood and the choices held, nothing but the baseline is left to learn.
    system.zero_grad()
    held = scan._replace(states=scan.states.detach(), log_prior=scan.log_prior.detach())
    system.classifier.requires_grad_(False)
    system.learn(held, labels(8))[0].backward()
    assert touched(system) == {"baseline"}


@pytest.mark.parametrize("rule", ["wake-sleep", "wake-sleep-prior", "variational"])
def test_the_label_and_the_inference_network_have_no_part_in_predictions(rule):
    system = build(replace(TOY, rule=rule)).eval()
    images = torch.rand(5, 1, 9, 9, dtype=torch.float64)
    before = system.answer(Batch({"image": images}))
    answers = [system(Batch({"image": images}, torch.full((5,), label))).total for label in range(3)]
    nll = -before.logits[:, -1].log_softmax(-1).sum(0)
    torch.testing.assert_close(torch.stack(answers), nll)
    if system.inference is not None:
        nn.init.normal_(system.inference.chooser.place.weight, std=10)
        torch.testing.assert_close(system.answer(Batch({"image": images})).logits, before.logits)


def test_the_places_are_the_cells_of_the_grid_row_by_row():
    expected = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]])
    torch.testing.assert_close(grid_places(2), expected)
    # A patch as wide as a cell, at each place, is that cell of the image.
    picture = torch.arange(81.0).reshape(1, 1, 9, 9)
    patches = look(prepare(picture, 1), grid_places(3).unsqueeze(0), 3)
    torch.testing.assert_close(patches[0, 5, 0, 0], picture[0, 0, 3:6, 6:9])


def test_learning_to_infer_makes_samples_worth_more():
    """Only the inference network learns: p stays what it is, and unsure."""
    system = build(TOY)
    assert system.inference is not None
    nn.init.zeros_(system.inference.chooser.place.weight)
    optimiser = torch.optim.Adam(system.inference.parameters(), 0.02)
    batch = Batch({"image": image().expand(32, -1, -1, -1)}, labels(32))
    for _ in range(150):
        optimiser.zero_grad()
        (system(batch).total / 32).backward()
        optimiser.step()
    weights = []
    for label in (labels(500), None):
        scan = system.scan(image().expand(500, -1, -1, -1), TOY.copies, sample, label)
        proposal = scan.log_prior if scan.log_proposal is None else scan.log_proposal
        weights.append((system.log_likelihood(scan, labels(500)) + (scan.log_prior - proposal).sum(-1)).detach())
    inferred, prior = weights
    assert float(effective_sample_size(inferred).mean()) > 1.1 * float(effective_sample_size(prior).mean())
    assert float(importance_bound(inferred).mean()) > float(importance_bound(prior).mean())


def test_one_sample_teaches_wake_sleep_nothing():
    with pytest.raises(ValueError, match="copies"):
        replace(TOY, copies=1)
    assert replace(TOY, copies=1, rule="variational").copies == 1


def test_the_likeliest_path_is_the_same_each_time():
    system = build(TOY).eval()
    images = torch.rand(4, 1, 9, 9, dtype=torch.float64)
    first, second = (system.scan(images, 1, likeliest).place for _ in range(2))
    assert torch.equal(first, second)
    seen = system.answer(Batch({"image": images})).looks["glimpse"]
    assert (seen.over, seen.steps) == ("image", "output")
    for views, place in zip(seen.values, first[:, 0], strict=True):
        assert isinstance(views, Views)
        np.testing.assert_allclose(views.centre, system.centres[place].numpy())
