"""Scores against their equations, written out cell by cell in plain Python."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attend.attention.score import Additive, Bilinear, Cosine, Dot, LocationAware, ScaledDot

BATCH, QUERY, MEMORY, SIZE = 2, 3, 6, 4
VALUE = 5


def product(left: np.ndarray, right: np.ndarray) -> float:
    return sum(float(a) * float(b) for a, b in zip(left, right, strict=True))


def matrix(layer: nn.Module) -> np.ndarray:
    assert isinstance(layer.weight, Tensor)
    return layer.weight.detach().numpy()


def dot(score: nn.Module, query: np.ndarray, values: np.ndarray, previous: np.ndarray, cell: int) -> float:
    return product(query, values[cell])


def scaled_dot(score: nn.Module, query: np.ndarray, values: np.ndarray, previous: np.ndarray, cell: int) -> float:
    return product(query, values[cell]) / math.sqrt(len(query))


def cosine(score: nn.Module, query: np.ndarray, values: np.ndarray, previous: np.ndarray, cell: int) -> float:
    lengths = math.sqrt(product(query, query)) * math.sqrt(product(values[cell], values[cell]))
    return 3.0 * product(query, values[cell]) / lengths


def bilinear(score: Bilinear, query: np.ndarray, values: np.ndarray, previous: np.ndarray, cell: int) -> float:
    weight = matrix(score.project)
    return sum(query[i] * weight[i, j] * values[cell, j] for i in range(len(query)) for j in range(VALUE))


def additive(score: Additive, query: np.ndarray, values: np.ndarray, previous: np.ndarray, cell: int) -> float:
    of_query, of_key, energy = matrix(score.query), matrix(score.key), matrix(score.energy)[0]
    bias = np.zeros(len(energy)) if score.key.bias is None else score.key.bias.detach().numpy()
    return sum(
        energy[unit] * math.tanh(product(of_query[unit], query) + product(of_key[unit], values[cell]) + bias[unit])
        for unit in range(len(energy))
    )


def location_aware(
    score: LocationAware, query: np.ndarray, values: np.ndarray, previous: np.ndarray, cell: int
) -> float:
    kernels = matrix(score.convolve)[:, 0]
    features = np.zeros(len(kernels))
    for number, kernel in enumerate(kernels):
        for place, weight in enumerate(kernel):
            neighbour = cell + place - len(kernel) // 2
            if 0 <= neighbour < len(previous):
                features[number] += weight * previous[neighbour]
    of_query, of_key, of_location = matrix(score.query), matrix(score.key), matrix(score.location)
    bias, energy = score.key.bias.detach().numpy(), matrix(score.energy)[0]
    total = 0.0
    for unit in range(len(energy)):
        inside = product(of_query[unit], query) + product(of_key[unit], values[cell])
        total += energy[unit] * math.tanh(inside + product(of_location[unit], features) + bias[unit])
    return total


AnyScore = Dot | Cosine | Bilinear | Additive | LocationAware

# name -> how it is built, its oracle, its values' size, its parameters
SCORES: dict[str, tuple[Callable[[], AnyScore], Callable[..., float], int, set[str]]] = {
    "dot": (Dot, dot, SIZE, set()),
    "scaled dot": (ScaledDot, scaled_dot, SIZE, set()),
    "cosine": (lambda: Cosine(3.0), cosine, SIZE, set()),
    "bilinear": (lambda: Bilinear(SIZE, VALUE), bilinear, VALUE, {"project.weight"}),
    "additive": (
        lambda: Additive(SIZE, VALUE, 7),
        additive,
        VALUE,
        {"query.weight", "key.weight", "energy.weight"},
    ),
    "additive, bias": (
        lambda: Additive(SIZE, VALUE, 7, bias=True),
        additive,
        VALUE,
        {"query.weight", "key.weight", "key.bias", "energy.weight"},
    ),
    "location aware": (
        lambda: LocationAware(SIZE, VALUE, 7, filters=2, width=3),
        location_aware,
        VALUE,
        {"query.weight", "key.weight", "key.bias", "convolve.weight", "location.weight", "energy.weight"},
    ),
    "location aware, wider than the memory": (
        lambda: LocationAware(SIZE, VALUE, 7, filters=2, width=2 * MEMORY + 3),
        location_aware,
        VALUE,
        {"query.weight", "key.weight", "key.bias", "convolve.weight", "location.weight", "energy.weight"},
    ),
}

every_score = pytest.mark.parametrize("name", SCORES)


def inputs(name: str) -> tuple[AnyScore, Tensor, Tensor, Tensor]:
    """The score, and a query, values and previous weights to give it, in double precision."""
    torch.manual_seed(0)
    build, _, value_size, _ = SCORES[name]
    query = torch.randn(BATCH, QUERY, SIZE, dtype=torch.double)
    values = torch.randn(BATCH, MEMORY, value_size, dtype=torch.double)
    previous = torch.rand(BATCH, QUERY, MEMORY, dtype=torch.double)
    return build().double(), query, values, previous / previous.sum(dim=-1, keepdim=True)


@every_score
def test_equals_its_equation(name: str) -> None:
    score, query, values, previous = inputs(name)
    oracle = SCORES[name][1]
    expected = [
        [
            [
                oracle(score, query[example, step].numpy(), values[example].numpy(), previous[example, step].numpy(), i)
                for i in range(MEMORY)
            ]
            for step in range(QUERY)
        ]
        for example in range(BATCH)
    ]
    scores = score(query, score.prepare(values), previous)
    np.testing.assert_allclose(scores.detach().numpy(), expected, rtol=1e-10, atol=1e-12)


@every_score
def test_many_queries_are_each_query_alone(name: str) -> None:
    score, query, values, previous = inputs(name)
    keys = score.prepare(values)
    together = score(query, keys, previous)
    alone = [score(query[:, [step]], keys, previous[:, [step]]) for step in range(QUERY)]
    torch.testing.assert_close(together, torch.cat(alone, dim=1))


@every_score
def test_gradient_reaches_exactly_the_parameters(name: str) -> None:
    score, query, values, previous = inputs(name)
    query.requires_grad_()
    values.requires_grad_()
    # Squares, because a plain sum would leave some of the gradients at zero by symmetry.
    score(query, score.prepare(values), previous).square().sum().backward()
    parameters = dict(score.named_parameters())
    assert set(parameters) == SCORES[name][3]
    for tensor in [query, values, *parameters.values()]:
        assert tensor.grad is not None
        assert bool((tensor.grad != 0).any())
        assert bool(tensor.grad.isfinite().all())


def test_cosine_of_a_zero_vector_is_zero_with_a_finite_gradient() -> None:
    query = torch.zeros(1, 1, SIZE, requires_grad=True)
    values = torch.zeros(1, MEMORY, SIZE, requires_grad=True)
    score = Cosine()
    scores = score(query, score.prepare(values))
    scores.sum().backward()
    assert scores.tolist() == [[[0.0] * MEMORY]]
    assert query.grad is not None
    assert values.grad is not None
    assert bool(query.grad.isfinite().all())
    assert bool(values.grad.isfinite().all())


@pytest.mark.parametrize("name", [name for name in SCORES if not name.startswith("location")])
def test_only_location_aware_uses_previous(name: str) -> None:
    score, query, values, previous = inputs(name)
    keys = score.prepare(values)
    torch.testing.assert_close(score(query, keys, previous), score(query, keys), rtol=0, atol=0)


def test_location_aware_looks_at_zero_previous_weights_first() -> None:
    score, query, values, previous = inputs("location aware")
    keys = score.prepare(values)
    first = score(query, keys)
    torch.testing.assert_close(first, score(query, keys, torch.zeros_like(previous)), rtol=0, atol=0)
    assert not torch.allclose(first, score(query, keys, previous))


@pytest.mark.parametrize("width", [0, 2, 10, -1])
def test_location_aware_refuses_a_width_without_centre(width: int) -> None:
    with pytest.raises(ValueError, match=rf"width must be odd.*not {width}"):
        LocationAware(SIZE, VALUE, 7, filters=2, width=width)
