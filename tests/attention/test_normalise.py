"""Normalisers against their equations, and what holds for every one of them."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from attend.attention.normalise import (
    Hard,
    Normalise,
    Sharpened,
    check_mask,
    mask_scores,
    maximum,
    smooth,
    softmax,
    uniform,
)

# Every oracle takes the scores of the real cells alone.
Oracle = Callable[[Sequence[float]], list[float]]


def share(parts: list[float]) -> list[float]:
    return [part / sum(parts) for part in parts]


def softmax_oracle(scores: Sequence[float]) -> list[float]:
    return share([math.exp(score - max(scores)) for score in scores])


def sharpened_oracle(scores: Sequence[float]) -> list[float]:
    return softmax_oracle([2.5 * score for score in scores])


def smooth_oracle(scores: Sequence[float]) -> list[float]:
    return share([1 / (1 + math.exp(-score)) for score in scores])


def maximum_oracle(scores: Sequence[float]) -> list[float]:
    first = list(scores).index(max(scores))
    return [1.0 if cell == first else 0.0 for cell in range(len(scores))]


def uniform_oracle(scores: Sequence[float]) -> list[float]:
    return [1 / len(scores)] * len(scores)


DETERMINISTIC: dict[str, tuple[Normalise, Oracle]] = {
    "softmax": (softmax, softmax_oracle),
    "sharpened": (Sharpened(2.5), sharpened_oracle),
    "smooth": (smooth, smooth_oracle),
    "maximum": (maximum, maximum_oracle),
    "uniform": (uniform, uniform_oracle),
}
EVERY: dict[str, Normalise] = {name: normalise for name, (normalise, _) in DETERMINISTIC.items()} | {"hard": Hard()}


@st.composite
def scores_and_mask(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Scores of any size, also extreme ones, and a mask with a real cell in each row."""
    batch, query, memory = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 6))
    scores = draw(arrays(np.float64, (batch, query, memory), elements=st.floats(-300, 300)))
    mask = draw(arrays(np.bool_, (batch, memory)))
    for row in mask:
        row[draw(st.integers(0, memory - 1))] = True
    return torch.from_numpy(scores), torch.from_numpy(mask)


@pytest.mark.parametrize("name", DETERMINISTIC)
@given(case=scores_and_mask())
def test_equals_its_equation_on_the_real_cells(name: str, case: tuple[Tensor, Tensor]) -> None:
    scores, mask = case
    normalise, oracle = DETERMINISTIC[name]
    choice = normalise(scores, mask)
    assert choice.log_prob is None
    for example, real in enumerate(mask.numpy()):
        for step in range(scores.shape[1]):
            expected = oracle(scores[example, step].numpy()[real].tolist())
            np.testing.assert_allclose(choice.weights[example, step].numpy()[real], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", EVERY)
@given(case=scores_and_mask())
def test_real_cells_sum_to_one_and_padding_is_exactly_zero(name: str, case: tuple[Tensor, Tensor]) -> None:
    scores, mask = case
    weights = EVERY[name](scores, mask).weights
    real = mask.unsqueeze(1).expand_as(weights)
    assert bool((weights >= 0).all())
    assert bool((weights[~real] == 0.0).all())
    sums = (weights * real).sum(dim=-1)
    torch.testing.assert_close(sums, torch.ones_like(sums))


@pytest.mark.parametrize("name", DETERMINISTIC)
@given(case=scores_and_mask(), padded=st.integers(1, 4), filling=st.floats(-1e6, 1e6))
def test_padding_changes_nothing(name: str, case: tuple[Tensor, Tensor], padded: int, filling: float) -> None:
    scores, mask = case
    normalise = DETERMINISTIC[name][0]
    longer = torch.nn.functional.pad(scores, (0, padded), value=filling)
    longer_mask = torch.nn.functional.pad(mask, (0, padded), value=False)
    weights = normalise(longer, longer_mask).weights
    torch.testing.assert_close(weights[..., : mask.shape[1]], normalise(scores, mask).weights, rtol=1e-12, atol=0)
    assert bool((weights[..., mask.shape[1] :] == 0.0).all())


@given(case=scores_and_mask(), padded=st.integers(1, 4), seed=st.integers(0, 1000))
def test_padding_changes_nothing_in_the_log_probability(case: tuple[Tensor, Tensor], padded: int, seed: int) -> None:
    """A sample may differ with the memory's length, so the probabilities of what was chosen are compared."""
    scores, mask = case
    longer = torch.nn.functional.pad(scores, (0, padded))
    longer_mask = torch.nn.functional.pad(mask, (0, padded), value=False)
    choice = Hard(torch.Generator().manual_seed(seed))(longer, longer_mask)
    alone = softmax(scores, mask).weights
    cell = choice.weights.argmax(dim=-1, keepdim=True)
    assert choice.log_prob is not None
    torch.testing.assert_close(choice.log_prob, alone.gather(-1, cell).squeeze(-1).log())


@pytest.mark.parametrize("name", ["softmax", "sharpened", "smooth"])
@given(case=scores_and_mask(), seed=st.integers(0, 1000))
def test_order_of_the_cells_does_not_matter(name: str, case: tuple[Tensor, Tensor], seed: int) -> None:
    scores, mask = case
    normalise = DETERMINISTIC[name][0]
    order = torch.randperm(mask.shape[1], generator=torch.Generator().manual_seed(seed))
    shuffled = normalise(scores[..., order], mask[:, order]).weights
    torch.testing.assert_close(shuffled, normalise(scores, mask).weights[..., order], rtol=1e-12, atol=0)


@given(case=scores_and_mask())
def test_mask_scores_keeps_the_real_and_drops_the_rest(case: tuple[Tensor, Tensor]) -> None:
    scores, mask = case
    masked = mask_scores(scores, mask)
    real = mask.unsqueeze(1).expand_as(scores)
    assert torch.equal(masked[real], scores[real])
    assert bool((masked[~real] == -torch.inf).all())


def test_all_padding_is_an_error_that_names_the_rows() -> None:
    mask = torch.tensor([[True, False], [False, False], [True, True], [False, False]])
    with pytest.raises(ValueError, match=r"\[1, 3\].*all padding"):
        check_mask(mask)
    check_mask(mask[[0, 2]])


def test_sharpness_to_infinity_is_the_maximum() -> None:
    # Whole numbers in random order: the highest stands at least one above the rest.
    generator = torch.Generator().manual_seed(0)
    scores = torch.stack([torch.randperm(8, generator=generator) for _ in range(6)]).reshape(2, 3, 8).double()
    mask = torch.tensor([[True] * 8, [True] * 5 + [False] * 3])
    limit = maximum(scores, mask).weights
    distances = [
        (Sharpened(sharpness)(scores, mask).weights - limit).abs().max() for sharpness in (1.0, 4.0, 16.0, 64.0)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-12
    torch.testing.assert_close(Sharpened(1e300)(scores, mask).weights, limit)


@given(case=scores_and_mask())
def test_sharpness_to_zero_is_uniform(case: tuple[Tensor, Tensor]) -> None:
    limit = uniform(*case).weights
    torch.testing.assert_close(Sharpened(0.0)(*case).weights, limit)
    torch.testing.assert_close(Sharpened(1e-12)(*case).weights, limit)


@pytest.mark.parametrize("sharpness", [-0.1, math.nan, math.inf])
def test_sharpness_must_be_a_finite_number_from_zero(sharpness: float) -> None:
    with pytest.raises(ValueError, match=rf"sharpness must be .* not {sharpness}"):
        Sharpened(sharpness)


def test_maximum_takes_the_first_of_equals() -> None:
    weights = maximum(torch.tensor([[[1.0, 3.0, 3.0, 2.0]]]), torch.ones(1, 4, dtype=torch.bool)).weights
    assert weights.tolist() == [[[0.0, 1.0, 0.0, 0.0]]]


@pytest.mark.parametrize("score", [-1e4, -200.0, 1e4])
def test_smooth_survives_extreme_scores(score: float) -> None:
    scores = torch.full((1, 1, 4), score, requires_grad=True)
    mask = torch.tensor([[True, True, False, True]])
    weights = smooth(scores, mask).weights
    torch.testing.assert_close(weights, uniform(scores, mask).weights)
    weights[0, 0, 0].backward()
    assert scores.grad is not None
    assert bool(scores.grad.isfinite().all())


def test_smooth_is_flatter_than_softmax_where_scores_are_high() -> None:
    scores = torch.tensor([[[4.0, 6.0, 5.0]]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    assert smooth(scores, mask).weights.max() < softmax(scores, mask).weights.max()


def test_hard_averages_to_softmax() -> None:
    samples = 20_000
    scores = torch.tensor([[0.5, -1.0, 2.0, 0.0, 9.0], [1.0, 1.0, -3.0, 0.2, 0.1]]).unsqueeze(1)
    mask = torch.tensor([[True, True, True, True, False], [True] * 5])
    weights = Hard(torch.Generator().manual_seed(1))(scores.expand(-1, samples, -1), mask).weights
    # A frequency's standard deviation is at most 0.5 / sqrt(samples) = 0.0035.
    torch.testing.assert_close(weights.mean(dim=1, keepdim=True), softmax(scores, mask).weights, rtol=0, atol=0.015)


def test_hard_is_one_hot_without_gradient() -> None:
    scores = torch.randn(2, 50, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weights = Hard()(scores, torch.ones(2, 6, dtype=torch.bool)).weights
    assert not weights.requires_grad
    assert set(weights.unique().tolist()) == {0.0, 1.0}
    assert bool((weights.sum(dim=-1) == 1).all())


def test_log_probability_of_the_choice_and_its_gradient() -> None:
    """d log p(cell) / d scores = one-hot(cell) - softmax(scores), over the real cells."""
    scores = torch.randn(2, 3, 5, dtype=torch.double, generator=torch.Generator().manual_seed(0), requires_grad=True)
    mask = torch.tensor([[True] * 5, [True, False, True, True, False]])
    choice = Hard(torch.Generator().manual_seed(2))(scores, mask)
    soft = softmax(scores, mask).weights.detach()
    assert choice.log_prob is not None
    torch.testing.assert_close(choice.log_prob, (choice.weights * soft).sum(dim=-1).log())
    choice.log_prob.sum().backward()
    torch.testing.assert_close(scores.grad, choice.weights - soft)


def test_same_seed_same_choices() -> None:
    scores, mask = torch.zeros(1, 100, 8), torch.ones(1, 8, dtype=torch.bool)
    first, again, other = (Hard(torch.Generator().manual_seed(seed))(scores, mask).weights for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
